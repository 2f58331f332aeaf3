// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <lxdcore/caller.hpp>

#include "app.hpp"
#include "http/body_reader.hpp"
#include "http/io_threads.hpp"
#include "http/limits.hpp"
#include "http/request.hpp"

namespace lxdcore::daemon {

class WebSocket;
class Stream;

/// One request and its answer, for handlers that run on the I/O thread. Thread-bound to it.
class Exchange {
public:
    Exchange(Request& request_, App& app_, BodyReader& body_, const Limits& limits_)
        : request{request_}, app{app_}, body{body_}, limits{limits_} {}
    virtual ~Exchange();

    Request& request;
    App& app;
    BodyReader& body;
    const Limits& limits;

    /// Runs @p work on a worker on behalf of the caller.
    template <class Work>
    Awaitable<std::invoke_result_t<Work&>> blocking(Work& work) {
        auto scoped = [&] {
            const CallerScope scope{request.identity.caller};
            return work();
        };
        co_return co_await app.workers.run(scoped);
    }
    virtual bool wants_websocket() const = 0;
    /// Answers 101 and takes the connection over; the handler then returns a Response with `upgraded`.
    /// @throws HttpError 400 if the request is no websocket handshake
    virtual Awaitable<std::unique_ptr<WebSocket>> upgrade() = 0;
    /// Answers 101 to a change to @p protocol and takes the connection over, as upgrade(). @p early: what the peer has
    /// sent behind its request.
    virtual Awaitable<std::unique_ptr<Stream>> switch_to(std::string_view protocol, std::string& early) = 0;
    /// True once the peer has closed the connection (only seen while nothing is read).
    virtual bool peer_gone() = 0;
};

} // namespace lxdcore::daemon
