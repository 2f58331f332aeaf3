// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lxdcore::instance {

/// A policy in liblxc's text form as a compiled filter, for commands that join a running container: the very rules that
/// its init got. "" for "". @throws Error InvalidArgument for what liblxc refuses too, Internal if libseccomp fails
std::string seccomp_bpf(std::string_view policy);

/// The name of a system call of the interface @p arch (AUDIT_ARCH_…); "" for none.
std::string syscall_name(std::uint32_t arch, int number);

} // namespace lxdcore::instance
