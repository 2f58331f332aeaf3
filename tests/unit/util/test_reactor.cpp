// SPDX-License-Identifier: Apache-2.0
#include "util/reactor.hpp"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "util/entity_locks.hpp"
#include "util/unique_fd.hpp"
#include "util/worker_pool.hpp"

using namespace lxdcore;
using std::chrono::milliseconds;

namespace {

std::ptrdiff_t entries(const char* directory) {
    return std::distance(std::filesystem::directory_iterator{directory}, std::filesystem::directory_iterator{});
}

/// Returns when everything that was posted before has run.
void settle(Reactor& reactor) {
    std::promise<void> done;
    reactor.post([&] { done.set_value(); });
    done.get_future().wait();
}

} // namespace

TEST_CASE("a watch is called while its descriptor is ready, on the reactor's thread") {
    Reactor reactor;
    const UniqueFd fd{::eventfd(0, EFD_CLOEXEC)};
    std::promise<std::thread::id> called;
    const auto token = reactor.watch(fd.get(), EPOLLIN, [&](std::uint32_t events) {
        eventfd_t value = 0;
        ::eventfd_read(fd.get(), &value);
        if (events & EPOLLIN) called.set_value(std::this_thread::get_id());
    });
    ::eventfd_write(fd.get(), 1);
    CHECK(called.get_future().get() != std::this_thread::get_id());
    reactor.cancel(token);
    CHECK_THROWS(reactor.watch(-1, EPOLLIN, [](std::uint32_t) {}));
}

TEST_CASE("after cancel() nothing is called any more") {
    Reactor reactor;
    const UniqueFd fd{::eventfd(1, EFD_CLOEXEC)};
    for (int i = 0; i < 200; ++i) {
        std::atomic<bool> alive = true;
        std::atomic<int> late = 0;
        const auto watch = reactor.watch(fd.get(), EPOLLIN, [&](std::uint32_t) {
            if (!alive) ++late;
        });
        const auto timer = reactor.after(milliseconds{0}, [&] {
            if (!alive) ++late;
        });
        reactor.cancel(watch);
        reactor.cancel(timer);
        alive = false;
        settle(reactor);
        CHECK(late == 0);
    }
}

TEST_CASE("a callback may cancel itself and add others") {
    Reactor reactor;
    const UniqueFd fd{::eventfd(1, EFD_CLOEXEC)};
    std::promise<void> done;
    std::atomic<int> calls = 0;
    Reactor::Token token = 0;
    std::mutex mutex;
    {
        const std::lock_guard lock{mutex};
        token = reactor.watch(fd.get(), EPOLLIN, [&](std::uint32_t) {
            const std::lock_guard inner{mutex};
            ++calls;
            reactor.cancel(token);
            reactor.after(milliseconds{1}, [&] { done.set_value(); });
        });
    }
    done.get_future().wait();
    CHECK(calls == 1);
}

TEST_CASE("one descriptor may have several watches, each ended alone") {
    Reactor reactor;
    const UniqueFd fd{::eventfd(1, EFD_CLOEXEC)};
    std::promise<void> first, second;
    const auto a = reactor.watch(fd.get(), EPOLLIN | EPOLLONESHOT, [&](std::uint32_t) { first.set_value(); });
    first.get_future().wait();
    const auto b = reactor.watch(fd.get(), EPOLLIN | EPOLLONESHOT, [&](std::uint32_t) { second.set_value(); });
    second.get_future().wait();
    reactor.cancel(a);
    reactor.cancel(b);
    std::promise<void> third;
    const auto c = reactor.watch(fd.get(), EPOLLIN | EPOLLONESHOT, [&](std::uint32_t) { third.set_value(); });
    third.get_future().wait();
    reactor.cancel(c);
}

