// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "db/intents.hpp"
#include "db/storage_pool_repository.hpp"
#include "db/storage_snapshot_repository.hpp"
#include "db/storage_volume_repository.hpp"
#include "db/warning_repository.hpp"
#include "storage/added_drivers.hpp"
#include "storage/pool_access.hpp"
#include "storage/server_folders.hpp"
#include "storage/storage_driver.hpp"
#include "storage/storage_manager.hpp"
#include "storage/volume_mounts.hpp"
#include "util/entity_locks.hpp"
#include "util/locked.hpp"

namespace lxdcore::storage {

/// Pools in pools.cpp, instance volumes in volumes.cpp and instance_snapshots.cpp, image trees in image_trees.cpp,
/// start-up in storage_manager.cpp.
class StorageManagerImpl final : public StorageManager, public PoolAccess {
public:
    StorageManagerImpl(db::Database& local, db::Database& global, const Dir& state_dir, EventService& events,
                       const Logger& log, AddedDrivers added);
    ~StorageManagerImpl() override;

    void start() override;

    std::vector<api::StoragePool> list() const override;
    std::vector<std::string> names() const override;
    api::StoragePool get(const std::string& name) const override;
    void create(const api::StoragePoolsPost& pool) override;
    void update(const std::string& name, const api::StoragePoolPut& pool, const std::string& if_match) override;
    void patch(const std::string& name, const api::StoragePoolPatch& pool, const std::string& if_match) override;
    void remove(const std::string& name) override;
    api::StoragePoolResources resources(const std::string& name) const override;
    std::vector<api::StorageVolume> volumes(const std::string& pool, const std::string& project,
                                            const std::string& type) const override;
    api::StorageVolume volume(const std::string& pool, const std::string& project, const std::string& type,
                              const std::string& name) const override;

    void ensure_image(const std::string& pool, const std::string& fingerprint, const VolumeFiller& unpack,
                      OperationContext& op) override;
    void remove_image(const std::string& fingerprint) override;
    void create_empty(const std::string& pool, const std::string& project, const std::string& instance,
                      OperationContext& op) override;
    void create_from_image(const std::string& pool, const std::string& project, const std::string& instance,
                           const std::string& fingerprint, OperationContext& op) override;
    void create_copy(const std::string& pool, const std::string& project, const std::string& instance,
                     const InstanceCopy& copy, OperationContext& op) override;
    void create_filled(const std::string& pool, const std::string& project, const std::string& instance,
                       const VolumeFiller& fill, OperationContext& op) override;
    void create_staged(const std::string& pool, const std::string& project, const std::string& instance,
                       const std::vector<std::string>& snapshots, const StageContent& stage) override;
    void rename_instance(const std::string& project, const std::string& instance, const std::string& to) override;
    void delete_instance(const std::string& project, const std::string& instance) override;
    void create_instance_snapshot(const std::string& project, const std::string& instance, const std::string& snapshot,
                                  OperationContext& op) override;
    void copy_instance_snapshot(const std::string& project, const std::string& instance, const std::string& snapshot,
                                const InstanceVolume& source, OperationContext& op) override;
    void rename_instance_snapshot(const std::string& project, const std::string& instance, const std::string& snapshot,
                                  const std::string& to) override;
    void delete_instance_snapshot(const std::string& project, const std::string& instance,
                                  const std::string& snapshot) override;
    void replace_instance(const std::string& project, const std::string& instance, const InstanceVolume& source,
                          OperationContext& op) override;
    void refresh_instance(const std::string& project, const std::string& instance, const InstanceVolume& source,
                          OperationContext& op) override;
    void move_instance(const std::string& project, const std::string& instance, const std::string& pool,
                       OperationContext& op) override;
    std::vector<std::string> instance_snapshots(const std::string& project, const std::string& instance) const override;
    MountedDir open_instance_snapshot(const std::string& project, const std::string& instance,
                                      const std::string& snapshot) override;
    void lost_volumes(const api::StoragePoolsPost& pool, const VisitLost& visit) override;
    void adopt_pool(const api::StoragePoolsPost& pool) override;
    void adopt_volume(const std::string& pool, const LostVolume& volume,
                      const std::function<void(db::Transaction&)>& also) override;
    std::string pool_of(const std::string& project, const std::string& instance) const override;
    MountedDir open_instance(const std::string& project, const std::string& instance) override;
    bool mounts_volumes(const std::string& pool) const override;
    void unmount_unused() override;
    std::string instance_path(const std::string& project, const std::string& instance) const override;
    bool idmapped_mounts(const std::string& pool) const override;
    std::int64_t instance_usage(const std::string& project, const std::string& instance) const override;
    std::int64_t snapshot_usage(const std::string& project, const std::string& instance,
                                const std::string& snapshot) const override;
    void set_instance_quota(const std::string& project, const std::string& instance, std::int64_t bytes) override;
    void require_pool(const std::string& pool) const override;

