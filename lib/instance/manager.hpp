// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "db/backup_repository.hpp"
#include "db/instance_repository.hpp"
#include "db/instance_snapshot_repository.hpp"
#include "db/intents.hpp"
#include "db/warning_repository.hpp"
#include "device/device.hpp"
#include "instance/backup_document.hpp"
#include "instance/backup_store.hpp"
#include "instance/boot_sequence.hpp"
#include "instance/claims.hpp"
#include "instance/cpu_balancer.hpp"
#include "instance/guest.hpp"
#include "instance/guest_events.hpp"
#include "instance/instance_manager.hpp"
#include "instance/intercept/syscall_server.hpp"
#include "instance/limits.hpp"
#include "instance/list_cache.hpp"
#include "instance/metrics.hpp"
#include "instance/runtime_table.hpp"
#include "system/cgroup.hpp"
#include "util/locked.hpp"
#include "util/minute_timer.hpp"

namespace lxdcore::instance {

/// An instance with its profiles applied.
struct Loaded {
    db::InstanceRow row;
    api::StringMap config; ///< expanded
    api::Devices devices;  ///< expanded

    InstanceRef ref() const { return {row.project, row.name}; }
    bool privileged() const;
    std::string value(const std::string& key) const; ///< expanded; "" when unset
};

/// Profiles of a project, applied to rows in memory.
class Expander {
public:
    explicit Expander(std::vector<db::ProfileRow> profiles);
    Loaded expand(db::InstanceRow row) const; ///< @throws NotFound for an unknown profile
    bool knows(const std::string& profile) const { return profiles_.contains(profile); }
    void replace(db::ProfileRow profile) { profiles_[profile.name] = std::move(profile); }

private:
    std::map<std::string, db::ProfileRow> profiles_;
};

/// The instance service. Divided by subject over manager_*.cpp.
class Manager final : public InstanceManager {
public:
    explicit Manager(const Services& services);
    ~Manager() override;

    void start() override;
    void stop() noexcept override;
    bool in_use(const InstanceRef& ref) const override;

    std::vector<std::string> names(const std::string& project) const override;
    void each(const std::string& project, bool with_state, const Visit& visit) const override;
    api::Instance get(const InstanceRef& ref) const override;
    api::InstanceState state(const InstanceRef& ref) const override;

    OperationPtr create(const std::string& project, const api::InstancesPost& request) override;
    OperationPtr update(const InstanceRef& ref, const api::InstancePut& instance, const std::string& if_match) override;
    void patch(const InstanceRef& ref, const api::InstancePatch& instance, const std::string& if_match) override;
    OperationPtr rename(const InstanceRef& ref, const api::InstancePost& request) override;
    OperationPtr remove(const InstanceRef& ref) override;
    OperationPtr change_state(const InstanceRef& ref, const api::InstanceStatePut& request) override;

    std::vector<std::string> snapshot_names(const InstanceRef& ref) const override;
    std::vector<api::InstanceSnapshot> snapshots(const InstanceRef& ref) const override;
    std::map<std::string, std::vector<api::InstanceSnapshot>>
    snapshots_by_instance(const std::string& project) const override;
    api::InstanceSnapshot snapshot(const InstanceRef& ref, const std::string& name) const override;
    OperationPtr create_snapshot(const InstanceRef& ref, const api::InstanceSnapshotsPost& request) override;
    OperationPtr update_snapshot(const InstanceRef& ref, const std::string& name,
                                 const api::InstanceSnapshotPut& snapshot, const std::string& if_match) override;
    OperationPtr rename_snapshot(const InstanceRef& ref, const std::string& name,
                                 const api::InstanceSnapshotPost& request) override;
    OperationPtr remove_snapshot(const InstanceRef& ref, const std::string& name) override;

    OperationPtr publish(const PublishRequest& request) override;

    OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request) override;
    OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request,
                      const ExecStreams& streams) override;
    OperationPtr console(const InstanceRef& ref, int width, int height) override;
    std::string console_log(const InstanceRef& ref) const override;
    void clear_console_log(const InstanceRef& ref) override;
    std::vector<std::string> logs(const InstanceRef& ref) const override;
    int open_log(const InstanceRef& ref, const std::string& name) const override;
    void remove_log(const InstanceRef& ref, const std::string& name) override;
    InstanceFile pull_file(const InstanceRef& ref, const std::string& path, bool head_only) const override;
    void push_file(const InstanceRef& ref, const InstanceFilePush& push) override;
    void remove_file(const InstanceRef& ref, const std::string& path) override;
    std::shared_ptr<const int> sftp(const InstanceRef& ref) override;

    api::ImageMetadata metadata(const InstanceRef& ref) const override;
    void set_metadata(const InstanceRef& ref, const api::ImageMetadata& metadata, const std::string& if_match) override;
    void patch_metadata(const InstanceRef& ref, const nlohmann::json& changes, const std::string& if_match) override;
    std::vector<std::string> templates(const InstanceRef& ref) const override;
    std::string read_template(const InstanceRef& ref, const std::string& name) const override;
    void write_template(const InstanceRef& ref, const std::string& name, const std::string& content) override;
    void remove_template(const InstanceRef& ref, const std::string& name) override;

    std::vector<api::InstanceBackup> backups(const InstanceRef& ref) const override;
    std::map<std::string, std::vector<api::InstanceBackup>>
    backups_by_instance(const std::string& project) const override;
    api::InstanceBackup backup(const InstanceRef& ref, const std::string& name) const override;
    OperationPtr create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) override;
    OperationPtr rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) override;
    OperationPtr remove_backup(const InstanceRef& ref, const std::string& name) override;
    File open_backup(const InstanceRef& ref, const std::string& name) override;
    OperationPtr import_backup(const BackupImport& request) override;
    nlohmann::json find_lost(const nlohmann::json& request) override;
    void recover_lost(const nlohmann::json& request) override;

    std::string metrics(const std::vector<std::string>& projects) override;

    OperationPtr change_all_states(const std::string& project, const api::InstanceStatePut& request) override;
    std::optional<Caller> find(const Process& process) const override;
    void check(const Caller& caller) const override;
    api::StringMap config(const Caller& caller) const override;
    std::string config(const Caller& caller, const std::string& key) const override;
    api::Devices devices(const Caller& caller) const override;
    std::string meta_data(const Caller& caller) const override;
    void check_images(const Caller& caller) const override;
    std::unique_ptr<EventSubscription> subscribe(const Caller& caller, std::set<std::string> types,
                                                 std::function<void(const Event&)> receive) override;

    void start_wanted() override;
    bool settled() const override { return settled_; }
    void stop_all(std::chrono::seconds patience) override;

