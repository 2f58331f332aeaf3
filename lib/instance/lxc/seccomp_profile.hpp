// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <lxdcore/api/types.hpp>

namespace lxdcore::instance {

/// The system calls that no container gets: loading kernels and modules, opening files by handle, forced unmounts.
/// Two forms of the same policy: text for liblxc, and a compiled filter for commands that join a running container.
/// "" if @p config turns it off (security.syscalls.deny_default=false without lists of its own, or raw.seccomp).
std::string seccomp_profile(const api::StringMap& config);
/// @throws Error Internal if libseccomp fails
std::string seccomp_bpf(const api::StringMap& config);

} // namespace lxdcore::instance
