// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/api/types.hpp>

namespace lxdcore::api {

/// Body of PUT; with `restore`, a missing config leaves the configuration alone.
struct StorageVolumePut {
    std::optional<StringMap> config;
    std::string description, restore;
};
LXDCORE_API_JSON(StorageVolumePut);
struct StorageVolumeSource {
    std::string name, type, pool, project, mode;
    bool volume_only = false, refresh = false;
};
LXDCORE_API_JSON(StorageVolumeSource);
struct StorageVolumesPost {
    StringMap config;
    std::string description, name, type, content_type;
    StorageVolumeSource source;
};
LXDCORE_API_JSON(StorageVolumesPost);
/// Rename, and move to another pool or project.
struct StorageVolumePost {
    std::string name, pool, project;
    bool migration = false, volume_only = false;
};
LXDCORE_API_JSON(StorageVolumePost);
struct StorageVolumeSnapshotsPost {
    std::string name;
    std::optional<Time> expires_at; ///< unset: by snapshots.expiry of the volume
};
LXDCORE_API_JSON(StorageVolumeSnapshotsPost);
struct StorageVolumeSnapshotPost {
    std::string name;
    bool migration = false;
};
LXDCORE_API_JSON(StorageVolumeSnapshotPost);
struct StorageVolumeSnapshotPut {
    std::optional<std::string> description;
    std::optional<Time> expires_at;
};
LXDCORE_API_JSON(StorageVolumeSnapshotPut);
struct StorageVolumeSnapshot {
    std::string description;
    std::optional<Time> expires_at;
    std::string name;
    StringMap config;
    std::string content_type;
    Time created_at;
};
LXDCORE_API_JSON(StorageVolumeSnapshot);
struct StorageVolumeState {
    std::optional<SpaceUse> usage;
};
LXDCORE_API_JSON(StorageVolumeState);

} // namespace lxdcore::api
