// SPDX-License-Identifier: Apache-2.0
#include "http/exchange.hpp"
#include "routes/common.hpp"
#include "routes/event_stream.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

EventService::Filter filter_of(const Request& request) {
    EventService::Filter filter;
    filter.viewer = request.identity.caller;
    const bool all = request.query_flag("all-projects");
    if (all && !request.query("project").empty())
        throw HttpError{500, "Cannot specify a project when requesting all projects"};
    filter.project = all ? "" : request.project();
    if (const auto types = request.query("type"); !types.empty()) {
        filter.types.clear();
        for (std::string_view rest = types; !rest.empty();) {
            const auto end = std::min(rest.find(','), rest.size());
            const std::string type{rest.substr(0, end)};
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (type != "lifecycle" && type != "operation" && type != "logging")
                throw HttpError{500, "\"" + type + "\" isn't a supported event type"};
            filter.types.insert(type);
        }
    } else if (!request.identity.admin) {
        filter.types.erase("logging");
    }
    if (!request.identity.admin && filter.types.contains("logging")) throw HttpError{500, "Forbidden"};
    return filter;
}

Awaitable<Response> events(Exchange& exchange) {
    auto filter = filter_of(exchange.request);
    co_return co_await stream_events(exchange, [&](auto receive) {
        return exchange.app.core.events.subscribe(std::move(filter), std::move(receive));
    });
}

} // namespace

void add_event_routes(Router& router) { router.add(Method::Get, "/1.0/events", Permission::Project, events); }

} // namespace lxdcore::daemon
