// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <lxdcore/service/instance_service.hpp>

namespace lxdcore::instance {

/// Starts instances after a boot of the host: by falling priority, those of one priority side by side, except that
/// nothing starts until the delay after an instance has passed. A failed start is tried again. Waits hold no thread.
/// Thread-safe.
class BootSequence : public std::enable_shared_from_this<BootSequence> {
public:
    struct Entry {
        InstanceRef ref;
        std::int64_t priority = 0;
        std::chrono::seconds delay{0};
    };
    /// How a round ended.
    struct Outcome {
        bool all_started = true;
        std::vector<InstanceRef> unavailable; ///< their pool or network is missing: worth another round later
    };
    struct Host {
        std::function<void(std::function<void()>)> post; ///< on a thread that may block
        std::function<void(std::chrono::milliseconds, std::function<void()>)> after;
        std::function<void(const InstanceRef&)> start; ///< returns when it runs; throws Error
        std::function<bool(const InstanceRef&)> running;
        std::function<void(const InstanceRef&)> started;
        std::function<void(const InstanceRef&, const Error&, bool last)> failed; ///< @p last: it is not tried again
        std::function<void(const Outcome&)> done;                                ///< not after cancel()
    };
    static constexpr int tries = 3;
    static constexpr std::chrono::seconds retry_delay{5};

    /// @p parallel bounds the starts under way.
    BootSequence(std::vector<Entry> entries, Host host, std::size_t parallel);
    void run();    ///< returns at once
    void cancel(); ///< nothing is started any more; returns when the starts under way have ended

private:
    void next_group();
    void pump(std::unique_lock<std::mutex>& lock);
    void attempt(std::size_t index, int number);
    void settle(bool started, const InstanceRef* unavailable);
    void leave();

    const Host host_;
    const std::size_t parallel_;
    std::vector<Entry> entries_;
    std::mutex mutex_;
    std::condition_variable idle_;
    bool cancelled_ = false;
    std::size_t cursor_ = 0; ///< the next entry to start
    std::size_t end_ = 0;    ///< of the group under way
    std::size_t left_ = 0;   ///< of the group, not settled yet
    std::size_t active_ = 0; ///< starts under way
    Outcome outcome_;
};

} // namespace lxdcore::instance
