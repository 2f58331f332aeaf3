// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "util/cron.hpp"

namespace lxdcore {

/// Calls once a minute, soon after the clock on the wall has begun it, with the span since the call before: what
/// Schedule::due() wants to know. Waiting is monotonic, so a jump of the clock delays nothing; a jump back begins a new
/// span and calls nothing for times that were there already (R59). Thread-safe.
class MinuteTimer {
public:
    /// @p work runs on a thread of the timer; it must not throw, and hands long work on.
    using Work = std::function<void(Schedule::Time last, Schedule::Time now)>;
    explicit MinuteTimer(Work work);
    ~MinuteTimer(); ///< waits for a call that runs

    /// How long to wait at @p now for the next minute; never more than one.
    static std::chrono::nanoseconds until_next(Schedule::Time now);

private:
    void run(const std::stop_token& stop);
    Work work_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_; ///< last: it ends before what it uses
};

} // namespace lxdcore
