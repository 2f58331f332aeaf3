// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

Response get(const Request& request, App& app) {
    return Response::sync(app.core.instances.state(instance_ref(request, app)));
}

Response put(const Request& request, App& app) {
    return Response::operation(
        app.core.instances.change_state(instance_ref(request, app), decode<api::InstanceStatePut>(request)));
}

Response put_all(const Request& request, App& app) {
    const auto body = request.json();
    api::InstanceStatePut change;
    if (body.is_object() && body.contains("state")) change = body["state"].get<api::InstanceStatePut>();
    return Response::operation(app.core.instances.change_all_states(request.project(), change));
}

} // namespace

void add_instance_state_routes(Router& router) {
    add_instance_route(router, Method::Put, "", Permission::Project, put_all);
    add_instance_route(router, Method::Get, "/{name}/state", Permission::Project, get);
    add_instance_route(router, Method::Put, "/{name}/state", Permission::Project, put);
}

} // namespace lxdcore::daemon
