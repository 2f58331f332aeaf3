// SPDX-License-Identifier: Apache-2.0
#include "util/reactor.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include <lxdcore/error.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore {

namespace {

using Clock =
    std::chrono::steady_clock; // CLOCK_MONOTONIC, as the timerfd: jumps of the wall clock change nothing (R59)

// Tokens of the reactor's own descriptors; watches count from first_token.
constexpr Reactor::Token wake_token = 0;
constexpr Reactor::Token timer_token = 1;
constexpr Reactor::Token first_token = 16;

} // namespace

struct Reactor::Impl {
    struct Watch {
        int fd;
        UniqueFd own; ///< a duplicate, where the descriptor was being watched already
        std::shared_ptr<std::function<void(std::uint32_t)>> ready;
    };
    struct Timer {
        Token token;
        std::function<void()> call;
    };

    Impl()
        : epoll{::epoll_create1(EPOLL_CLOEXEC)}, wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
          timer{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)} {
        if (!epoll || !wake || !timer) throw_errno("reactor");
        add(wake.get(), EPOLLIN, wake_token);
        add(timer.get(), EPOLLIN, timer_token);
        thread = std::thread{[this] { loop(); }};
    }

    bool try_add(int fd, std::uint32_t events, Token token) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = token;
        return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
    }
    void add(int fd, std::uint32_t events, Token token) {
        if (!try_add(fd, events, token)) throw_errno("epoll_ctl");
    }
    /// epoll takes a descriptor once; the second watcher gets a number of its own.
    void add(Watch& watch, std::uint32_t events, Token token) {
        if (try_add(watch.fd, events, token)) return;
        if (errno != EEXIST) throw_errno("epoll_ctl");
        watch.own.reset(::fcntl(watch.fd, F_DUPFD_CLOEXEC, 3));
        if (!watch.own) throw_errno("epoll_ctl");
        watch.fd = watch.own.get();
        add(watch.fd, events, token);
    }

    /// What a callback throws ends that callback and nothing else: the thread serves everybody (R52).
    template <typename Call, typename... Args>
    static void guarded(Call& call, Args... args) noexcept {
        try {
            call(args...);
        } catch (...) {
        }
    }

    void ring() { ::eventfd_write(wake.get(), 1); }

    /// With the lock held.
    void arm_timer() {
        itimerspec spec{};
        if (!timers.empty()) {
            const auto since = timers.begin()->first.time_since_epoch();
            const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
            spec.it_value.tv_sec = seconds.count();
            spec.it_value.tv_nsec = std::chrono::nanoseconds{since - seconds}.count();
        }
        ::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
    }

    void loop() {
        while (!stopping) {
            std::array<epoll_event, 64> events;
            const int count = ::epoll_wait(epoll.get(), events.data(), events.size(), -1);
            for (int i = 0; i < count && !stopping; ++i)
                dispatch(events[static_cast<std::size_t>(i)]);
        }
    }

    void dispatch(const epoll_event& event) {
        std::uint64_t ignored = 0;
        if (event.data.u64 == wake_token) {
            (void)!::read(wake.get(), &ignored, sizeof ignored);
            run_posted();
        } else if (event.data.u64 == timer_token) {
            (void)!::read(timer.get(), &ignored, sizeof ignored);
            run_timers();
        } else {
            run_watch(event.data.u64, event.events);
        }
    }

    void run_posted() {
        std::vector<std::function<void()>> calls;
        {
            const std::lock_guard lock{mutex};
            calls.swap(posted);
        }
        for (auto& call : calls) {
            if (!stopping) guarded(call);
        }
    }

    void run_timers() {
        std::unique_lock lock{mutex};
        while (!timers.empty() && timers.begin()->first <= Clock::now() && !stopping) {
            auto timer_call = std::move(timers.begin()->second);
            timers.erase(timers.begin());
            timer_places.erase(timer_call.token);
            running = timer_call.token;
            lock.unlock();
            guarded(timer_call.call);
            timer_call.call = nullptr;
            lock.lock();
            running = 0;
            finished.notify_all();
        }
        arm_timer();
    }

    void run_watch(Token token, std::uint32_t ready) {
        std::unique_lock lock{mutex};
        const auto it = watches.find(token);
        if (it == watches.end()) return; // cancelled after epoll_wait had reported it
        auto call = it->second.ready;
        running = token;
        lock.unlock();
        guarded(*call, ready);
        call.reset();
        lock.lock();
        running = 0;
        finished.notify_all();
    }

    void cancel(Token token) {
        std::unique_lock lock{mutex};
        // Dropped after the lock: their captures may call back into the reactor.
        std::shared_ptr<std::function<void(std::uint32_t)>> dropped_watch;
        std::function<void()> dropped_timer;
        if (const auto it = watches.find(token); it != watches.end()) {
            ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
            dropped_watch = std::move(it->second.ready);
            watches.erase(it);
        }
        if (const auto it = timer_places.find(token); it != timer_places.end()) {
            dropped_timer = std::move(it->second->second.call);
            timers.erase(it->second);
            timer_places.erase(it);
        }
        if (std::this_thread::get_id() != thread.get_id()) {
            finished.wait(lock, [&] { return running != token; });
        }
        lock.unlock();
    }

    UniqueFd epoll, wake, timer;
    std::mutex mutex;
    std::condition_variable finished;
    std::unordered_map<Token, Watch> watches;
    std::multimap<Clock::time_point, Timer> timers;
    std::unordered_map<Token, std::multimap<Clock::time_point, Timer>::iterator> timer_places;
    std::vector<std::function<void()>> posted;
    Token next = first_token;
    Token running = 0; ///< whose callback the thread is in
    std::atomic<bool> stopping = false;
    std::thread thread;
};

Reactor::Reactor() : impl_{std::make_unique<Impl>()} {}

Reactor::~Reactor() {
    impl_->stopping = true;
    impl_->ring();
    impl_->thread.join();
}

Reactor::Token Reactor::watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) {
    const std::lock_guard lock{impl_->mutex};
    const auto token = impl_->next++;
    Impl::Watch watch{fd, {}, std::make_shared<std::function<void(std::uint32_t)>>(std::move(ready))};
    impl_->add(watch, events, token);
    impl_->watches.emplace(token, std::move(watch));
    return token;
}

Reactor::Token Reactor::after(std::chrono::milliseconds delay, std::function<void()> call) {
    const std::lock_guard lock{impl_->mutex};
    const auto token = impl_->next++;
    const auto place = impl_->timers.emplace(Clock::now() + delay, Impl::Timer{token, std::move(call)});
    impl_->timer_places.emplace(token, place);
    impl_->arm_timer();
    return token;
}

void Reactor::cancel(Token token) { impl_->cancel(token); }

void Reactor::post(std::function<void()> call) {
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->posted.push_back(std::move(call));
    }
    impl_->ring();
}

} // namespace lxdcore
