// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "instance/backup_index.hpp"
#include "instance/manager.hpp"

namespace lxdcore::instance {

/// One creation between the request and the finished row.
struct Manager::Creation {
    /// From a backup.
    struct Import {
        std::shared_ptr<int> archive;
        std::vector<std::string> snapshots;  ///< that have files, oldest first
        std::vector<BackupSnapshot> records; ///< what is said of them
        std::string backend;                 ///< the storage driver in whose form the files are; "": plain files
        std::string disk_map = "[]";         ///< how the owners of its files are shifted
        api::StringMap kept;                 ///< volatile keys that stay
        api::Time created_at, last_used_at;
    };
    InstanceRef ref;
    api::InstancesPost request;
    std::optional<api::Image> image;
    std::optional<Loaded> source; ///< copy; of a snapshot: the instance as that has it
    std::string source_snapshot;  ///< "": the instance itself
    std::optional<Import> import;
    Loaded instance;
    std::string pool;

    bool instance_only() const { return request.source.instance_only || request.source.container_only; }
    bool with_snapshots() const { return source && source_snapshot.empty() && !instance_only(); }
    storage::InstanceVolume source_volume() const {
        return {.project = source->row.project, .instance = source->row.name, .snapshot = source_snapshot};
    }
};

} // namespace lxdcore::instance