    std::shared_ptr<StorageDriver> driver(const std::string& pool) const override;
    MountedDir open_content(const std::string& pool, const VolumeId& volume) const override;
    OpenBlock open_block(const std::string& pool, const VolumeId& volume) const override;
    void discard_later(const std::string& pool, Staged staged) override;
    CustomVolumes& custom() const override;
    void set_custom(CustomVolumes* volumes) override;
    ServerFolders& server_folders() noexcept override { return folders_; }
    void confine_with(const HelperProgram& helper) noexcept override { helper_ = &helper; }

private:
    struct Pool {
        std::unique_ptr<StorageDriver> driver;
        VolumeMounts mounts;
        std::atomic<bool> available{false};
        std::atomic<bool> going{false}; ///< being deleted: what was set aside goes with the pool
        std::mutex discarding;          ///< of one thing that was set aside
        std::mutex mutex;               ///< mounting and probing; holds for what follows
        bool prepared = false;          ///< since the start, leftovers are swept and rows compared with volumes
        bool warned = false;
        std::optional<bool> idmapped;
    };
    using PoolPtr = std::shared_ptr<Pool>;
    /// Held shared while a tree is cloned, alone while it is made or removed.
    using TreeLock = std::shared_ptr<std::shared_mutex>;

    PoolPtr load(const db::StoragePoolRow& row);
    PoolPtr find_pool(const std::string& name) const; ///< @throws NotFound
    PoolPtr need_pool(const std::string& name) const; ///< mounted; @throws NotFound, Unavailable
    static MountedDir open_volume(const PoolPtr& pool, const VolumeId& volume);
    bool try_mount(const std::string& name, Pool& pool) const noexcept;
    void prepare(const std::string& name, StorageDriver& driver) const;
    bool is_available(const std::string& name) const;
    api::StoragePool api_pool(db::Transaction& tx, const db::StoragePoolRow& row) const;
    db::StoragePoolRow need_row(db::Transaction& tx, const std::string& name) const;
    void store_update(db::StoragePoolRow row, api::StringMap config, std::string description,
                      const std::string& if_match);

    std::optional<db::StorageVolumeRow> find_volume(const std::string& project, const std::string& instance) const;
    db::StorageVolumeRow need_volume(const std::string& project, const std::string& instance) const;
    using MakeVolume = std::function<Staged(StorageDriver&, const VolumeId& as)>;
    void create_volume(const std::string& pool, const std::string& project, const std::string& instance,
                       const MakeVolume& make);
    void create_snapshot(const std::string& project, const std::string& instance, const std::string& snapshot,
                         const MakeVolume& make);
    /// Whether what goes from one pool to the other are streams, which build upon the snapshots that came before.
    bool streams_between(const std::string& from, const std::string& to) const;
    void add_snapshot_row(const db::StorageVolumeRow& volume, const std::string& snapshot);
    /// Between pools of one backend that has streams; nothing where files are to be copied instead.
    std::optional<Staged> try_stream(StorageDriver& driver, const std::string& pool, const VolumeId& as,
                                     const db::StorageVolumeRow& from, const std::string& snapshot,
                                     std::stop_token stop) const;
    Staged stage_of(StorageDriver& driver, const std::string& pool, const VolumeId& as, const InstanceVolume& source,
                    OperationContext& op);
    void link(const std::string& volume, const std::string& pool) const;
    /// LXD's link in snapshots/, there as long as the instance has any.
    void link_snapshots(const std::string& project, const std::string& instance, const std::string& pool) const;

