// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

/// Kernel settings below /proc/sys, named by path ("net/ipv4/ip_forward"). Reentrant.
namespace lxdcore::sysctl {

bool exists(std::string_view name);
std::string read(std::string_view name); ///< without the newline. @throws NotFound
/// Writes only when the value differs. @throws NotFound, Internal
void write(std::string_view name, std::string_view value);

} // namespace lxdcore::sysctl
