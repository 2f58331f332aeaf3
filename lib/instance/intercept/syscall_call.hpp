// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/seccomp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "instance/intercept/interception.hpp"
#include "util/helper_program.hpp"

namespace lxdcore::instance {

struct SyscallAnswer {
    bool proceed = true; ///< the kernel carries the call out itself, with the caller's own rights
    std::int64_t value = 0;
    int error = 0; ///< errno
};

/// Runs a command in the guest as its root and gives its exit code. @throws Error
using GuestCommand = std::function<int(std::vector<std::string> command)>;

/// A guest whose calls are carried out, as it is at this moment.
struct InterceptedGuest {
    Interception rules;
    std::vector<std::string> cgroups; ///< its directories, absolute
};

/// What is needed to carry one call out.
struct SyscallContext {
    const HelperProgram& helper;
    InterceptedGuest guest;
    int init_pid = -1;
    GuestCommand run;
    const std::atomic<bool>& stopping;
};

/// Carries out @p call, if the rules want it, its arguments are of the kind that may be, and its caller is in the user
/// namespace of the guest itself. The arguments are copied once, and the caller must still be waiting in this very call
/// afterwards, so a process that took over its number is never meant. @p listener is borrowed. @throws Error
SyscallAnswer carry_out(const SyscallContext& context, const seccomp_notif& call, int listener);

seccomp_notif_resp response_to(const seccomp_notif& call, const SyscallAnswer& answer);

} // namespace lxdcore::instance
