// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>

#include "http/asio.hpp"

namespace lxdcore::daemon {

/// The way to an I/O thread for callbacks of the core, which live longer than it: what comes after its end is dropped.
/// They hold nothing that belongs to the thread, timers least of all, but by a weak pointer that is locked over there.
/// Copyable, thread-safe.
class Remote {
public:
    explicit Remote(const Executor& executor)
        : way_{asio::use_service<Service>(static_cast<asio::execution_context&>(executor.context())).way} {}

    template <class Action>
    void post(Action action) const {
        const std::lock_guard lock{way_->mutex};
        if (way_->io != nullptr) asio::post(*way_->io, std::move(action));
    }

private:
    struct Way {
        std::mutex mutex;
        asio::io_context* io = nullptr; ///< null from the end on
    };
    /// Ends before the queue of the thread does.
    class Service : public asio::execution_context::service {
    public:
        inline static asio::execution_context::id id;
        explicit Service(asio::execution_context& context) : service{context}, way{std::make_shared<Way>()} {
            way->io = static_cast<asio::io_context*>(&context);
        }
        std::shared_ptr<Way> way;

    private:
        void shutdown() override {
            const std::lock_guard lock{way->mutex};
            way->io = nullptr;
        }
    };
    std::shared_ptr<Way> way_;
};

} // namespace lxdcore::daemon
