// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "http/asio.hpp"

namespace lxdcore::daemon {

/// Threads for what may block: started on demand, at most @p max, idle ones end after some seconds. Thread-safe.
class Workers {
public:
    explicit Workers(std::size_t max);
    ~Workers(); ///< join()
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// @p work must not throw.
    void post(std::function<void()> work);
    /// Runs what is queued and ends the threads; what is posted later is dropped.
    void join();
    /// Work that is waiting for a thread.
    std::size_t queued() const;

    /// Runs @p work on a worker and resumes on the caller's I/O thread with its result or exception.
    template <class Work>
    Awaitable<std::invoke_result_t<Work&>> run(Work& work) {
        using Result = std::invoke_result_t<Work&>;
        if constexpr (std::is_void_v<Result>) {
            std::function<void()> call = std::ref(work);
            co_await run_call(call);
        } else {
            std::optional<Result> result;
            std::function<void()> call = [&] { result.emplace(work()); };
            co_await run_call(call);
            co_return std::move(*result);
        }
    }

private:
    Awaitable<void> run_call(std::function<void()>& call);
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lxdcore::daemon
