// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include <pybind11/pybind11.h>

#include "gil.hpp"

namespace lxdcore::python {

/// Calls @p step(duration) without the GIL until it gives true, in pieces short enough for KeyboardInterrupt to get
/// through. False once @p timeout (seconds; unset: none) has passed.
template <typename Step>
bool wait_in_steps(std::optional<double> timeout, Step&& step) {
    using Clock = std::chrono::steady_clock;
    using Milliseconds = std::chrono::milliseconds;
    constexpr double kLong = 1e9; // seconds
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                                             std::clamp(timeout.value_or(kLong), 0.0, kLong)));
    while (true) {
        const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now());
        const auto piece = std::clamp(left, Milliseconds{0}, Milliseconds{100});
        bool ended = false;
        {
            const Unlocked release;
            ended = step(piece);
        }
        if (ended) return true;
        if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
        if (Clock::now() >= deadline) return false;
    }
}

} // namespace lxdcore::python
