// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "helper/exec_request.hpp"
#include "helper/guest_process.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::helper {

/// Everything that must be read or opened on the host before the guest is entered.
struct ExecPlan {
    bool enter_pid_namespace = false;
    int namespaces = 0;                   ///< for setns in the child, without the pid namespace
    std::vector<UniqueFd> legacy_cgroups; ///< "tasks" of each v1 hierarchy, for writing
    UniqueFd unified_cgroup;              ///< directory, to be cloned into
    std::uint64_t bounding = 0;
    bool no_new_privs = false;
    std::string oom_score_adj; ///< of init; "" when ours is the same
    std::string apparmor;      ///< profile of init; "" for none
};
ExecPlan prepare_exec(const ExecRequest& request, const GuestProcess& guest);

/// What the child writes to its failure pipe, whose end means that the command runs.
struct ExecFailure {
    bool in_exec;
    int error;
    char step[64];
};

struct ExecChildFds {
    int init_pidfd, control, failure;
};

/// The child: joins the cgroups, enters the guest, drops what the guest's init does not have either, becomes the
/// command. Nothing of the guest is trusted, loaded or run before execve.
[[noreturn]] void run_exec_child(const ExecRequest& request, const ExecPlan& plan, const ExecChildFds& fds) noexcept;

} // namespace lxdcore::helper
