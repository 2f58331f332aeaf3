// SPDX-License-Identifier: Apache-2.0
#include "helper/exec_child.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "helper/guest_terminal.hpp"

namespace lxdcore::helper {

namespace {

constexpr const char* kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reports to the parent and ends; the text is cut, never allocated.
[[noreturn]] void give_up(int fd, bool in_exec, const char* step, int error) noexcept {
    ExecFailure failure{.in_exec = in_exec, .error = error, .step = {}};
    std::strncpy(failure.step, step, sizeof failure.step - 1);
    if (::write(fd, &failure, sizeof failure) < 0) ::_exit(125);
    ::_exit(125);
}

/// One step of the way in; any failure ends the child.
class Steps {
public:
    explicit Steps(int failure_fd) noexcept : fd_{failure_fd} {}
    void must(const char* step, long result) const noexcept {
        if (result < 0) give_up(fd_, false, step, errno);
    }
    int fd() const noexcept { return fd_; }

private:
    int fd_;
};

void write_file(const Steps& steps, const char* path, const std::string& text) noexcept {
    const UniqueFd fd{::open(path, O_WRONLY | O_CLOEXEC)};
    steps.must(path, fd.get());
    steps.must(path, ::write(fd.get(), text.data(), text.size()));
}

void join_cgroups(const Steps& steps, const ExecPlan& plan) noexcept {
    // "0" in v1's tasks moves the writing thread alone, without the grace period that moving a process costs.
    for (const auto& tasks : plan.legacy_cgroups)
        steps.must("join cgroup", ::write(tasks.get(), "0", 1));
}

/// Only root of the host may raise a hard limit; a low one comes last, our own steps would feel it.
void raise_limits(const Steps& steps, const ExecRequest& request) noexcept {
    for (const auto& [resource, wanted] : request.limits) {
        const auto which = static_cast<__rlimit_resource_t>(resource);
        rlimit now{};
        steps.must("get limit", ::getrlimit(which, &now));
        now.rlim_max = std::max(now.rlim_max, wanted.rlim_max);
        steps.must("raise limit", ::setrlimit(which, &now));
    }
}

void set_limits(const Steps& steps, const ExecRequest& request) noexcept {
    for (const auto& [resource, wanted] : request.limits)
        steps.must("set limit", ::setrlimit(static_cast<__rlimit_resource_t>(resource), &wanted));
}

void drop_capabilities(const Steps& steps, std::uint64_t bounding) noexcept {
    for (int cap = 0; cap < 64; ++cap) {
        if ((bounding >> cap & 1) != 0) continue;
        if (::prctl(PR_CAPBSET_READ, cap) != 1) continue; // unknown to the kernel or gone already
        steps.must("drop capability", ::prctl(PR_CAPBSET_DROP, cap));
    }
    steps.must("clear ambient set", ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2]{};
    steps.must("capget", ::syscall(SYS_capget, &header, data));
    for (auto& part : data) {
        part.inheritable = 0;
        part.permitted &= static_cast<std::uint32_t>(&part == data ? bounding : bounding >> 32);
        part.effective = part.permitted;
    }
    steps.must("capset", ::syscall(SYS_capset, &header, data));
}

void load_seccomp(const Steps& steps, const ExecRequest& request, int control) noexcept {
    const auto& filter = request.seccomp;
    if (filter.empty()) return;
    const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                             .filter = const_cast<sock_filter*>(filter.data())};
    const unsigned flags = request.notify ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    const auto listener = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    steps.must("load seccomp filter", listener);
    if (!request.notify) return;
    try {
        send_fd(control, static_cast<int>(listener), kListenerMessage);
    } catch (const Error& error) {
        give_up(steps.fd(), false, error.what(), EIO);
    }
    ::close(static_cast<int>(listener));
}

/// Into the directory, resolved as a guest path that cannot be a magic link into something of the host.
bool change_dir(const std::string& path) noexcept {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    const UniqueFd fd{static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how))};
    char where[4096];
    // The kernel's own answer: a directory outside of our root begins with "(unreachable)".
    return fd && ::fchdir(fd.get()) == 0 && ::syscall(SYS_getcwd, where, sizeof where) > 0 && where[0] == '/';
}

void enter_directory(const Steps& steps, const std::string& cwd) noexcept {
    if (!cwd.empty() && cwd.front() == '/' && change_dir(cwd)) return;
    steps.must("chdir", ::chdir("/"));
}

UniqueFd attach_terminal(const Steps& steps, const ExecRequest& request, int control) noexcept {
    try {
        Terminal terminal = open_guest_terminal(request.width, request.height);
        send_fd(control, terminal.master.get(), kTerminalMessage);
        return std::move(terminal.slave);
    } catch (const Error& error) {
        give_up(steps.fd(), false, error.what(), EIO);
    }
}

