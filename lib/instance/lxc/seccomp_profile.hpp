// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <lxdcore/api/types.hpp>

namespace lxdcore::instance {

/// The policy as text for liblxc: LXD's defaults (loading kernels and modules, opening files by handle, forced
/// unmounts), security.syscalls.* under their new and old names, or raw.seccomp as it is. "" if nothing is restricted.
std::string seccomp_profile(const api::StringMap& config);
/// LXD's rules of which of these keys exclude each other. @throws Error InvalidArgument with LXD's texts
void check_seccomp(const api::StringMap& config);

} // namespace lxdcore::instance
