// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lxdcore::instance {

struct KernelLimit {
    int resource; ///< RLIMIT_*
    std::uint64_t soft, hard;
    bool operator==(const KernelLimit&) const = default;
};

/// The lxc.prlimit.* of a configuration that liblxc has taken; what it would not take is left out.
std::vector<KernelLimit> kernel_limits(const std::string& lxc_conf);

} // namespace lxdcore::instance
