// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace lxdcore {

/// One thread on epoll: descriptors, process ends and monotonic timers. Callbacks run on that thread and must not
/// block; long work goes to the WorkerPool. Thread-safe.
class Reactor {
public:
    Reactor();
    ~Reactor(); ///< joins the thread; pending callbacks are dropped
    using Token = std::uint64_t;
    /// Calls @p ready whenever @p fd (borrowed, must outlive the watch) has @p events (EPOLLIN, …). One descriptor may
    /// have several watches. What a callback throws is dropped.
    Token watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready);
    Token after(std::chrono::milliseconds delay, std::function<void()> call); ///< once
    void cancel(Token token); ///< after return the callback does not run any more (unless called from itself)
    void post(std::function<void()> call);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lxdcore
