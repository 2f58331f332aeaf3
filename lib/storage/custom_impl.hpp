// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <optional>

#include "db/intents.hpp"
#include "db/storage_snapshot_repository.hpp"
#include "db/storage_volume_repository.hpp"
#include "storage/custom_volumes.hpp"
#include "storage/pool_access.hpp"
#include "util/entity_locks.hpp"
#include "util/minute_timer.hpp"

namespace lxdcore::storage {

/// Views in custom_views.cpp, making and copying in custom_create.cpp and custom_copy.cpp, changes in custom_change.cpp
/// and custom_move.cpp, snapshots in custom_snapshots.cpp, devices in custom_attach.cpp, start-up in custom_repair.cpp,
/// schedules in custom_schedule.cpp.
class CustomVolumesImpl final : public CustomVolumes {
public:
    explicit CustomVolumesImpl(const CustomVolumesNeeds& needs);
    ~CustomVolumesImpl() override;

    void start(Running running) override;
    void start_schedules() override;
    void stop() noexcept override;

    std::vector<api::StorageVolume> list(const std::string& pool, const std::string& project,
                                         const std::string& type) const override;
    api::StorageVolume get(const VolumeRef& ref) const override;
    api::StorageVolumeState state(const VolumeRef& ref) const override;
    OperationPtr create(const std::string& pool, const std::string& project,
                        const api::StorageVolumesPost& volume) override;
    void update(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) override;
    void patch(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) override;
    OperationPtr move(const VolumeRef& ref, const api::StorageVolumePost& change) override;
    void remove(const VolumeRef& ref) override;

    std::vector<api::StorageVolumeSnapshot> snapshots(const VolumeRef& ref) const override;
    api::StorageVolumeSnapshot snapshot(const VolumeRef& ref, const std::string& name) const override;
    OperationPtr create_snapshot(const VolumeRef& ref, const api::StorageVolumeSnapshotsPost& snapshot) override;
    void update_snapshot(const VolumeRef& ref, const std::string& name, const api::StorageVolumeSnapshotPut& change,
                         const std::string& if_match) override;
    void patch_snapshot(const VolumeRef& ref, const std::string& name, const api::StorageVolumeSnapshotPut& change,
                        const std::string& if_match) override;
    OperationPtr rename_snapshot(const VolumeRef& ref, const std::string& name,
                                 const api::StorageVolumeSnapshotPost& change) override;
    OperationPtr remove_snapshot(const VolumeRef& ref, const std::string& name) override;

    bool is_block(const std::string& pool, const std::string& project, const std::string& name) const override;
    AttachedVolume attach(const std::string& pool, const std::string& project, const std::string& name,
                          const std::string& instance, const IdMap& map) override;
    void create_staged(const NewVolume& volume, const std::vector<NewVolumeSnapshot>& snapshots,
                       const StageContent& stage) override;
    MountedDir open(const std::string& pool, const std::string& project, const std::string& name,
                    const std::string& snapshot) const override;
    OpenBlock open_block(const std::string& pool, const std::string& project, const std::string& name,
                         const std::string& snapshot) const override;
    void set_follower(Follow follow) override { follow_ = std::move(follow); }

private:
    using Row = db::StorageVolumeRow;
    using SnapshotRow = db::StorageSnapshotRow;
    using DriverPtr = std::shared_ptr<StorageDriver>;
    using Make = std::function<Staged(StorageDriver& driver, const VolumeId& as)>;
    using Guards = std::vector<EntityLocks::Guard>;

    // rows
    std::optional<Row> find_row(const std::string& pool, const std::string& project, const std::string& name) const;
    Row need_row(const VolumeRef& ref) const; ///< any kind; @throws NotFound "Storage pool volume not found"
    Row need_custom(const std::string& pool, const std::string& project, const std::string& name) const;
    SnapshotRow need_snapshot(const Row& volume, const std::string& name) const;
    std::vector<SnapshotRow> snapshot_rows(const Row& volume) const;
    /// The volume as the source of a copy. @p name may be that of a snapshot. @throws as LXD puts it
    std::pair<Row, std::string> need_source(const std::string& pool, const std::string& project,
                                            const std::string& name) const;
    void fill_defaults(Row& row) const;                                    ///< from volume.* of its pool
    void check_config(const Row& row, const api::StringMap& config) const; ///< see check_volume_config()
    void require_free(const Row& row) const;
    Guards lock(std::initializer_list<const Row*> rows) const;
    std::vector<std::string> running_users(const Row& row) const;
    bool used_by_server(const Row& row) const; ///< for images or backups

    // content
    void create_empty(Row row);
    void publish_new(Row row, const Make& make, const std::function<void(Row&, StorageDriver&)>& add_snapshots = {});
    void settle(StorageDriver& driver, const Row& row) const; ///< what its size asks for
    void apply_size(StorageDriver& driver, const Row& row, const std::string& before) const;
    void publish_snapshot(const Row& volume, SnapshotRow snapshot, const Make& make);
    /// What there is already where the copy goes.
    struct Base {
        std::vector<std::string> snapshots = {}; ///< of the source that have arrived
        const Dir* older = nullptr;              ///< the volume that the copy replaces, with the same owners
    };
    Staged stage_from(StorageDriver& driver, const std::string& pool, const VolumeId& as, const Row& source,
                      const std::string& snapshot, const Base& base, std::stop_token stop,
                      OperationContext* told) const;
    Staged stage_block(StorageDriver& driver, VolumeId as, const std::string& pool, const VolumeId& source,
                       const std::stop_token& stop) const;
    std::optional<Staged> try_stream(StorageDriver& driver, const std::string& pool, const VolumeId& as,
                                     const Row& source, const std::string& snapshot, const Base& base,
                                     std::stop_token stop) const;
    void shift_staged(StorageDriver& driver, const Staged& staged, const std::string& from,
                      const std::string& to) const;

