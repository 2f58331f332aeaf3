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
/// @throws Error InvalidArgument, Unsupported (of an instance)
VolumeIndex read_volume_index(const nlohmann::json& document);

} // namespace lxdcore::instance
