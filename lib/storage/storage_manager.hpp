// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/storage_service.hpp>

#include "db/database.hpp"
#include "storage/volume_mounts.hpp"
#include "util/dir.hpp"

namespace lxdcore::storage {

/// Puts content into an empty volume directory: "metadata.yaml", "templates/", "rootfs/" for images.
using VolumeFiller = std::function<void(const Dir& target, OperationContext& op)>;

struct Staged;
struct VolumeId;
class StorageDriver;
/// Stages what is to become the snapshots of a volume and, last, the volume: all of them or none.
using StageContent = std::function<std::vector<Staged>(StorageDriver& driver, const std::vector<VolumeId>& as)>;

/// What a new instance volume is a copy of.
struct InstanceVolume {
    std::string project, instance;
    std::string snapshot = {}; ///< "": the volume itself
};

/// Perhaps from another pool.
struct InstanceCopy {
    InstanceVolume source;
    std::vector<std::string> snapshots = {}; ///< of the source, which come along
    /// Asked before the source itself, which may be in use, is copied; what it gives lives until that is done.
    std::function<std::shared_ptr<const void>()> standstill = {};
};

/// A volume on a pool that the database does not know.
struct LostVolume {
    bool custom = false;
    std::string project = "default", name;
    std::vector<std::string> snapshots = {};
    bool device = false; ///< of its backend; a custom volume
};

/// What instances and images need of pools, beside the public service. Thread-safe; never called twice at once for the
/// same instance volume (the caller holds the instance's lock).
class StorageManager : public StorageService {
public:
    /// Makes directories, mounts, sweeps leftovers of interrupted work, loads pools; a pool that is not there becomes
    /// "Unavailable" and is retried. Called once at start-up, before anything else.
    virtual void start() = 0;

    /// The unpacked tree of an image in a pool, made with @p unpack if it is not there yet; concurrent callers wait for
    /// the first. Safe to call for a tree that exists.
    virtual void ensure_image(const std::string& pool, const std::string& fingerprint, const VolumeFiller& unpack,
                              OperationContext& op) = 0;
    virtual void remove_image(const std::string& fingerprint) = 0; ///< from all pools

    /// A new instance volume, complete or not at all (staging name, rename, row). Also the link containers/<name>.
    virtual void create_empty(const std::string& pool, const std::string& project, const std::string& instance,
                              OperationContext& op) = 0;
    virtual void create_from_image(const std::string& pool, const std::string& project, const std::string& instance,
                                   const std::string& fingerprint, OperationContext& op) = 0;
    /// A new volume with the content of another, or of one of its snapshots, and with the snapshots that are named.
    /// After a failure delete_instance() removes what is there.
    virtual void create_copy(const std::string& pool, const std::string& project, const std::string& instance,
                             const InstanceCopy& copy, OperationContext& op) = 0;
    /// Whatever @p fill puts into it, all of it.
    virtual void create_filled(const std::string& pool, const std::string& project, const std::string& instance,
                               const VolumeFiller& fill, OperationContext& op) = 0;
    /// With these snapshots, which come before the volume; all of it or nothing.
    virtual void create_staged(const std::string& pool, const std::string& project, const std::string& instance,
                               const std::vector<std::string>& snapshots, const StageContent& stage) = 0;
    virtual void rename_instance(const std::string& project, const std::string& instance, const std::string& to) = 0;
    virtual void delete_instance(const std::string& project, const std::string& instance) = 0; ///< absent is fine

