// SPDX-License-Identifier: Apache-2.0
#include "util/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore {

namespace {

constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void check(int err, const char* what) {
    if (err != 0) throw_errno(what, err);
}

/// posix_spawn's list of what to do with descriptors in the child.
class FileActions {
public:
    FileActions() { check(::posix_spawn_file_actions_init(&actions_), "posix_spawn"); }
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    void plan(const SpawnOptions& options) {
        const auto& fds = options.fds;
        const auto is_target = [&](int fd) {
            return std::any_of(fds.begin(), fds.end(), [fd](const auto& pair) { return pair.second == fd; });
        };
        int above = 2;
        for (const auto& [ours, theirs] : fds)
            above = std::max({above, ours, theirs});
        // First away from every number that is overwritten below, then to the right places.
        std::vector<std::pair<int, int>> moves;
        for (const auto& [ours, theirs] : fds) {
            int from = ours;
            if (ours != theirs && (is_target(ours) || ours <= 2)) {
                from = ++above;
                dup(ours, from);
            }
            moves.emplace_back(from, theirs);
        }
        int last = 2;
        for (const auto& [from, to] : moves) {
            dup(from, to);
            last = std::max(last, to);
        }
        for (int fd = 0; fd <= last; ++fd) {
            if (is_target(fd)) continue;
            check(fd <= 2 ? ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0)
                          : ::posix_spawn_file_actions_addclose(&actions_, fd),
                  "posix_spawn");
        }
        check(::posix_spawn_file_actions_addclosefrom_np(&actions_, last + 1), "posix_spawn");
        check(::posix_spawn_file_actions_addchdir_np(&actions_, options.cwd.c_str()), "posix_spawn");
    }
    const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

private:
    /// Also when both are the same: the child then keeps a descriptor that is close-on-exec with us.
    void dup(int from, int to) { check(::posix_spawn_file_actions_adddup2(&actions_, from, to), "posix_spawn"); }
    posix_spawn_file_actions_t actions_;
};

class Attributes {
public:
    explicit Attributes(bool new_session) {
        check(::posix_spawnattr_init(&attributes_), "posix_spawn");
        sigset_t none, all;
        sigemptyset(&none);
        // Not sigfillset(): it leaves out the C library's own two, which the child would then ignore for ever.
        std::memset(&all, 0xff, sizeof all);
        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        if (new_session) flags |= POSIX_SPAWN_SETSID;
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setflags(&attributes_, flags);
    }
    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (const auto& text : strings)
        out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

/// Where the child finds our descriptor @p fd after it has closed its own copy.
std::string path_of_descriptor(int fd) { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd); }

std::vector<std::string> default_environment() {
    const char* path = ::getenv("PATH");
    return {fmt::format("PATH={}", path != nullptr ? path : default_path), "LANG=C.UTF-8"};
}

} // namespace

Process::Process(Process&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)}, pidfd_{std::move(other.pidfd_)}, kill_{std::exchange(other.kill_, false)} {}

Process& Process::operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    std::swap(kill_, other.kill_);
    return *this;
}

Process::~Process() {
    if (!kill_ || !pidfd_) return;
    kill(SIGKILL);
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0 && errno == EINTR) {
    }
}

std::optional<int> Process::wait_for(std::chrono::milliseconds timeout) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + timeout;
    for (auto left = timeout;;) {
        pollfd poll{pidfd_.get(), POLLIN, 0};
        const auto wait = std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000);
        const int ready = ::poll(&poll, 1, static_cast<int>(wait));
        if (ready > 0) return this->wait();
        if (ready < 0 && errno != EINTR) throw_errno("poll");
        left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return std::nullopt;
    }
}

int Process::wait() {
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0) {
        if (errno != EINTR) throw_errno("waitid");
    }
    kill_ = false; // it is gone, and its number may belong to somebody else soon
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void Process::kill(int signal) const noexcept {
    if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

Process spawn(const SpawnOptions& options) {
    if (options.argv.empty()) throw Error{ErrorCode::InvalidArgument, "nothing to run"};
    FileActions actions;
    actions.plan(options);
    const Attributes attributes{options.new_session};
    const auto environment = options.env.empty() ? default_environment() : options.env;
    const auto argv = pointers(options.argv);
    const auto env = pointers(environment);
    pid_t pid = -1;
    const int err = options.exec_fd >= 0 ? ::posix_spawn(&pid, path_of_descriptor(options.exec_fd).c_str(),
                                                         actions.get(), attributes.get(), argv.data(), env.data())
                                         : ::posix_spawnp(&pid, options.argv[0].c_str(), actions.get(),
                                                          attributes.get(), argv.data(), env.data());
    if (err != 0) throw_errno(fmt::format("run {}", options.argv[0]), err);
    // Not reaped by anybody but us, so the number cannot have been reused.
    UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!pidfd) {
        const int failure = errno;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        throw_errno("pidfd_open", failure);
    }
    return Process{pid, std::move(pidfd), options.kill_on_destroy};
}

} // namespace lxdcore
