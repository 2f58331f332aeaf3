// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "storage/custom_volumes.hpp"

namespace lxdcore::instance {

/// index.yaml of a backup of a custom volume, its names checked (R8), its options those that are known (R24).
struct VolumeIndex {
    storage::NewVolume volume;                         ///< pool and project: where it was
    std::vector<storage::NewVolumeSnapshot> snapshots; ///< that the archive has, oldest first
    std::string backend;                               ///< storage driver
    bool optimized = false;                            ///< in the form of the driver
};
/// @p driver: of the pool that it comes to. @throws Error InvalidArgument
VolumeIndex read_volume_index(const nlohmann::json& document, const std::string& driver);

} // namespace lxdcore::instance
