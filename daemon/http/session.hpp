// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <memory>

#include "app.hpp"
#include "http/io_threads.hpp"
#include "http/limits.hpp"
#include "http/router.hpp"
#include "http/stream.hpp"

namespace lxdcore::daemon {

/// What all connections share. Outlives them.
struct HttpServer {
    App& app;
    const Router& router;
    Limits limits;
    std::atomic<int> busy{0}; ///< requests being answered
    /// Who may ask, what is answered, and what a failure looks like; empty: the REST API.
    Awaitable<Response> (*answer)(HttpServer& server, Exchange& exchange) = nullptr;
    Response (*failed)(std::exception_ptr failure) = nullptr;
};

/// Serves one connection until it ends: keep-alive, one request after the other. @p slot is held meanwhile.
Awaitable<void> serve(HttpServer& server, IoThread& thread, Stream stream, Peer peer, std::shared_ptr<void> slot);

} // namespace lxdcore::daemon
