// SPDX-License-Identifier: Apache-2.0
#include "http/io_threads.hpp"

#include <csignal>

namespace lxdcore::daemon {

namespace {
constexpr std::chrono::milliseconds kTick{500};
}

Deadlines::Entry::Entry(Deadlines& owner, std::function<void()> expire) : owner_{owner}, expire_{std::move(expire)} {
    place_ = owner_.entries_.insert(owner_.entries_.end(), this);
    if (!owner_.ticking_) owner_.tick();
}

Deadlines::Entry::~Entry() {
    if (owner_.next_ == place_) ++owner_.next_;
    owner_.entries_.erase(place_);
}

void Deadlines::tick() {
    ticking_ = !entries_.empty();
    if (!ticking_) return;
    timer_->expires_after(kTick);
    timer_->async_wait([this](error_code ec) {
        if (ec) return;
        const auto now = Clock::now();
        for (next_ = entries_.begin(); next_ != entries_.end();) {
            Entry* entry = *next_++;
            if (entry->at_ > now) continue;
            entry->clear();
            entry->expire_();
        }
        tick();
    });
}

IoThread::IoThread() { deadlines_.attach(io_); }

IoThread::~IoThread() {
    stop();
    deadlines_.detach();
}

void IoThread::start() {
    thread_ = std::thread{[this] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr); // signals are for the main thread
        io_.run();
    }};
}

void IoThread::stop() {
    guard_.reset();
    io_.stop();
    if (thread_.joinable()) thread_.join();
}

IoThreads::IoThreads(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        threads_.push_back(std::make_unique<IoThread>());
}

void IoThreads::start() {
    for (auto& thread : threads_)
        thread->start();
}

void IoThreads::stop() {
    for (auto& thread : threads_)
        thread->stop();
}

} // namespace lxdcore::daemon
