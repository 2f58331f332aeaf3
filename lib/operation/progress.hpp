// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <lxdcore/operation.hpp>

namespace lxdcore {

/// How far the work of an operation is, as LXD's clients show it: "<stage>_progress" with a text, and "progress" with
/// numbers. Said when there is something new to say, at most twice a second. Thread-bound.
class Progress {
public:
    /// @p prefix: what the text begins with, "Unpack". @p total bytes; 0: not known, then bytes are shown.
    Progress(OperationContext& op, std::string stage, std::string prefix, std::int64_t total);
    void at(std::int64_t bytes); ///< so many in all
    void finish();               ///< 100 %

private:
    using Clock = std::chrono::steady_clock;
    void say(std::int64_t percent);

    OperationContext& op_;
    const std::string stage_, prefix_;
    const std::int64_t total_;
    const Clock::time_point begun_ = Clock::now();
    Clock::time_point said_ = begun_;
    std::int64_t bytes_ = 0, percent_ = 0;
};

/// "12.34MB", as LXD shows sizes.
std::string progress_size(double bytes);

} // namespace lxdcore
