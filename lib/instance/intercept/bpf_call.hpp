// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "instance/intercept/syscall_call.hpp"

namespace lxdcore::instance {

class CallerMemory;

/// bpf(2) for device programs of cgroups: loads them, and attaches them to and detaches them from cgroups of the guest.
/// They can only take devices away. Anything else goes on in the kernel. @throws Error
SyscallAnswer carry_out_bpf(const SyscallContext& context, const CallerMemory& caller, const seccomp_notif& call,
                            int listener);

} // namespace lxdcore::instance
