// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <lxdcore/api/types.hpp>

namespace lxdcore::instance {

/// The policy as text for liblxc: LXD's defaults (loading kernels and modules, opening files by handle, forced
/// unmounts), security.syscalls.* under their new and old names, or raw.seccomp as it is. "" if nothing is restricted.
std::string seccomp_profile(const api::StringMap& config);
bool asks_about_calls(std::string_view policy); ///< some calls are carried out for the guest
/// LXD's rules of which of these keys exclude each other. @throws Error InvalidArgument with LXD's texts
void check_seccomp(const api::StringMap& config);

} // namespace lxdcore::instance