    // Snapshots of an instance's volume, complete or not at all, with their rows. Names have been checked. They are
    // renamed and deleted with the volume.
    /// @throws Error AlreadyExists
    virtual void create_instance_snapshot(const std::string& project, const std::string& instance,
                                          const std::string& snapshot, OperationContext& op) = 0;
    /// A snapshot whose content is that of another instance's snapshot (or volume), perhaps from another pool.
    virtual void copy_instance_snapshot(const std::string& project, const std::string& instance,
                                        const std::string& snapshot, const InstanceVolume& source,
                                        OperationContext& op) = 0;
    /// Safe to repeat after an interruption.
    virtual void rename_instance_snapshot(const std::string& project, const std::string& instance,
                                          const std::string& snapshot, const std::string& to) = 0;
    virtual void delete_instance_snapshot(const std::string& project, const std::string& instance,
                                          const std::string& snapshot) = 0; ///< absent is fine
    /// The volume gets the content of @p source (a snapshot of its own, or anything else) in one step: it has the old
    /// content until the new is complete (R46). The instance must not run.
    virtual void replace_instance(const std::string& project, const std::string& instance, const InstanceVolume& source,
                                  OperationContext& op) = 0;
    /// As replace_instance(); files that the volume has already are kept rather than copied where that costs less.
    virtual void refresh_instance(const std::string& project, const std::string& instance, const InstanceVolume& source,
                                  OperationContext& op) = 0;
    /// The volume and its snapshots to another pool, where the old ones go last. The instance must not run.
    virtual void move_instance(const std::string& project, const std::string& instance, const std::string& pool,
                               OperationContext& op) = 0;
    virtual std::vector<std::string> instance_snapshots(const std::string& project,
                                                        const std::string& instance) const = 0; ///< in order of making
    /// @throws Error NotFound
    virtual MountedDir open_instance_snapshot(const std::string& project, const std::string& instance,
                                              const std::string& snapshot) = 0;

    // What a lost database knew (R45).
    using VisitLost = std::function<void(const LostVolume& volume, const Dir& content)>;
    /// Shows the instance and custom volumes of a pool that have no rows; the pool itself need have none. Changes
    /// nothing. @throws Error when the pool cannot be mounted
    virtual void lost_volumes(const api::StoragePoolsPost& pool, const VisitLost& visit) = 0;
    /// The row of a pool that exists, as it is; fine if there is one already.
    virtual void adopt_pool(const api::StoragePoolsPost& pool) = 0;
    /// The rows of a volume and its snapshots, and what @p also writes, in one transaction. Safe to repeat.
    virtual void adopt_volume(const std::string& pool, const LostVolume& volume,
                              const std::function<void(db::Transaction&)>& also) = 0;

    /// The pool that holds the instance. @throws Error NotFound
    virtual std::string pool_of(const std::string& project, const std::string& instance) const = 0;
    /// The volume directory ($pool/containers/<name>), mounted as long as the result lives. Who reaches it by its path,
    /// as a running container does, keeps the mount.
    virtual MountedDir open_instance(const std::string& project, const std::string& instance) = 0;
    /// Whether volumes of the pool have to be mounted at all. @throws as require_pool()
    virtual bool mounts_volumes(const std::string& pool) const = 0;
    /// Unmounts volumes that nobody has open, once those of running instances are.
    virtual void unmount_unused() = 0;
    /// Absolute path of the volume directory, and of rootfs in it.
    virtual std::string instance_path(const std::string& project, const std::string& instance) const = 0;
    /// Whether rootfs can be mounted with an id map (then ids on disk stay unshifted).
    virtual bool idmapped_mounts(const std::string& pool) const = 0;
    /// Bytes used by the instance's root disk, if the pool can tell cheaply; -1 otherwise.
    virtual std::int64_t instance_usage(const std::string& project, const std::string& instance) const = 0;
    /// The same of a snapshot: what only it keeps, where the pool can tell. @throws Error NotFound
    virtual std::int64_t snapshot_usage(const std::string& project, const std::string& instance,
                                        const std::string& snapshot) const = 0;
    /// Applies the root disk's size; 0 removes the limit. Pools without quotas ignore it with a log line.
    virtual void set_instance_quota(const std::string& project, const std::string& instance, std::int64_t bytes) = 0;
    /// @throws Error NotFound, Unavailable "Storage pool \"x\" unavailable on this server"
    virtual void require_pool(const std::string& pool) const = 0;
};

/// "storage_supported_drivers" of the environment: those whose tools and part of the kernel are here.
nlohmann::json supported_drivers();

std::unique_ptr<StorageManager> make_storage_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, const Logger& log);

} // namespace lxdcore::storage
