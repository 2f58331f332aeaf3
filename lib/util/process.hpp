// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "util/unique_fd.hpp"

namespace lxdcore {

/// A child of ours, held by pidfd. Destroying it neither kills nor waits for it unless it was started with
/// SpawnOptions::kill_on_destroy. Move-only, thread-bound.
class Process {
public:
    Process() = default;
    Process(pid_t pid, UniqueFd pidfd, bool kill_on_destroy)
        : pid_{pid}, pidfd_{std::move(pidfd)}, kill_{kill_on_destroy} {}
    Process(Process&&) noexcept;
    Process& operator=(Process&&) noexcept;
    ~Process();

    pid_t pid() const noexcept { return pid_; }
    int pidfd() const noexcept { return pidfd_.get(); }
    /// Reaps: exit code, or 128 + signal. Unset when @p timeout (monotonic) passed first.
    std::optional<int> wait_for(std::chrono::milliseconds timeout);
    int wait();
    void kill(int signal) const noexcept;

private:
    pid_t pid_ = -1;
    UniqueFd pidfd_;
    bool kill_ = false;
};

struct SpawnOptions {
    std::vector<std::string> argv;        ///< argv[0] is looked up in PATH unless it has a '/'
    std::vector<std::string> env;         ///< "K=V"; empty: PATH, LANG=C.UTF-8 only
    std::vector<std::pair<int, int>> fds; ///< (ours, theirs); 0, 1, 2 that are not named become /dev/null
    int exec_fd = -1;                     ///< run this (sealed memfd) instead of looking argv[0] up
    std::string cwd = "/";
    bool new_session = false;
    bool kill_on_destroy = true;
};

/// posix_spawn semantics: never runs code of ours between fork and exec, closes everything that is not named,
/// default signal dispositions and mask. No shell, ever (R6).
Process spawn(const SpawnOptions& options);

struct RunResult {
    int code = 0;
    std::string out, err;
};
struct RunOptions {
    std::string input;
    int in = -1;  ///< what the child reads in place of @p input
    int out = -1; ///< where the child writes; nothing is collected then
    std::chrono::milliseconds timeout{60'000};
    std::size_t max_output = 1 << 20; ///< of each stream; more is cut
    std::stop_token stop{};
    std::vector<std::string> env{};
};
/// Runs to the end and collects the output. The child is killed at the timeout or stop (Error Internal, Cancelled).
RunResult run(const std::vector<std::string>& argv, const RunOptions& options = {});
/// As run(), and throws Error Internal with the last line of stderr unless the exit code is 0.
std::string run_checked(const std::vector<std::string>& argv, const RunOptions& options = {});

} // namespace lxdcore
