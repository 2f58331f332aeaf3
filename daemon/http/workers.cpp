// SPDX-License-Identifier: Apache-2.0
#include "http/workers.hpp"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <list>
#include <mutex>
#include <thread>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "memory.hpp"

namespace lxdcore::daemon {

namespace {
constexpr std::chrono::seconds kIdle{5};
}

struct Workers::Impl {
    explicit Impl(std::size_t most) : max{most} {}

    void work() {
        std::unique_lock lock{mutex};
        while (true) {
            ++idle;
            const bool woken = wake.wait_for(lock, kIdle, [&] { return !queue.empty() || stopping; });
            --idle;
            if (queue.empty()) {
                if (stopping || !woken) break;
                continue;
            }
            auto next = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            next();
            next = {};
            lock.lock();
        }
        if (--count == 0) {
            lock.unlock();
            give_back_memory(); // the last one out
            lock.lock();
        }
        --alive;
        gone.notify_all();
    }

    const std::size_t max;
    std::mutex mutex;
    std::condition_variable wake, gone;
    std::deque<std::function<void()>> queue;
    std::size_t count = 0, idle = 0, alive = 0;
    bool stopping = false;
};

Workers::Workers(std::size_t max) : impl_{std::make_unique<Impl>(max)} {}

Workers::~Workers() { join(); }

void Workers::join() {
    std::unique_lock lock{impl_->mutex};
    impl_->stopping = true;
    impl_->wake.notify_all();
    impl_->gone.wait(lock, [&] { return impl_->alive == 0; });
}

std::size_t Workers::queued() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->queue.size();
}

void Workers::post(std::function<void()> work) {
    const std::lock_guard lock{impl_->mutex};
    if (impl_->stopping) return;
    impl_->queue.push_back(std::move(work));
    if (impl_->idle >= impl_->queue.size() || impl_->count >= impl_->max) {
        impl_->wake.notify_one();
        return;
    }
    ++impl_->count;
    ++impl_->alive;
    std::thread{[impl = impl_.get()] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        impl->work();
    }}.detach(); // the destructor waits for `alive`
}

Awaitable<void> Workers::run_call(std::function<void()>& call) {
    std::exception_ptr failure;
    const auto executor = co_await asio::this_coro::executor;
    auto start = [&](auto handler) {
        // std::function must be copyable, a completion handler is not
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        post([&call, &failure, executor, shared] {
            try {
                call();
            } catch (...) {
                failure = std::current_exception();
            }
            asio::post(executor, [shared] { (*shared)(); });
        });
    };
    co_await asio::async_initiate<decltype(use_awaitable), void()>(start, use_awaitable);
    if (failure) std::rethrow_exception(failure);
}

} // namespace lxdcore::daemon