    TreeLock tree_lock(const std::string& pool, const std::string& fingerprint);
    void evict(const std::string& pool, StorageDriver& driver);
    bool tree_ready(StorageDriver& driver, const std::string& fingerprint) const;

    void repair_pools();
    void repair_adoptions();
    void repair_updates();
    void repair_renames() const;
    bool repair_rename(const db::Intent& intent, const std::string& within) const;
    void repair_moves();
    void exchange_volume(const PoolPtr& pool, const Staged& staged, OperationContext& op);
    void remove_copies(const std::string& pool, const std::string& volume);
    void repair_volumes_of(const std::string& pool, StorageDriver& driver) const;
    // Drivers whose images are volumes have them in the list.
    void record_image(const std::string& pool, const StorageDriver& driver, const std::string& fingerprint) const;
    void forget_image(const std::string& pool, const std::string& fingerprint) const;
    void repair_snapshots(const db::StorageVolumeRow& volume, StorageDriver& driver) const;
    void check_trees(const std::string& pool, StorageDriver& driver) const;
    void queue_sync(const std::string& pool, const std::string& fingerprint) const;
    void queue_discard(PoolPtr pool, Staged staged);
    void maintain(std::stop_token stop);
    void sync_trees(const std::set<std::pair<std::string, std::string>>& trees);

    db::Database& global_;
    const Dir& state_dir_;
    EventService& events_;
    const Logger& log_;
    const HelperProgram* helper_ = nullptr;
    mutable db::IntentLog intents_;
    /// Renames in pools that were away at the start.
    Locked<std::vector<db::Intent>> left_renames_;
    db::StoragePoolRepository pools_repository_;
    db::StorageVolumeRepository volumes_repository_;
    db::StorageSnapshotRepository snapshots_repository_;
    db::WarningRepository warnings_;
    const AddedDrivers added_;
    StorageDriverRegistry registry_ = StorageDriverRegistry::with_builtin_drivers();
    std::atomic<CustomVolumes*> custom_{nullptr};
    ServerFolders folders_;
    mutable EntityLocks locks_;
    Locked<std::map<std::string, PoolPtr>> pools_;
    Locked<std::map<std::string, TreeLock>> trees_;
    /// What the maintenance thread does when nobody waits for it.
    struct Chores {
        std::set<std::pair<std::string, std::string>> unsynced; ///< trees to write out: pool, fingerprint
        std::vector<std::pair<PoolPtr, Staged>> set_aside;      ///< volumes whose content goes
        bool empty() const { return unsynced.empty() && set_aside.empty(); }
    };
    Locked<Chores> chores_;
    mutable std::condition_variable_any wake_;
    std::atomic<bool> started_{false};
    std::jthread maintenance_; ///< last: it ends before what it uses
};

/// What makes an instance; backup.yaml is written anew by the instance itself.
extern const std::vector<std::string> kInstanceContent;
/// Directory name of an instance outside its pool and inside.
std::string volume_name(const std::string& project, const std::string& instance);
VolumeId instance_volume(const std::string& name, std::int64_t row = 0);
VolumeId instance_volume(const db::StorageVolumeRow& row, const std::string& snapshot = {}); ///< not to be counted
/// A clone without what a pool keeps for itself beside the content.
Staged clone_content(StorageDriver& driver, const VolumeId& as, const VolumeId& source, std::stop_token stop);
/// What belongs to the source alone goes; on failure all of it.
void keep_content(StorageDriver& driver, const Staged& staged);
Staged stage_filled(StorageDriver& driver, const VolumeId& as, const VolumeFiller& fill, OperationContext& op);
/// What a new volume takes over from its pool's "volume.*"; what it sets itself goes before.
api::StringMap volume_defaults(const api::StringMap& pool, db::VolumeKind kind, bool block);
api::StorageVolume api_volume(const db::StorageVolumeRow& row);

} // namespace lxdcore::storage
