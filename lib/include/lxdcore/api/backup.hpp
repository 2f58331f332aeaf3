// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/api/types.hpp>

namespace lxdcore::api {

struct InstanceBackupsPost {
    std::string name; ///< "": the first free of backup0, backup1, …
    Time expires_at;  ///< unset: never
    bool instance_only = false;
    bool container_only = false; ///< the same, as it was called before
    bool optimized_storage = false;
    std::string compression_algorithm; ///< "": as the server is set
};
LXDCORE_API_JSON(InstanceBackupsPost);

struct InstanceBackup {
    std::string name;
    Time created_at, expires_at;
    bool instance_only = false;
    bool container_only = false;
    bool optimized_storage = false;
};
LXDCORE_API_JSON(InstanceBackup);

struct StorageVolumeBackupsPost {
    std::string name;
    Time expires_at;
    bool volume_only = false;
    bool optimized_storage = false;
    std::string compression_algorithm;
};
LXDCORE_API_JSON(StorageVolumeBackupsPost);

struct StorageVolumeBackup {
    std::string name;
    Time created_at, expires_at;
    bool volume_only = false;
    bool optimized_storage = false;
};
LXDCORE_API_JSON(StorageVolumeBackup);

} // namespace lxdcore::api
