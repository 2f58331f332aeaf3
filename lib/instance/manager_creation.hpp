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
        std::vector<std::string> snapshots;
        std::string disk_map = "[]"; ///< how the owners of its files are shifted
        api::StringMap kept;         ///< volatile keys that stay
        api::Time created_at, last_used_at;
    };
    InstanceRef ref;
    api::InstancesPost request;
    std::optional<api::Image> image;
    std::optional<Loaded> source; ///< copy
    std::optional<Import> import;
    Loaded instance;
    std::string pool;
};

} // namespace lxdcore::instance
