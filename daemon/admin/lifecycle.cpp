// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "admin/commands.hpp"

namespace lxdcore::daemon {

namespace {
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::seconds kOneTry{10};

/// True when the process has ended; @p timeout negative: no limit. A new connection would not tell: systemd may answer.
bool wait_for_end(pid_t pid, std::chrono::milliseconds timeout) {
    const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) return true;
    pollfd ended{fd, POLLIN, 0};
    const int count = ::poll(&ended, 1, static_cast<int>(timeout.count()));
    ::close(fd);
    return count > 0;
}

} // namespace

void wait_ready(const ApiClient& client, std::chrono::seconds timeout) {
    const auto start = Clock::now();
    while (true) {
        try {
            client.request("GET", "/internal/ready", nullptr, kOneTry);
            return;
        } catch (const Error& error) {
            if (timeout.count() > 0 && Clock::now() - start >= timeout)
                throw Error{ErrorCode::Unavailable,
                            fmt::format("LXD still not running after {}s timeout ({})", timeout.count(), error.what())};
        }
        std::this_thread::sleep_for(kPause);
    }
}

void shutdown(const ApiClient& client, std::chrono::seconds timeout, bool force) {
    const auto start = Clock::now();
    const auto left = [&] {
        const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
        return timeout.count() == 0 ? std::chrono::milliseconds{-1} : std::max(timeout - spent, 0ms);
    };
    const Error still_running{ErrorCode::Unavailable,
                              fmt::format("LXD still running after {}s timeout", timeout.count())};
    pid_t pid = 0;
    try {
        const auto reply = client.request("PUT", fmt::format("/internal/shutdown?force={}", force ? "true" : "false"),
                                          nullptr, timeout);
        pid = reply.value("pid", 0);
    } catch (const Error&) {
        if (left().count() == 0) throw still_running;
        throw;
    }
    if (pid > 0 && !wait_for_end(pid, left())) throw still_running;
}

void activate_if_needed(const ApiClient& client) {
    if (!std::filesystem::exists(state_dir() / "database" / "local.db")) return; // never used
    client.request("GET", "/1.0");
}

} // namespace lxdcore::daemon
