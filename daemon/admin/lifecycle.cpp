// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "admin/commands.hpp"

namespace lxdcore::daemon {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::seconds kOneTry{10};
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
    const auto too_late = [&] { return timeout.count() > 0 && Clock::now() - start >= timeout; };
    const Error still_running{ErrorCode::Unavailable,
                              fmt::format("LXD still running after {}s timeout", timeout.count())};
    try {
        client.request("PUT", fmt::format("/internal/shutdown?force={}", force ? "true" : "false"), nullptr, timeout);
    } catch (const Error&) {
        if (too_late()) throw still_running;
        throw;
    }
    while (client.reachable()) {
        if (too_late()) throw still_running;
        std::this_thread::sleep_for(kPause);
    }
}

void activate_if_needed(const ApiClient& client) {
    if (!std::filesystem::exists(state_dir() / "database" / "local.db")) return; // never used
    client.request("GET", "/1.0");
}

} // namespace lxdcore::daemon