    // actions
    void copy(Row row, const api::StorageVolumeSource& source, OperationContext& op);
    void refresh(const Row& row, const api::StorageVolumeSource& source, OperationContext& op);
    void refresh_content(const Row& row, const Row& source, const std::string& snapshot, bool volume_only,
                         std::stop_token stop, OperationContext* told);
    void store(Row row, api::StringMap config, std::string description);
    std::int64_t begin_resize(const Row& row); ///< the intent
    void restore(Row row, const std::string& snapshot);
    void rename(Row row, const std::string& to);
    void move_to(Row row, Row target, OperationContext& op);
    void drop_volume(const std::string& pool, const std::string& name, bool block);
    void remove_row(const Row& row);
    void tell_follower(const std::string& from, const std::string& to) const;
    void remove_snapshot_of(const Row& row, const SnapshotRow& snapshot);
    void rename_snapshot_of(const Row& row, const std::string& name, const std::string& to);
    void make_snapshot(Row row, const std::string& name, const std::optional<api::Time>& expires_at,
                       std::stop_token stop);
    void store_snapshot(const Row& row, SnapshotRow snapshot);
    std::string free_snapshot_name(const Row& row, const std::string& pattern) const;
    OperationPtr start_operation(int type, const Row& row, const char* entity, OperationService::Work work);

    // ids
    void shift_volume(Row& row, const IdMap& to, const std::string& instance);
    void shift_stretch(Row& row, std::int64_t intent, const IdMap& from, const IdMap& to);
    void finish_shifts(Row& row);

    // start-up
    template <class Repair>
    void repair(const char* kind, Repair&& one);
    void repair_create(const db::Intent& intent);
    void repair_rename(const db::Intent& intent);
    void repair_move(const db::Intent& intent);
    void repair_delete(const db::Intent& intent);
    void repair_resize(const db::Intent& intent);
    void repair_snapshot_create(const db::Intent& intent);
    void repair_snapshot_rename(const db::Intent& intent);
    void repair_snapshot_delete(const db::Intent& intent);
    void repair_shift(const db::Intent& intent);
    void repair_refresh(const db::Intent& intent);

    // schedules
    void tick(Schedule::Time last, Schedule::Time now);
    void remove_expired(const Row& row, Schedule::Time now);
    void snapshot_if_due(const Row& row, Schedule::Time last, Schedule::Time now);

    void event(const Row& row, const char* action, const char* key = nullptr, const std::string& value = {}) const;
    void snapshot_event(const Row& row, const std::string& snapshot, const char* action, const char* key = nullptr,
                        const std::string& value = {}) const;

    db::Database& local_;
    db::Database& global_;
    StorageManager& pools_;
    PoolAccess& access_; ///< the same
    OperationService& operations_;
    EventService& events_;
    const Logger& log_;
    db::IntentLog intents_;
    db::StorageVolumeRepository volumes_;
    db::StorageSnapshotRepository snapshots_;
    mutable EntityLocks locks_;
    Running running_;
    Follow follow_;
    std::unique_ptr<MinuteTimer> timer_; ///< last: it ends before what it uses
};

/// Intents of custom volumes; their data are JSON.
namespace intent {
inline constexpr const char* kCreate = "custom-volume-create";
inline constexpr const char* kDelete = "custom-volume-delete";
inline constexpr const char* kRename = "custom-volume-rename";
inline constexpr const char* kMove = "custom-volume-move";
inline constexpr const char* kRefresh = "custom-volume-refresh";
inline constexpr const char* kResize = "custom-volume-resize";
inline constexpr const char* kShift = "custom-volume-shift";
inline constexpr const char* kSnapshotCreate = "custom-snapshot-create";
inline constexpr const char* kSnapshotRename = "custom-snapshot-rename";
inline constexpr const char* kSnapshotDelete = "custom-snapshot-delete";
} // namespace intent

/// LXD's number of a kind. @throws Error InvalidArgument "Invalid storage volume type name"
db::VolumeKind volume_kind(const std::string& type);

/// Directory name of a custom volume: that of the project is in front, also of the default one.
std::string custom_name(const std::string& project, const std::string& name);
VolumeId custom_volume(const db::StorageVolumeRow& row);
/// "pool/project_name": what is kept of the volume outside of its pool.
std::string custom_place(const db::StorageVolumeRow& row);
/// Without a number: only the volume itself is counted.
VolumeId custom_snapshot(const db::StorageVolumeRow& row, const std::string& snapshot);

/// Options of a volume. @throws Error Internal with LXD's text
void check_volume_config(const db::StorageVolumeRow& row, const std::string& driver, const api::StringMap& config);
/// A name that a snapshot may have. @throws Error InvalidArgument
void check_snapshot_name(const std::string& name);

} // namespace lxdcore::storage
