// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>

#include "http/asio.hpp"

namespace lxdcore::daemon {

/// Time limits of the connections of one I/O thread, looked at twice a second while there are any; so setting a limit
/// costs a store. Thread-bound to that I/O thread.
class Deadlines {
public:
    using Clock = std::chrono::steady_clock;
    void attach(asio::io_context& io) { timer_.emplace(io); }
    void detach() { timer_.reset(); }

    /// One limit; expire() is called once each time it passes.
    class Entry {
    public:
        Entry(Deadlines& owner, std::function<void()> expire);
        ~Entry();
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        void set(Clock::duration from_now) { at_ = Clock::now() + from_now; }
        void clear() { at_ = Clock::time_point::max(); }

    private:
        friend class Deadlines;
        Deadlines& owner_;
        std::function<void()> expire_;
        Clock::time_point at_ = Clock::time_point::max();
        std::list<Entry*>::iterator place_;
    };

private:
    void tick();
    std::optional<Timer> timer_;
    std::list<Entry*> entries_;
    std::list<Entry*>::iterator next_ = entries_.end(); ///< survives removals while a tick runs
    bool ticking_ = false;
};

/// One thread with its event loop.
class IoThread {
public:
    IoThread();
    ~IoThread();
    asio::io_context& io() noexcept { return io_; }
    Deadlines& deadlines() noexcept { return deadlines_; }
    void start();
    void stop(); ///< returns when the thread has ended

private:
    Deadlines deadlines_; ///< outlives the connections, which the event loop owns to the end
    asio::io_context io_{1};
    asio::executor_work_guard<Executor> guard_{io_.get_executor()};
    std::thread thread_;
};

/// The I/O threads; connections are dealt out in turn. Thread-safe.
class IoThreads {
public:
    explicit IoThreads(std::size_t count);
    IoThread& first() noexcept { return *threads_.front(); }
    IoThread& next() noexcept { return *threads_[turn_++ % threads_.size()]; }
    void start();
    void stop();

private:
    std::vector<std::unique_ptr<IoThread>> threads_;
    std::atomic<std::size_t> turn_ = 0;
};

} // namespace lxdcore::daemon
