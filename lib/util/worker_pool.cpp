// SPDX-License-Identifier: Apache-2.0
#include "util/worker_pool.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>

namespace lxdcore {

namespace {

constexpr std::chrono::seconds idle_limit{5};

} // namespace

struct WorkerPool::Impl {
    explicit Impl(std::size_t max) : max_threads{max == 0 ? 1 : max} {}

    void post(std::function<void()> work) {
        std::list<std::thread> done;
        {
            const std::lock_guard lock{mutex};
            if (stopping) return;
            queue.push_back(std::move(work));
            done.swap(ended);
            if (idle < queue.size() && threads.size() < max_threads) {
                const auto slot = threads.emplace(threads.end());
                *slot = std::thread{[this, slot] { serve(slot); }};
            }
        }
        wake.notify_one();
        for (auto& thread : done)
            thread.join();
    }

    void serve(std::list<std::thread>::iterator slot) {
        std::unique_lock lock{mutex};
        for (;;) {
            ++idle;
            const bool woken = wake.wait_for(lock, idle_limit, [this] { return stopping || !queue.empty(); });
            --idle;
            if (!queue.empty()) {
                auto work = std::move(queue.front());
                queue.pop_front();
                lock.unlock();
                work();
                work = nullptr; // what it captured goes before the lock is taken again
                lock.lock();
                continue;
            }
            if (stopping || !woken) break;
        }
        ended.splice(ended.end(), threads, slot); // joined by the next post() or the destructor
        all_gone.notify_all();
    }

    void stop() {
        std::unique_lock lock{mutex};
        stopping = true;
        wake.notify_all();
        all_gone.wait(lock, [this] { return threads.empty(); });
        auto done = std::move(ended);
        lock.unlock();
        for (auto& thread : done)
            thread.join();
    }

    const std::size_t max_threads;
    std::mutex mutex;
    std::condition_variable wake, all_gone;
    std::deque<std::function<void()>> queue;
    std::list<std::thread> threads, ended;
    std::size_t idle = 0;
    bool stopping = false;
};

WorkerPool::WorkerPool(std::size_t max_threads) : impl_{std::make_unique<Impl>(max_threads)} {}
WorkerPool::~WorkerPool() { impl_->stop(); }
void WorkerPool::finish() { impl_->stop(); }
void WorkerPool::post(std::function<void()> work) { impl_->post(std::move(work)); }

} // namespace lxdcore
