// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "devlxd/guest_server.hpp"
#include "http/error_mapping.hpp"
#include "http/exchange.hpp"
#include "routes/event_stream.hpp"

namespace lxdcore::daemon {

namespace {

const GuestApi::Caller& caller(const Request& request) { return *request.peer.guest; }

Response json(const nlohmann::json& value) { return Response::plain(200, value.dump() + "\n", "application/json"); }
Response text(std::string value) { return Response::plain(200, std::move(value), "application/octet-stream"); }

Response root(const Request&, App&) { return json({"/1.0"}); }

Response about(const Request&, App&) {
    return json({{"api_version", "1.0"}, {"instance_type", "container"}, {"location", "none"}, {"state", ""}});
}

Response config(const Request& request, App& app) {
    auto urls = nlohmann::json::array();
    for (const auto& [key, value] : app.core.guests.config(caller(request)))
        urls.push_back("/1.0/config/" + key);
    return json(urls);
}

Response config_key(const Request& request, App& app) {
    return text(app.core.guests.config(caller(request), request.param("key")));
}

Response devices(const Request& request, App& app) { return json(app.core.guests.devices(caller(request))); }
Response meta_data(const Request& request, App& app) { return text(app.core.guests.meta_data(caller(request))); }

/// Images that anybody may have, and those that were fetched from elsewhere, for containers inside the guest.
Response image(const Request& request, App& app) {
    app.core.guests.check_images(caller(request));
    const auto& fingerprint = request.param("fingerprint");
    try {
        const auto& project = caller(request).instance.project;
        const auto found = app.core.images.get(project, fingerprint, false);
        if (!found.is_public && !found.cached)
            throw Error{ErrorCode::NotFound, fmt::format("Image \"{}\" not found", fingerprint)};
        auto files = app.core.images.open_export(project, found.fingerprint, false);
        if (files.size() != 1) throw Error{ErrorCode::NotFound, fmt::format("Image \"{}\" not found", fingerprint)};
        return Response::file(file_body(files[0].fd, files[0].size), "application/octet-stream");
    } catch (const Error&) {
        return error_response(std::current_exception());
    }
}

Awaitable<Response> events(Exchange& exchange) {
    std::set<std::string> types{"config", "device"};
    if (const auto wanted = exchange.request.query("type"); !wanted.empty())
        std::erase_if(types,
                      [&](const auto& type) { return ("," + wanted + ",").find("," + type + ",") == wanted.npos; });
    co_return co_await stream_events(exchange, [&](auto receive) {
        return exchange.app.core.guests.subscribe(caller(exchange.request), types, std::move(receive));
    });
}

} // namespace

void add_guest_routes(Router& router) {
    router.add(Method::Get, "/", Permission::Guest, root);
    router.add(Method::Get, "/1.0", Permission::Guest, about);
    router.add(Method::Get, "/1.0/config", Permission::Guest, config);
    router.add(Method::Get, "/1.0/config/{key}", Permission::Guest, config_key);
    router.add(Method::Get, "/1.0/devices", Permission::Guest, devices);
    router.add(Method::Get, "/1.0/events", Permission::Guest, events);
    router.add(Method::Get, "/1.0/images/{fingerprint}/export", Permission::Guest, image);
    router.add(Method::Get, "/1.0/meta-data", Permission::Guest, meta_data);
}

} // namespace lxdcore::daemon
