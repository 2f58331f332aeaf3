// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <optional>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>

#include "http/exchange.hpp"
#include "http/remote.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

bool is_owner(const Operation& operation, const Identity& identity) {
    return operation.caller().protocol == identity.caller.protocol &&
           operation.caller().username == identity.caller.username;
}

/// Secrets are their owner's; those of tokens every administrator's, who lists and revokes them by them.
nlohmann::json shown(const Operation& operation, const Identity& identity) {
    auto json = operation.to_json(is_owner(operation, identity));
    if (identity.admin && json["class"] == "token") json = operation.to_json(true);
    return json;
}

Response list(const Request& request, App& app) {
    auto groups = nlohmann::json::object();
    // LXD lets all-projects win here, other than in the lists of instances
    const bool all = request.query_flag("all-projects");
    for (const auto& project : all ? all_projects(app) : std::vector{request.project()}) {
        for (const auto& operation : app.core.operations.list(request.identity.caller, project)) {
            auto& group = groups[lower(api::name(operation->status()))];
            if (group.is_null()) group = nlohmann::json::array();
            group.push_back(request.recursion() == 0 ? nlohmann::json("/1.0/operations/" + operation->id())
                                                     : shown(*operation, request.identity));
        }
    }
    return Response::sync(groups);
}

Response get(const Request& request, App& app) {
    const auto operation = app.core.operations.get(request.param("id"), request.identity.caller);
    return Response::sync(shown(*operation, request.identity));
}

Response cancel(const Request& request, App& app) {
    app.core.operations.get(request.param("id"), request.identity.caller)->cancel();
    return Response::empty();
}

/// Whoever knows one of its secrets may wait for an operation, too.
OperationPtr waited_for(const Request& request, App& app) {
    const auto secret = request.query("secret");
    if (secret.empty()) {
        if (!request.identity.trusted) throw Error{ErrorCode::Forbidden, "not authorized"};
        return app.core.operations.get(request.param("id"), request.identity.caller);
    }
    auto operation = app.core.operations.find(request.param("id"));
    if (!operation || !operation->knows(secret)) throw Error{ErrorCode::Forbidden, "not authorized"};
    return operation;
}

/// -1, or nothing said: for ever.
std::optional<std::chrono::seconds> timeout_of(const Request& request) {
    const auto text = request.query("timeout");
    if (text.empty()) return std::nullopt;
    int seconds = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (ec != std::errc{} || end != text.data() + text.size())
        throw HttpError{400, "strconv.Atoi: parsing \"" + text + "\": invalid syntax"};
    return seconds < 0 ? std::nullopt : std::optional{std::chrono::seconds{seconds}};
}

/// Waits without holding a thread; ends early when the client has gone.
Awaitable<Response> wait(Exchange& exchange) {
    constexpr std::chrono::seconds kLookAtPeer{10};
    const auto timeout = timeout_of(exchange.request);
    auto find = [&] { return waited_for(exchange.request, exchange.app); };
    const auto operation = co_await exchange.blocking(find);
    const Executor executor = co_await asio::this_coro::executor;
    const auto timer = std::make_shared<Timer>(executor);
    const auto until = timeout ? Timer::clock_type::now() + *timeout : Timer::time_point::max();
    const auto ended = std::make_shared<bool>(false);
    operation->on_end([remote = Remote{executor}, weak = std::weak_ptr{timer}, ended] {
        remote.post([weak, ended] {
            *ended = true;
            if (const auto waiting = weak.lock()) waiting->cancel();
        });
    });
    while (!*ended && Timer::clock_type::now() < until && !exchange.peer_gone()) {
        timer->expires_at(std::min(until, Timer::clock_type::now() + kLookAtPeer));
        error_code ec;
        co_await timer->async_wait(asio::redirect_error(use_awaitable, ec));
    }
    auto encode = [&] { return Response::sync(shown(*operation, exchange.request.identity)); };
    co_return encode();
}

} // namespace

void add_operation_routes(Router& router) {
    router.add(Method::Get, "/1.0/operations", Permission::Project, list);
    router.add(Method::Get, "/1.0/operations/{id}", Permission::Trusted, get);
    router.add(Method::Delete, "/1.0/operations/{id}", Permission::Trusted, cancel);
    router.add(Method::Get, "/1.0/operations/{id}/wait", Permission::Anybody, wait);
}

} // namespace lxdcore::daemon
