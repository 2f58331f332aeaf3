// SPDX-License-Identifier: Apache-2.0
#include "http/session.hpp"

#include <fmt/format.h>

#include "http/connection.hpp"
#include "http/error_mapping.hpp"
#include "http/exchange.hpp"
#include "http/websocket.hpp"

namespace lxdcore::daemon {

Exchange::~Exchange() = default;

namespace {

class SessionExchange final : public Exchange {
public:
    SessionExchange(Request& request_, HttpServer& server, Connection& connection)
        : Exchange{request_, server.app, connection, server.limits}, connection_{connection} {}
    bool wants_websocket() const override { return connection_.wants_websocket(); }
    Awaitable<std::unique_ptr<WebSocket>> upgrade() override { return connection_.upgrade(); }
    Awaitable<std::unique_ptr<Stream>> switch_to(std::string_view protocol, std::string& early) override {
        return connection_.switch_to(protocol, early);
    }
    bool peer_gone() override { return connection_.peer_gone(); }

private:
    Connection& connection_;
};

struct Busy {
    explicit Busy(std::atomic<int>& count) : count_{count} { ++count_; }
    ~Busy() { --count_; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    std::atomic<int>& count_;
};

/// Requests that may be answered while the daemon is going down.
bool allowed_while_stopping(const Request& request) {
    return request.method == Method::Get || request.path == "/1.0" || request.path.starts_with("/1.0/operations") ||
           request.path.starts_with("/internal");
}

Awaitable<void> identify(App& app, Request& request) {
    if (auto known = app.auth.known(request.peer)) {
        request.identity = std::move(*known);
        co_return;
    }
    auto ask = [&] { return app.auth.identify(request.peer); };
    request.identity = co_await app.workers.run(ask);
}

Awaitable<Response> call(const Route& route, Exchange& exchange) {
    Request& request = exchange.request;
    App& app = exchange.app;
    if (route.shortcut != nullptr && exchange.body.empty())
        if (auto response = route.shortcut(request, app)) co_return std::move(*response);
    if (route.stream != nullptr) co_return co_await route.stream(exchange);
    request.body = co_await exchange.body.read_all(exchange.limits.json_bytes);
    auto work = [&] { return route.handler(request, app); };
    auto response = co_await exchange.blocking(work);
    if (request.method != Method::Get) app.info.invalidate();
    co_return response;
}

/// Everything that is decided before the body is read, then the handler.
Awaitable<Response> answer(HttpServer& server, Exchange& exchange) {
    Request& request = exchange.request;
    App& app = server.app;
    const auto match = server.router.match(request);
    if (!match.known) co_return Response::error(404, "not found");
    if (request.method_text == "OPTIONS") co_return Response{};
    if (request.method == Method::None)
        co_return Response::error(404, fmt::format("Method \"{}\" not found", request.method_text));
    co_await identify(app, request);
    if (match.route == nullptr)
        co_return request.identity.trusted ? Response::error(501, "not implemented")
                                           : Response::error(403, "not authorized");
    if (!Authorizer::allows(request, match.route->permission)) {
        app.log.debug("Rejecting request", {{"url", request.path}, {"ip", request.peer.address}});
        co_return Response::error(403, "not authorized");
    }
    if (is_cross_site(request)) {
        app.log.warning("Rejecting cross-site request", {{"url", request.path}, {"ip", request.peer.address}});
        co_return Response::error(403, "Cross-site requests are not allowed");
    }
    if (app.stopping && !allowed_while_stopping(request)) co_return Response::error(503, "LXD is shutting down");
    co_return co_await call(*match.route, exchange);
}

Awaitable<Response> answer_or_error(HttpServer& server, Exchange& exchange) {
    std::exception_ptr failure;
    try {
        co_return co_await (server.answer != nullptr ? server.answer : answer)(server, exchange);
    } catch (...) {
        failure = std::current_exception();
    }
    if (server.failed != nullptr) co_return server.failed(failure);
    auto response = error_response(failure);
    if (response.status >= 500)
        server.app.log.warning("Request failed", {{"url", exchange.request.path},
                                                  {"method", std::string{exchange.request.method_text}},
                                                  {"status", std::to_string(response.status)}});
    co_return response;
}

/// One request; false ends the connection.
Awaitable<bool> serve_one(HttpServer& server, Connection& connection, const Peer& peer, bool& gently) {
    Request request;
    request.peer = peer;
    std::exception_ptr malformed;
    try {
        if (!co_await connection.read_request(request)) co_return false;
    } catch (const HttpError&) {
        malformed = std::current_exception();
    }
    gently = true;
    if (malformed) {
        auto response = error_response(malformed);
        response.close = true;
        co_await connection.write(response, false);
        co_return false;
    }
    const Busy busy{server.busy};
    SessionExchange exchange{request, server, connection};
    auto response = co_await answer_or_error(server, exchange);
    if (response.upgraded) {
        gently = false;
        co_return false;
    }
    // an early answer (refused before the body was read) keeps the connection only if little is left to skip
    bool reusable = !response.close && connection.keep_alive();
    const bool skip_first = reusable && !connection.empty();
    if (skip_first) {
        try {
            reusable = co_await connection.finish_request();
        } catch (const HttpError&) {
            reusable = false;
        }
    }
    response.close = !reusable;
    co_await connection.write(response, request.method == Method::Head);
    co_return reusable;
}

} // namespace

Awaitable<void> serve(HttpServer& server, IoThread& thread, Stream stream, Peer peer,
                      [[maybe_unused]] std::shared_ptr<void> slot) {
    Connection connection{server.limits, server.app.workers, thread, std::move(stream)};
    bool gently = false;
    try {
        while (co_await serve_one(server, connection, peer, gently))
            gently = false;
        if (gently) co_await connection.close_gently();
    } catch (const std::exception& error) {
        // the peer went away in the middle, or was too slow: nobody is left to tell
        server.app.log.debug("Connection ended", {{"ip", peer.address}, {"err", error.what()}});
    }
}

} // namespace lxdcore::daemon
