// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <lxdcore/api/types.hpp>

#include "system/cgroup.hpp"

namespace lxdcore::instance {

/// What the host has, for limits that are shares of it.
struct HostResources {
    std::int64_t memory = 0;        ///< bytes
    std::vector<std::int64_t> cpus; ///< usable ones, ascending
    static HostResources detect(const CgroupLayout& layout);
};

/// limits.* of an expanded configuration in neutral terms. @p name spreads "limits.cpu: 2" over the processors.
/// @throws Error InvalidArgument naming the key
CgroupLimits limits_of(const api::StringMap& config, const HostResources& host, const std::string& name);

/// "0-2,5" to its numbers. @throws Error InvalidArgument
std::vector<std::int64_t> parse_cpu_list(const std::string& text);

/// "c2-m4" and its parts to limits.cpu and limits.memory. @throws Error InvalidArgument
/// "Provided instance type doesn't exist: zzz"
api::StringMap instance_type_limits(const std::string& type);

} // namespace lxdcore::instance
