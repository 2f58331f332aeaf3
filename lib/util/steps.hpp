// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <lxdcore/log.hpp>

namespace lxdcore {

/// Where the time of a longer action goes: one debug record at its end, "steps" naming each step with its
/// milliseconds. Thread-bound.
class Steps {
public:
    Steps(const Logger& log, std::string action, std::string object)
        : log_{log}, action_{std::move(action)}, object_{std::move(object)} {}
    ~Steps() {
        if (!text_.empty()) log_.debug("Time of " + action_, {{"object", object_}, {"steps", text_}});
    }
    Steps(const Steps&) = delete;
    Steps& operator=(const Steps&) = delete;

    /// What began with the one before ends now.
    void done(const char* step) {
        const auto now = Clock::now();
        const std::chrono::duration<double, std::milli> took = now - std::exchange(since_, now);
        text_ += fmt::format("{}{} {:.2f}", text_.empty() ? "" : ", ", step, took.count());
    }

private:
    using Clock = std::chrono::steady_clock;
    const Logger& log_;
    std::string action_, object_, text_;
    Clock::time_point since_ = Clock::now();
};

} // namespace lxdcore
