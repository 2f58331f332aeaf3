// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <lxdcore/api/types.hpp>

namespace lxdcore::api {

/// What a snapshot keeps of its instance, and what its instance still says for it (profiles, architecture).
struct InstanceSnapshot {
    Time expires_at; ///< none: never
    std::string architecture;
    StringMap config;
    Time created_at;
    Devices devices;
    bool ephemeral = false;
    StringMap expanded_config;
    Devices expanded_devices;
    Time last_used_at;
    std::string name; ///< without that of the instance
    std::vector<std::string> profiles;
    bool stateful = false;
    std::int64_t size = -1; ///< bytes; -1: the pool cannot tell
};
LXDCORE_API_JSON(InstanceSnapshot);

struct InstanceSnapshotsPost {
    std::string name; ///< "": by snapshots.pattern
    bool stateful = false;
    std::optional<Time> expires_at; ///< unset: by snapshots.expiry
};
LXDCORE_API_JSON(InstanceSnapshotsPost);

/// The editable part; its ETag covers [expires_at].
struct InstanceSnapshotPut {
    std::optional<Time> expires_at; ///< unset: as it is
};
LXDCORE_API_JSON(InstanceSnapshotPut);

struct InstanceSnapshotPost {
    std::string name;
    bool migration = false;
    bool live = false;
};
LXDCORE_API_JSON(InstanceSnapshotPost);

} // namespace lxdcore::api
