// SPDX-License-Identifier: Apache-2.0
#include "util/minute_timer.hpp"

#include <utility>

namespace lxdcore {

MinuteTimer::MinuteTimer(Work work)
    : work_{std::move(work)}, thread_{[this](const std::stop_token& stop) { run(stop); }} {}

MinuteTimer::~MinuteTimer() = default;

std::chrono::nanoseconds MinuteTimer::until_next(Schedule::Time now) {
    return std::chrono::floor<std::chrono::minutes>(now) + std::chrono::minutes{1} - now;
}

void MinuteTimer::run(const std::stop_token& stop) {
    auto last = std::chrono::system_clock::now();
    while (true) {
        {
            std::unique_lock lock{mutex_};
            wake_.wait_for(lock, stop, until_next(std::chrono::system_clock::now()), [] { return false; });
        }
        if (stop.stop_requested()) return;
        const auto now = std::chrono::system_clock::now();
        if (now > last) work_(last, now);
        last = now;
    }
}

} // namespace lxdcore