TEST_CASE("a callback that throws does not end the reactor") {
    Reactor reactor;
    const UniqueFd fd{::eventfd(1, EFD_CLOEXEC)};
    reactor.post([] { throw std::runtime_error{"posted"}; });
    reactor.after(milliseconds{0}, [] { throw std::runtime_error{"timer"}; });
    std::promise<void> called;
    const auto token = reactor.watch(fd.get(), EPOLLIN | EPOLLONESHOT, [&](std::uint32_t) {
        called.set_value();
        throw std::runtime_error{"watch"};
    });
    called.get_future().wait();
    settle(reactor);
    reactor.cancel(token);
    std::promise<void> timer;
    reactor.after(milliseconds{0}, [&] { timer.set_value(); });
    timer.get_future().wait();
}

TEST_CASE("timers come in the order of their times") {
    Reactor reactor;
    std::promise<void> done;
    std::vector<int> order;
    reactor.after(milliseconds{30}, [&] {
        order.push_back(3);
        done.set_value();
    });
    reactor.after(milliseconds{1}, [&] { order.push_back(1); });
    reactor.after(milliseconds{15}, [&] { order.push_back(2); });
    done.get_future().wait();
    CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("pending calls are dropped when the reactor goes") {
    std::atomic<bool> called = false;
    {
        Reactor reactor;
        reactor.after(std::chrono::hours{1}, [&] { called = true; });
    }
    CHECK_FALSE(called);
}

TEST_CASE("the pool runs everything once, on a bounded number of threads") {
    std::atomic<int> done = 0;
    std::mutex mutex;
    std::set<std::thread::id> threads;
    {
        WorkerPool pool{4};
        for (int i = 0; i < 200; ++i) {
            pool.post([&] {
                const std::lock_guard lock{mutex};
                threads.insert(std::this_thread::get_id());
                ++done;
            });
        }
    }
    CHECK(done == 200);
    CHECK(threads.size() <= 4);
}

TEST_CASE("blocked work does not hold up other work while threads are left") {
    WorkerPool pool{4};
    std::promise<void> release;
    auto released = release.get_future().share();
    for (int i = 0; i < 3; ++i)
        pool.post([released] { released.wait(); });
    std::promise<void> ran;
    pool.post([&] { ran.set_value(); });
    ran.get_future().wait();
    release.set_value();
    pool.finish();
    bool late = false;
    pool.post([&] { late = true; });
    CHECK_FALSE(late);
}

TEST_CASE("reactors and pools leave no descriptor and no thread behind") {
    const auto fds = entries("/proc/self/fd");
    const auto threads = entries("/proc/self/task");
    for (int i = 0; i < 20; ++i) {
        Reactor reactor;
        WorkerPool pool{4};
        const UniqueFd fd{::eventfd(1, EFD_CLOEXEC)};
        const auto token = reactor.watch(fd.get(), EPOLLIN, [](std::uint32_t) {});
        for (int k = 0; k < 10; ++k)
            pool.post([&] { settle(reactor); });
        pool.finish();
        reactor.cancel(token);
    }
    CHECK(entries("/proc/self/fd") == fds);
    CHECK(entries("/proc/self/task") == threads);
}

TEST_CASE("a lock of one entity excludes others of the same entity only") {
    EntityLocks locks;
    EntityLocks::Guard one, two, again;
    REQUIRE(locks.try_lock("instances/default/c1", one));
    CHECK_FALSE(locks.try_lock("instances/default/c1", again));
    CHECK(locks.try_lock("instances/default/c2", two));
    one = {};
    CHECK(locks.try_lock("instances/default/c1", again));
}

TEST_CASE("who waits for a lock gets it, one after another") {
    EntityLocks locks;
    int inside = 0, most = 0, total = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 100; ++i) {
                const auto guard = locks.lock("x");
                most = std::max(most, ++inside);
                ++total;
                --inside;
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    CHECK(most == 1);
    CHECK(total == 800);
}

TEST_CASE("a lock may outlive its table") {
    EntityLocks::Guard guard;
    {
        EntityLocks locks;
        guard = locks.lock("x");
    }
    CHECK_NOTHROW(guard = {});
}
