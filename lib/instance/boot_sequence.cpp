// SPDX-License-Identifier: Apache-2.0
#include "instance/boot_sequence.hpp"

#include <algorithm>

namespace lxdcore::instance {

BootSequence::BootSequence(std::vector<Entry> entries, Host host, std::size_t parallel)
    : host_{std::move(host)}, parallel_{std::max<std::size_t>(parallel, 1)}, entries_{std::move(entries)} {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.priority > b.priority; });
}

void BootSequence::run() { next_group(); }

void BootSequence::cancel() {
    std::unique_lock lock{mutex_};
    cancelled_ = true;
    idle_.wait(lock, [this] { return active_ == 0; });
}

/// A group is what may start side by side: one priority, up to an instance that wants time after it.
void BootSequence::next_group() {
    std::unique_lock lock{mutex_};
    if (cancelled_) return;
    if (cursor_ == entries_.size()) {
        lock.unlock();
        host_.done(outcome_);
        return;
    }
    const auto priority = entries_[cursor_].priority;
    end_ = cursor_;
    while (end_ < entries_.size() && entries_[end_].priority == priority)
        if (entries_[end_++].delay.count() > 0) break;
    left_ = end_ - cursor_;
    pump(lock);
}

void BootSequence::pump(std::unique_lock<std::mutex>& lock) {
    while (!cancelled_ && active_ < parallel_ && cursor_ < end_) {
        ++active_;
        const auto index = cursor_++;
        lock.unlock();
        host_.post([self = shared_from_this(), index] { self->attempt(index, 1); });
        lock.lock();
    }
}

void BootSequence::leave() {
    std::unique_lock lock{mutex_};
    --active_;
    idle_.notify_all();
    pump(lock);
}

void BootSequence::attempt(std::size_t index, int number) {
    const auto& ref = entries_[index].ref;
    {
        const std::lock_guard lock{mutex_};
        if (cancelled_) {
            --active_;
            idle_.notify_all();
            return;
        }
    }
    try {
        if (!host_.running(ref)) host_.start(ref);
        host_.started(ref);
        leave();
        settle(true, nullptr);
    } catch (const Error& error) {
        const bool unavailable = error.code() == ErrorCode::Unavailable;
        const bool running = host_.running(ref);
        const bool last = running || unavailable || number == tries;
        if (!running) host_.failed(ref, error, last && !unavailable);
        leave();
        if (last) return settle(running, unavailable ? &ref : nullptr);
        host_.after(retry_delay, [self = shared_from_this(), index, number] {
            {
                const std::lock_guard lock{self->mutex_};
                if (self->cancelled_) return;
                ++self->active_;
            }
            self->host_.post([self, index, number] { self->attempt(index, number + 1); });
        });
    }
}

/// The last one of a group lets the next group begin.
void BootSequence::settle(bool started, const InstanceRef* unavailable) {
    std::chrono::milliseconds pause{0};
    {
        const std::lock_guard lock{mutex_};
        outcome_.all_started = outcome_.all_started && started;
        if (unavailable != nullptr) outcome_.unavailable.push_back(*unavailable);
        if (--left_ > 0 || cancelled_) return;
        if (started) pause = entries_[end_ - 1].delay;
    }
    if (pause.count() == 0) return next_group();
    host_.after(pause, [self = shared_from_this()] { self->next_group(); });
}

} // namespace lxdcore::instance
