// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/networks";

Response list(const Request& request, App& app) {
    require_project(request, app, "Failed to load project \"" + std::string{request.project()} + '"');
    return list_reply(request, kBase, app.core.networks.list(request.project()));
}

Response get(const Request& request, App& app) {
    const auto network = app.core.networks.get(request.project(), request.param("name"));
    return Response::sync(network, NetworkService::etag(network));
}

Response post(const Request& request, App& app) {
    const auto network = decode<api::NetworksPost>(request);
    app.core.networks.create(request.project(), network);
    return Response::created(entity_url(kBase, network.name));
}

Response put(const Request& request, App& app) {
    app.core.networks.update(request.project(), request.param("name"), decode<api::NetworkPut>(request),
                             request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    app.core.networks.patch(request.project(), request.param("name"), decode<api::NetworkPatch>(request),
                            request.if_match());
    return Response::empty();
}

Response rename(const Request& request, App& app) {
    const auto name = decode<api::NetworksPost>(request).name;
    app.core.networks.rename(request.project(), request.param("name"), name);
    return Response::created(entity_url(kBase, name));
}

Response remove(const Request& request, App& app) {
    app.core.networks.remove(request.project(), request.param("name"));
    return Response::empty();
}

Response leases(const Request& request, App& app) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& lease : app.core.networks.leases(request.project(), request.param("name")))
        list.push_back(lease);
    return Response::sync(list);
}

Response state(const Request& request, App& app) {
    return Response::sync(app.core.networks.state(request.project(), request.param("name")));
}

} // namespace

void add_network_routes(Router& router) {
    // a network is a thing of the host: restricted certificates may look, not change
    router.add(Method::Get, "/1.0/networks", Permission::Project, list);
    router.add(Method::Post, "/1.0/networks", Permission::Admin, post);
    router.add(Method::Get, "/1.0/networks/{name}", Permission::Project, get);
    router.add(Method::Put, "/1.0/networks/{name}", Permission::Admin, put);
    router.add(Method::Patch, "/1.0/networks/{name}", Permission::Admin, patch);
    router.add(Method::Post, "/1.0/networks/{name}", Permission::Admin, rename);
    router.add(Method::Delete, "/1.0/networks/{name}", Permission::Admin, remove);
    router.add(Method::Get, "/1.0/networks/{name}/leases", Permission::Project, leases);
    router.add(Method::Get, "/1.0/networks/{name}/state", Permission::Project, state);
}

} // namespace lxdcore::daemon
