// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/storage_volume_service.hpp>

#include "db/database.hpp"
#include "storage/storage_manager.hpp"
#include "storage/volume_mounts.hpp"
#include "system/idmap.hpp"

namespace lxdcore::storage {

/// A volume that is made from outside, an archive for instance.
struct NewVolume {
    std::string pool, project, name;
    std::string description;
    api::StringMap config; ///< as it is, volatile.* too
    bool block = false;
};
struct NewVolumeSnapshot {
    std::string name, description;
    api::Time expires_at;
    api::StringMap config;
};

/// A custom volume that an instance is to see.
struct AttachedVolume {
    MountedDir content;
    bool shifted = false; ///< to be mounted with the id map of the instance
};

/// What devices and backups need of custom volumes, beside the public service. Thread-safe.
class CustomVolumes : public StorageVolumeService {
public:
    /// Whether an instance runs, for what must not happen under it. Asked without any lock of an instance.
    using Running = std::function<bool(const std::string& project, const std::string& instance)>;

    /// Finishes or undoes interrupted changes; after the pools, before anything else.
    virtual void start(Running running) = 0;
    /// Makes and removes snapshots by their schedules from now on.
    virtual void start_schedules() = 0;
    virtual void stop() noexcept = 0; ///< no more of these

    /// Whether it holds a block device image. @throws Error NotFound "Storage volume not found"
    virtual bool is_block(const std::string& pool, const std::string& project, const std::string& name) const = 0;
    /// Brings the owners of files to what @p map wants (empty: those of the host), which no other running instance may
    /// contradict, and opens the volume: the very object is to be mounted (R15). @p instance is the one that asks.
    /// @throws Error NotFound, BadState
    virtual AttachedVolume attach(const std::string& pool, const std::string& project, const std::string& name,
                                  const std::string& instance, const IdMap& map) = 0;

    /// A volume with snapshots, which come first; complete or not at all. @throws Error AlreadyExists
    virtual void create_staged(const NewVolume& volume, const std::vector<NewVolumeSnapshot>& snapshots,
                               const StageContent& stage) = 0;
    /// The content of a volume, or of a snapshot of it (@p snapshot not empty). @throws Error NotFound
    virtual MountedDir open(const std::string& pool, const std::string& project, const std::string& name,
                            const std::string& snapshot = {}) const = 0;
    /// The bytes of one that is_block(). @throws Error NotFound
    virtual OpenBlock open_block(const std::string& pool, const std::string& project, const std::string& name,
                                 const std::string& snapshot = {}) const = 0;

    /// Told of a volume ("pool/project_name") that is elsewhere now, or nowhere (""), before the change is over; to
    /// be safe to repeat.
    using Follow = std::function<void(const std::string& from, const std::string& to)>;
    virtual void set_follower(Follow follow) = 0;
};

struct CustomVolumesNeeds {
    db::Database& local;
    db::Database& global;
    StorageManager& pools;
    OperationService& operations;
    EventService& events;
    const Logger& log;
};
std::unique_ptr<CustomVolumes> make_custom_volumes(const CustomVolumesNeeds& needs);

} // namespace lxdcore::storage
