// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "system/cgroup.hpp"

namespace lxdcore::device {

bool has_disk_limits(const api::Device& disk);

/// limits.read, limits.write and limits.max of a disk, without its block device. "10MB" is bytes per second, "100iops"
/// operations per second. @throws Error InvalidArgument with LXD's text
BlockRate disk_rate(const api::Device& disk);

/// Rates of all disks of an instance by block device; where two disks share one, the kernel can only hold their
/// average, as LXD does it. @p block_of gives the block device of a disk, none for a disk that is not there, and may
/// throw.
std::vector<BlockRate> block_rates(const api::Devices& devices,
                                   const std::function<std::optional<std::string>(const api::Device&)>& block_of);

/// Rates that lift what @p before had and @p after has no more, then @p after.
std::vector<BlockRate> changed_rates(const std::vector<BlockRate>& before, const std::vector<BlockRate>& after);

} // namespace lxdcore::device
