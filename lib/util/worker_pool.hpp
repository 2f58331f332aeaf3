// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace lxdcore {

/// Bounded threads for blocking work; started on demand, idle ones end after a few seconds. Thread-safe.
class WorkerPool {
public:
    explicit WorkerPool(std::size_t max_threads);
    ~WorkerPool();                         ///< runs what is queued, then joins
    void post(std::function<void()> work); ///< work must not throw; dropped after finish()
    void finish();                         ///< runs what is queued, then joins; may be called again

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lxdcore
