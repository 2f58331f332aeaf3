// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include <lxdcore/operation.hpp>

namespace lxdcore::storage {

/// "fs_progress" of an operation as long as this lives: once a second how much of @p volume has been copied, in the
/// form that LXD's clients show. Thread-bound.
class CopyProgress {
public:
    CopyProgress(OperationContext& op, std::string volume);
    std::atomic<std::int64_t>* copied() { return &copied_; }

private:
    void run(const std::stop_token& end);
    OperationContext& op_;
    const std::string volume_;
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::atomic<std::int64_t> copied_{0};
    std::jthread teller_; ///< last: it ends before what it uses
};

} // namespace lxdcore::storage
