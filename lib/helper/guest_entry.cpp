// SPDX-License-Identifier: Apache-2.0
#include "helper/guest_entry.hpp"

#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "helper/guest_process.hpp"

namespace lxdcore::helper {

namespace {

UniqueFd enter(int pidfd) {
    const GuestProcess guest{pidfd};
    const int flags = guest.foreign_namespaces(CLONE_NEWUSER | CLONE_NEWNS);
    if ((flags & CLONE_NEWNS) == 0) throw Error{ErrorCode::BadState, "Instance has no mount namespace of its own"};
    const pid_t parent = ::getppid();
    if (::setns(pidfd, flags) != 0) throw_errno("enter instance");
    ::prctl(PR_SET_DUMPABLE, 0);
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        throw_errno("become root of the instance");
    ::prctl(PR_SET_DUMPABLE, 0);
    // The change of ids has taken away what the watchdog had asked for.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    UniqueFd root{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!root) throw_errno("open root of the instance");
    return root;
}

} // namespace

GuestRoot open_guest(UniqueFd target, bool running) {
    UniqueFd proc_fds{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!proc_fds) throw_errno("/proc/self/fd");
    return GuestRoot{running ? enter(target.get()) : std::move(target), std::move(proc_fds)};
}

} // namespace lxdcore::helper
