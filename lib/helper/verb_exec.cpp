// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "helper/exec_child.hpp"
#include "helper/exec_request.hpp"
#include "helper/guest_process.hpp"
#include "helper/reply.hpp"
#include "helper/verbs.hpp"

namespace lxdcore::helper {

namespace {

constexpr int kInitPidFd = 5;
constexpr int kControlFd = 6;

struct Child {
    pid_t pid = -1;
    UniqueFd pidfd;
};

/// fork with a pidfd, straight into the unified cgroup @p cgroup (unless -1): moving a process there later costs a
/// grace period of the kernel and needs rights over both ends.
Child fork_into(int cgroup) {
    int pidfd = -1;
    clone_args args{};
    args.flags = CLONE_PIDFD;
    args.exit_signal = SIGCHLD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(cgroup);
    }
    const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
    return {pid, UniqueFd{pid > 0 ? pidfd : -1}};
}

/// As fork_into; a unified cgroup whose processes live in sub-groups (systemd) takes none itself, so use a leaf.
Child fork_child(int cgroup) {
    Child child = fork_into(cgroup);
    if (child.pid < 0 && errno == EBUSY && cgroup >= 0) {
        if (::mkdirat(cgroup, ".lxc", 0755) != 0 && errno != EEXIST) throw_errno("make cgroup for the command");
        const UniqueFd leaf{::openat(cgroup, ".lxc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
        if (!leaf) throw_errno("open cgroup for the command");
        child = fork_into(leaf.get());
    }
    if (child.pid < 0) throw_errno("start command");
    return child;
}

/// What went wrong in the child, or nothing when the command runs.
std::optional<ExecFailure> read_failure(int fd) {
    ExecFailure failure{};
    ssize_t n;
    do
        n = ::read(fd, &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    if (n != static_cast<ssize_t>(sizeof failure)) return std::nullopt;
    failure.step[sizeof failure.step - 1] = '\0';
    return failure;
}

int exit_code(const siginfo_t& info) { return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status; }

int reap(const Child& child) {
    siginfo_t info{};
    int done;
    do
        done = ::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED);
    while (done != 0 && errno == EINTR);
    if (done != 0) throw_errno("wait for the command");
    return exit_code(info);
}

void send_signal(const Child& child, int signal) {
    // Not yet reaped, so the pidfd names our own child; one that just ended is no error.
    ::syscall(SYS_pidfd_send_signal, child.pidfd.get(), signal, nullptr, 0);
}

/// Forwards signals until the command ends; the daemon's end of the socket is the command's life line.
int supervise(const Child& child) {
    pollfd fds[2] = {{child.pidfd.get(), POLLIN, 0}, {kControlFd, POLLIN, 0}};
    for (;;) {
        if (::poll(fds, 2, -1) < 0 && errno != EINTR) throw_errno("poll");
        if (fds[0].revents != 0) return reap(child);
        if (fds[1].revents == 0) continue;
        unsigned char signal = 0;
        const ssize_t n = ::recv(kControlFd, &signal, 1, MSG_DONTWAIT);
        if (n == 1) {
            send_signal(child, signal);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            send_signal(child, SIGKILL);
            fds[1].fd = -1;
        }
    }
}

void answer_failure(const ExecFailure& failure, Reply& reply) {
    if (!failure.in_exec) throw_errno(failure.step, failure.error);
    const bool absent = failure.error == ENOENT || failure.error == ENOTDIR;
    reply.line({{"ok", false},
                {"error", absent ? "Command not found" : "Command not executable"},
                {"code", code_name(absent ? ErrorCode::NotFound : ErrorCode::InvalidArgument)},
                {"return", absent ? 127 : 126}});
}

} // namespace

void exec_verb(const nlohmann::json& json, Reply& reply) {
    // Before anything of the guest is near: nobody in there may look into this process or its child (R11).
    ::prctl(PR_SET_DUMPABLE, 0);
    ::setsid();
    ::umask(022);
    for (const int fd : {kInitPidFd, kControlFd})
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) throw_errno("helper: descriptors");
    const auto request = ExecRequest::parse(json);
    const GuestProcess guest{kInitPidFd};
    const ExecPlan plan = prepare_exec(request, guest);

    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) != 0) throw_errno("pipe");
    UniqueFd failure_in{pipe_fds[0]}, failure_out{pipe_fds[1]};
    if (plan.enter_pid_namespace && ::setns(kInitPidFd, CLONE_NEWPID) != 0) throw_errno("enter pid namespace");
    const Child child = fork_child(plan.unified_cgroup.get());
    if (child.pid == 0) run_exec_child(request, plan, {kInitPidFd, kControlFd, failure_out.get()});
    failure_out.reset();
    // The streams belong to the command alone: their end must be seen when it closes them.
    for (const int fd : {0, 1, 2})
        ::close(fd);

    if (const auto failure = read_failure(failure_in.get())) {
        reap(child);
        return answer_failure(*failure, reply);
    }
    reply.ok({{"pid", child.pid}});
    reply.ok({{"return", supervise(child)}});
}

} // namespace lxdcore::helper