void take_streams(const Steps& steps, const UniqueFd& slave) noexcept {
    if (!slave) return;
    steps.must("setsid", ::setsid());
    steps.must("controlling terminal", ::ioctl(slave.get(), TIOCSCTTY, 0));
    for (const int fd : {0, 1, 2})
        steps.must("dup", ::dup2(slave.get(), fd));
}

void become_user(const Steps& steps, const ExecRequest& request, const ExecPlan& plan, int control) noexcept {
    set_limits(steps, request);
    if (plan.no_new_privs) steps.must("no_new_privs", ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    steps.must("setgid", ::setresgid(request.group, request.group, request.group));
    // Loading a filter needs root of the guest, and the filter should see as little of us as it can.
    if (request.user != 0) load_seccomp(steps, request, control);
    steps.must("setuid", ::setresuid(request.user, request.user, request.user));
    // Both were reset by the change of ids.
    ::prctl(PR_SET_DUMPABLE, 0);
    steps.must("death signal", ::prctl(PR_SET_PDEATHSIG, SIGKILL));
    if (request.user == 0) load_seccomp(steps, request, control);
}

[[noreturn]] void execute(const Steps& steps, const ExecRequest& request) noexcept {
    std::vector<std::string> environment = request.environment;
    if (request.default_path) {
        struct stat info {};
        environment.emplace_back(kDefaultPath);
        if (::lstat("/snap", &info) == 0) environment.back() += ":/snap/bin";
    }
    std::vector<char*> argv, envp;
    for (const auto& argument : request.command)
        argv.push_back(const_cast<char*>(argument.c_str()));
    for (const auto& variable : environment)
        envp.push_back(const_cast<char*>(variable.c_str()));
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    environ = envp.data();
    ::execvp(argv[0], argv.data());
    give_up(steps.fd(), true, "exec", errno);
}

std::string apparmor_profile(const GuestProcess& guest) {
    auto label = guest.read("attr/apparmor/current");
    if (const auto mode = label.rfind(" ("); mode != std::string::npos) label.resize(mode);
    while (!label.empty() && label.back() == '\n')
        label.pop_back();
    return label == "unconfined" ? std::string{} : label;
}

} // namespace

ExecPlan prepare_exec(const ExecRequest& request, const GuestProcess& guest) {
    constexpr int kAll =
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    ExecPlan plan;
    const int foreign = guest.foreign_namespaces(kAll);
    plan.enter_pid_namespace = (foreign & CLONE_NEWPID) != 0;
    plan.namespaces = foreign & ~CLONE_NEWPID;
    if ((foreign & CLONE_NEWNS) == 0) throw Error{ErrorCode::BadState, "Instance has no mount namespace of its own"};
    for (const auto& path : request.cgroups) {
        UniqueFd dir{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
        if (!dir) throw_errno("open cgroup " + path);
        UniqueFd tasks{::openat(dir.get(), "tasks", O_WRONLY | O_CLOEXEC)};
        if (tasks)
            plan.legacy_cgroups.push_back(std::move(tasks));
        else
            plan.unified_cgroup = std::move(dir);
    }
    plan.bounding = guest.bounding_set();
    plan.no_new_privs = guest.no_new_privs();
    plan.oom_score_adj = guest.read("oom_score_adj");
    if (plan.oom_score_adj == read_small(AT_FDCWD, "/proc/self/oom_score_adj")) plan.oom_score_adj.clear();
    plan.apparmor = apparmor_profile(guest);
    return plan;
}

[[noreturn]] void run_exec_child(const ExecRequest& request, const ExecPlan& plan, const ExecChildFds& fds) noexcept {
    const Steps steps{fds.failure};
    ::signal(SIGPIPE, SIG_DFL);
    join_cgroups(steps, plan);
    if (!plan.oom_score_adj.empty()) write_file(steps, "/proc/self/oom_score_adj", plan.oom_score_adj);
    if (!plan.apparmor.empty()) write_file(steps, "/proc/self/attr/apparmor/exec", "exec " + plan.apparmor);
    raise_limits(steps, request);

    steps.must("enter namespaces", ::setns(fds.init_pidfd, plan.namespaces));
    ::prctl(PR_SET_DUMPABLE, 0);
    steps.must("setgroups", ::setgroups(0, nullptr));
    steps.must("setgid", ::setresgid(0, 0, 0));
    steps.must("setuid", ::setresuid(0, 0, 0));
    ::prctl(PR_SET_DUMPABLE, 0);
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr); // the daemon's keys stay with the daemon
    const UniqueFd slave = request.interactive ? attach_terminal(steps, request, fds.control) : UniqueFd{};
    take_streams(steps, slave);
    drop_capabilities(steps, plan.bounding);
    enter_directory(steps, request.cwd);
    // All descriptors of this program are close-on-exec; this says it again for what could have been inherited.
    steps.must("close descriptors", ::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC));
    become_user(steps, request, plan, fds.control);
    execute(steps, request);
}

} // namespace lxdcore::helper
