// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <mutex>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include <lxdcore/error.hpp>

#include "client/asio.hpp"

namespace lxdcore::client {

/// The thread that everything of a client waits on; started when it is first needed. Thread-safe.
class IoThread {
public:
    IoThread();
    ~IoThread();
    IoThread(const IoThread&) = delete;
    IoThread& operator=(const IoThread&) = delete;

    asio::io_context& io() noexcept { return io_; }
    /// Runs @p work there and waits for its end. @throws Error BadState on that very thread and after a fork
    template <class T>
    T run(Awaitable<T> work) {
        require_usable();
        try {
            return asio::co_spawn(io_, std::move(work), asio::use_future).get();
        } catch (const std::future_error&) { // the thread ended before the work did
            throw Error{ErrorCode::Cancelled, "The client was closed"};
        }
    }
    bool here() const noexcept { return std::this_thread::get_id() == id_.load(); }
    /// False in a child of the process that made the client: the thread is not there.
    bool ours() const noexcept;
    void start();
    void stop();

private:
    void require_usable();

    asio::io_context io_{1};
    asio::executor_work_guard<Executor> guard_{io_.get_executor()};
    std::mutex starting_;
    std::thread thread_;
    std::atomic<std::thread::id> id_{};
    const pid_t process_;
};

} // namespace lxdcore::client
