// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "system/cgroup.hpp"

namespace lxdcore::instance {

/// What the host has, for limits that are shares of it.
struct HostResources {
    std::int64_t memory = 0;          ///< bytes
    std::vector<std::int64_t> cpus;   ///< usable ones, ascending
    std::set<std::string> huge_pages; ///< page sizes as in LXD's keys: "2MB", "1GB"
    static HostResources detect(const CgroupLayout& layout);
};

/// limits.* of an expanded configuration in neutral terms, without limits.cpu, which CpuBalancer deals out.
/// @throws Error InvalidArgument naming the key
CgroupLimits limits_of(const api::StringMap& config, const HostResources& host);
/// limits.kernel.* and linux.sysctl.* as liblxc takes them. @throws Error with LXD's text
void check_kernel_limits(const api::StringMap& config);

/// "0-2,5" to its numbers; ranges that run backwards are empty, as in LXD. @throws Error InvalidArgument
std::vector<std::int64_t> parse_cpu_list(const std::string& text);

/// "c2-m4" and its parts, "aws:t2.micro" or "t2.micro" (instance_types.inc) to limits.cpu, limits.cpu.allowance and
/// limits.memory. @throws Error InvalidArgument "Provided instance type doesn't exist: zzz", "Bad custom instance type:
/// cx"
api::StringMap instance_type_limits(const std::string& type);

} // namespace lxdcore::instance