private:
    struct Creation;

    // --- data ---
    Loaded load(const InstanceRef& ref) const; ///< @throws NotFound "Instance not found"
    Expander expander(const std::string& project) const;
    api::Instance to_api(Loaded instance) const;
    ListCache::List listed(const std::string& project) const; ///< states as they were when it was read
    api::InstanceState state_of(const Loaded& instance) const;
    void set_config(const Loaded& instance, const api::StringMap& changes);
    void require_project(const std::string& project) const;
    std::string dir_name(const InstanceRef& ref) const; ///< "c1", outside the default project "p_c1"
    Dir log_dir(const InstanceRef& ref) const;          ///< made if missing
    std::string cgroup_name(const InstanceRef& ref) const;
    std::string monitor_cgroup(const InstanceRef& ref) const;

    // --- copying ---
    void load_source(Creation& creation, OperationOptions& options) const;
    void copy_volumes(const Creation& creation, OperationContext& op);
    std::vector<db::InstanceSnapshotRow> copied_rows(const Creation& creation) const;
    std::vector<db::InstanceSnapshotRow> imported_rows(const Creation& creation) const;
    void copy_snapshot_rows(db::Transaction& tx, const Creation& creation) const;
    void run_refresh(Creation& creation, OperationContext& op);
    void finish_refresh(const Loaded& target, const Loaded& source, const std::vector<db::InstanceSnapshotRow>& wanted,
                        const std::vector<db::InstanceSnapshotRow>& extra);
    void repair_refreshes();
    OperationPtr move(const InstanceRef& ref, const api::InstancePost& request);
    void run_move(const InstanceRef& ref, const std::string& pool, OperationContext& op);
    void write_moved(const Loaded& instance, const std::string& pool); ///< with its snapshots
    void repair_moves();

    // --- snapshots ---
    db::InstanceSnapshotRow load_snapshot(const Loaded& instance, const std::string& name) const; ///< @throws NotFound
    api::InstanceSnapshot to_api(const Loaded& instance, db::InstanceSnapshotRow row, const Expander& profiles) const;
    std::int64_t size_of(const InstanceRef& ref, const std::string& snapshot) const noexcept; ///< -1: not known
    std::string next_snapshot_name(const Loaded& instance) const;
    api::Time snapshot_expiry(const Loaded& instance, const api::Time& from) const;
    void run_snapshot(const InstanceRef& ref, const std::string& name, const std::optional<api::Time>& expires_at,
                      OperationContext& op);
    void run_rename_snapshot(const InstanceRef& ref, const std::string& name, const std::string& to);
    void run_remove_snapshot(const InstanceRef& ref, const std::string& name);
    OperationPtr restore(const InstanceRef& ref, const std::string& snapshot, bool stateful);
    void run_restore(const InstanceRef& ref, const std::string& snapshot, OperationContext& op);
    Loaded restored(const Loaded& before, const std::string& snapshot) const; ///< @throws NotFound
    void repair_snapshots();
    void repair_restores();
    void tell_snapshot(const InstanceRef& ref, const std::string& action, const std::string& name,
                       const std::string& old_name = {}) const;

    // --- snapshots by the clock ---
    void snapshots_due(Schedule::Time last, Schedule::Time now);
    void snapshot_at_startup(const Loaded& instance);
    void start_auto_snapshot(const InstanceRef& ref);
    void remove_expired_snapshots(Schedule::Time now);

    // --- id maps ---
    struct NextMap {
        IdMap map;
        std::int64_t base = 0; ///< of an isolated one
    };
    NextMap next_idmap(const Loaded& instance) const; ///< @throws InvalidArgument, BadState: no room
    std::vector<IdSlot> taken_slots(const InstanceRef& but, const IdMap& server) const;
    void release_slot(const InstanceRef& ref) const;
    IdMap isolated_idmap(const Loaded& instance, const IdMap& server) const;
    void check_idmap(const IdMap& map) const; ///< @throws BadState: ids that root may not use
    IdMap disk_idmap(const Loaded& instance) const;
    void shift_root(Loaded& instance, const IdMap& to);
    void shift_stretch(Loaded& instance, std::int64_t intent, const IdMap& from, const IdMap& to);
    void finish_shifts(Loaded& instance);

    // --- checks ---
    void check_config(const api::StringMap& local) const;
    void check_expanded(const Loaded& instance) const;
    void check_policy(const api::StringMap& before, const Loaded& after) const; ///< both expanded
    void check_limits(const Loaded& instance) const;

    // --- AppArmor ---
    void check_apparmor(const api::StringMap& before, const Loaded& after) const; ///< @p before is expanded
    std::string apply_apparmor(const Loaded& instance, bool privileged) const;
    void unload_apparmor(const InstanceRef& ref) const;

    // --- creating ---
    std::optional<api::Image> find_image(const std::string& project, const api::InstanceSource& source) const;
    void run_create(Creation& creation, OperationContext& op);
    void build_row(Creation& creation);
    void create_imported(const Creation& creation, OperationContext& op);
    void add_devices(Loaded& instance);
    void repair();
    void thaw_source(const db::Intent& intent) const;

    // --- publishing ---
    void run_publish(const PublishRequest& request, OperationContext& op);

    // --- backup.yaml and backups ---
    BackupDocument backup_document(const Loaded& instance) const;
    /// To be called whenever rows that backup.yaml shows have changed. What fails is logged only.
    void write_backup_file(const InstanceRef& ref) const noexcept;
    void refresh_backup_files() const;
    struct BackupWork;
    BackupOwner backup_owner(const InstanceRef& ref) const; ///< @throws NotFound
    void run_backup(BackupWork& work, OperationContext& op);
    void pack_backup(const BackupWork& work, int file, const Dir& folder, OperationContext& op) const;
    void run_remove_backup(const InstanceRef& ref, const std::string& name);
    void repair_backups();
    void expire_backups();
    void place_root(Creation& creation, const std::string& pool) const;
    struct Lost;
    std::vector<Lost> look_for_lost(const nlohmann::json& request);
    std::set<std::string> missing_for(const Lost& lost) const;
    void recover_instance(const Lost& lost);

    // --- devices ---
    std::unique_ptr<device::Device> make_device(const std::string& name, const api::Device& config) const;
    void validate_devices(const api::Devices& devices) const;
    std::string devices_path(const InstanceRef& ref) const;
    device::Target target(const Loaded& instance, const IdMap& map, const std::string& path) const;
    static device::Volatile added_values(device::Device& device, const device::Target& seen,
                                         const device::Volatile& current);
    void hold_volumes(const Loaded& instance);
    void release_devices(const Loaded& instance, const IdMap& map, api::StringMap& changes);

    // --- changing ---
    void apply_change(const Loaded& before, Loaded after, bool user_requested);
    void plan_idmap(const Loaded& before, Loaded& after) const;
    struct DeviceChange;
    api::StringMap apply_devices(const Loaded& before, const Loaded& after, Rollback& undo);
    void apply_running(const Loaded& before, Loaded& after, const Running& running, Rollback& undo);
    void set_root_size(const Loaded& instance) const;
    void apply_limits(const Loaded& after, const Running& running);
    void apply_disk_limits(const std::vector<BlockRate>& before, const std::vector<BlockRate>& after,
                           const Running& running) const;
    CgroupLimits limits(const Loaded& instance) const; ///< without limits.cpu
    std::vector<BlockRate> disk_rates(const Loaded& instance) const;
    std::vector<BlockRate> old_disk_rates(const Loaded& instance) const;
    void run_rename(const InstanceRef& ref, const std::string& to);
    void run_remove(const InstanceRef& ref);
    void forget_directories(const InstanceRef& ref) const;
    void rename_directories(const InstanceRef& ref, const InstanceRef& to) const;
    void profile_check(const std::string& project, const std::string& profile, const api::ProfilePut& next);
    void profile_changed(const std::string& project, const std::string& profile, const api::ProfilePut& before);

    // --- running ---
    struct StartWork;
    void run_start(const InstanceRef& ref);
    void start_claimed(const InstanceRef& ref);
    void prepare_root(StartWork& work);
    void plan_devices(StartWork& work);
    void write_lxc_config(StartWork& work);
    void launch(StartWork& work);
    void finish_start(StartWork& work);
    std::string liblxc_failure(const InstanceRef& ref) const;
    struct StateChange {
        int operation_type;
        std::function<void()> work;
    };
    StateChange state_change(const InstanceRef& ref, const api::InstanceStatePut& request);
    void run_stop(const InstanceRef& ref, const api::InstanceStatePut& request);
    void stop_clean(const InstanceRef& ref, const Running& running, std::optional<std::chrono::milliseconds> timeout);
    void stop_forced(const InstanceRef& ref, const Running& running);
    void run_restart(const InstanceRef& ref, const api::InstanceStatePut& request);
    void run_freeze(const InstanceRef& ref, bool freeze);
    void container_ended(const InstanceRef& ref, std::uint64_t generation);
    void restart_rebooted(const InstanceRef& ref);
    void adopt();
    void expire_logs_daily();

    // --- the host's start and end ---
    struct HostStop {
        InstanceRef ref;
        std::chrono::seconds patience;
        std::optional<Running> running;
    };
    std::vector<BootSequence::Entry> wanted(const std::vector<InstanceRef>* only) const;
    void start_round(std::vector<BootSequence::Entry> entries);
    void round_done(const BootSequence::Outcome& outcome);
    void note_autostart(const InstanceRef& ref, const Error* error);
    void stop_group(std::vector<HostStop>& group);
    void remember_boot();
    void forget_boot();

    void signal_halt(const InstanceRef& ref, const Running& running);
    RunningGuest guest(const InstanceRef& ref) const; ///< @throws BadState "Instance is not running"
    std::optional<RunningGuest> running_guest(const Loaded& instance) const;
    int run_in_guest(const InstanceRef& ref, std::vector<std::string> command); ///< exit code, -1 without one
    template <typename Use>
    auto with_files(const InstanceRef& ref, Use&& use) const;

    // --- metadata and figures ---
    storage::MountedDir volume_of(const InstanceRef& ref) const; ///< @throws NotFound "Instance not found"
    void tell_template(const InstanceRef& ref, const std::string& action, const std::string& name) const;
    MetricSet measure(const std::string& project) const;
    using DiskNames = std::map<std::string, std::string>; ///< "8:0" to "sda"
    void measure_running(const Loaded& instance, const Running& running, const DiskNames& disks, MetricSet& out) const;

    // --- the guest's view ---
    Loaded seen_by(const Caller& caller) const;
    void switch_guest_api(const Loaded& before, const Loaded& after, const Running& running);
    void tell_guest(const Loaded& before, const Loaded& after);

    void lifecycle(const InstanceRef& ref, const std::string& action) const;
    /// Queues work that must not outlive this object.
    void post(std::function<void()> work);
    void post_after(std::chrono::milliseconds delay, std::function<void()> work);

    struct Gate {
        std::shared_mutex mutex;
        bool open = true;
    };

    Services s_;
    db::InstanceRepository repo_;
    db::BackupRepository backups_{db::BackupRepository::Of::Instances};
    db::InstanceSnapshotRepository snapshot_repo_;
    db::WarningRepository warnings_;
    db::IntentLog intents_;
    CgroupLayout cgroups_;
    HostResources host_;
    CpuBalancer balancer_;
    std::string cgroup_suffix_;
    std::unique_ptr<SyscallServer> syscalls_;
    std::unique_ptr<GuestAccess> guests_;
    std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
    /// Id ranges handed out to isolated instances whose rows may not be written yet.
    mutable Locked<std::map<InstanceRef, IdSlot>> id_slots_;
    Claims claims_;
    RuntimeTable runtime_;
    /// Keeps the volumes mounted that running containers are on; nothing where they are directories of a pool.
    using Mounts = std::vector<std::shared_ptr<const void>>;
    Locked<std::map<InstanceRef, Mounts>> mounts_;
    Locked<MetricsCache> metrics_;
    mutable Locked<ListCache> lists_;
    BackupStore backup_store_;
    mutable std::mutex metadata_mutex_; ///< metadata.yaml between reading and writing
    std::atomic<bool> host_shutdown_ = false, settled_ = false;
    Locked<std::shared_ptr<BootSequence>> boot_;
    GuestEvents guest_events_;
    Locked<std::set<InstanceRef>> snapshotting_; ///< by the clock, so that one never runs twice at once
    std::unique_ptr<MinuteTimer> snapshot_timer_;
};

/// How long a change waits for copies of the instance that are being made.
inline constexpr std::chrono::minutes kCopyPatience{10};

std::string instance_url(const InstanceRef& ref);
inline constexpr const char* kSyscallSocket = "seccomp.socket"; ///< in the state directory
bool offers_guest_api(const Loaded& instance);                  ///< security.devlxd
/// Whether cloud-init should run again, which a new volatile.cloud-init.instance-id tells it.
bool cloud_init_differs(const Loaded& before, const Loaded& after);
OperationOptions operation_options(int type, const InstanceRef& ref, bool with_containers = true);
/// volatile.<device>.* without the prefix, and back.
device::Volatile device_volatile(const api::StringMap& config, const std::string& device);
void store_device_volatile(api::StringMap& config, const std::string& device, const device::Volatile& values);
/// Names in the order in which devices start: disks by path (parents first), everything else by name.
std::vector<std::string> start_order(const api::Devices& devices);
/// The disk at "/". @throws InvalidArgument "Failed getting root disk: No root device could be found"
const std::pair<const std::string, api::Device>& root_disk(const api::Devices& devices);

} // namespace lxdcore::instance
