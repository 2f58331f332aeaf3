// SPDX-License-Identifier: Apache-2.0
#include "routes/event_stream.hpp"

#include <deque>
#include <mutex>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>

#include "http/remote.hpp"
#include "http/websocket.hpp"

namespace lxdcore::daemon {

namespace {

/// A client that reads slower than this many events arrive is cut off (R53).
constexpr std::size_t kMaxQueued = 4096;

/// Between the publisher's threads and the client's I/O thread.
struct EventQueue {
    explicit EventQueue(const Executor& on) : remote{on} {}
    const Remote remote;
    std::mutex mutex;
    std::deque<std::shared_ptr<const std::string>> events;
    bool overflow = false; ///< no more after what is queued
};

/// On the I/O thread alone.
struct EventSender {
    explicit EventSender(const Executor& on) : wake{on} { wake.expires_at(Timer::time_point::max()); }
    Timer wake; ///< cancelled when there is something to do
    bool ended = false;
};

void push(const std::shared_ptr<EventQueue>& queue, const std::weak_ptr<EventSender>& sender, const Event& event) {
    {
        const std::lock_guard lock{queue->mutex};
        if (queue->overflow) return;
        queue->overflow = queue->events.size() >= kMaxQueued || !event.json;
        queue->events.push_back(event.json);
        if (queue->events.size() > 1) return; // already woken
    }
    queue->remote.post([sender] {
        if (const auto there = sender.lock()) there->wake.cancel();
    });
}

/// The client says nothing of interest, but its pongs and its close must be seen.
Awaitable<void> watch_peer(std::shared_ptr<WebSocket> socket, std::shared_ptr<EventSender> sender) {
    char scrap[256];
    std::size_t size = 0;
    while (co_await socket->read(asio::buffer(scrap), size) != WebSocket::Kind::Closed) {
    }
    sender->ended = true;
    sender->wake.cancel();
}

Awaitable<void> send_events(std::shared_ptr<WebSocket> socket, std::shared_ptr<EventQueue> queue,
                            std::shared_ptr<EventSender> sender) {
    while (!sender->ended) {
        std::deque<std::shared_ptr<const std::string>> batch;
        {
            const std::lock_guard lock{queue->mutex};
            if (queue->overflow) break;
            batch.swap(queue->events);
        }
        for (const auto& event : batch)
            if (!co_await socket->write_text(*event)) co_return;
        if (!batch.empty()) continue;
        error_code ec;
        co_await sender->wake.async_wait(asio::redirect_error(use_awaitable, ec));
        sender->wake.expires_at(Timer::time_point::max());
    }
    co_await socket->close();
}

} // namespace

Awaitable<Response> stream_events(Exchange& exchange, Subscribe subscribe) {
    if (!exchange.wants_websocket()) co_return Response::plain(400, "Bad Request\n");
    const Executor executor = co_await asio::this_coro::executor;
    const auto queue = std::make_shared<EventQueue>(executor);
    const auto sender = std::make_shared<EventSender>(executor);
    // subscribed before the client learns that it is connected: nothing can fall in between
    const auto subscription =
        subscribe([queue, weak = std::weak_ptr{sender}](const Event& event) { push(queue, weak, event); });
    const std::shared_ptr<WebSocket> socket = co_await exchange.upgrade();
    asio::co_spawn(executor, watch_peer(socket, sender), asio::detached);
    co_await send_events(socket, queue, sender);
    socket->abort();
    Response done;
    done.upgraded = true;
    co_return done;
}

} // namespace lxdcore::daemon
