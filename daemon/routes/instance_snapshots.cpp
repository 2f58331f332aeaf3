// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/service/instance_snapshot_service.hpp>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

Response list(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    if (request.recursion() > 0) return Response::sync(app.core.snapshots.snapshots(ref));
    // As LXD: below /1.0/containers too, snapshots are named as those of instances.
    const auto base = entity_url("/1.0/instances", ref.name) + "/snapshots";
    const auto suffix = ref.project == "default" ? "" : "?project=" + percent_encode(ref.project);
    auto reply = nlohmann::json::array();
    for (const auto& name : app.core.snapshots.snapshot_names(ref))
        reply.push_back(entity_url(base, name) + suffix);
    return Response::sync(reply);
}

Response post(const Request& request, App& app) {
    return Response::operation(
        app.core.snapshots.create_snapshot(instance_ref(request, app), decode<api::InstanceSnapshotsPost>(request)));
}

Response get(const Request& request, App& app) {
    const auto snapshot = app.core.snapshots.snapshot(instance_ref(request, app), request.param("snapshot"));
    return Response::sync(snapshot, InstanceSnapshotService::snapshot_etag(snapshot));
}

/// PUT and PATCH: there is one thing that can be changed.
Response update(const Request& request, App& app) {
    return Response::operation(app.core.snapshots.update_snapshot(instance_ref(request, app), request.param("snapshot"),
                                                                  decode<api::InstanceSnapshotPut>(request),
                                                                  request.if_match()));
}

Response rename(const Request& request, App& app) {
    return Response::operation(app.core.snapshots.rename_snapshot(instance_ref(request, app), request.param("snapshot"),
                                                                  decode<api::InstanceSnapshotPost>(request)));
}

Response remove(const Request& request, App& app) {
    return Response::operation(
        app.core.snapshots.remove_snapshot(instance_ref(request, app), request.param("snapshot")));
}

} // namespace

void add_instance_snapshot_routes(Router& router) {
    constexpr auto kProject = Permission::Project;
    add_instance_route(router, Method::Get, "/{name}/snapshots", kProject, list);
    add_instance_route(router, Method::Post, "/{name}/snapshots", kProject, post);
    add_instance_route(router, Method::Get, "/{name}/snapshots/{snapshot}", kProject, get);
    add_instance_route(router, Method::Put, "/{name}/snapshots/{snapshot}", kProject, update);
    add_instance_route(router, Method::Patch, "/{name}/snapshots/{snapshot}", kProject, update);
    add_instance_route(router, Method::Post, "/{name}/snapshots/{snapshot}", kProject, rename);
    add_instance_route(router, Method::Delete, "/{name}/snapshots/{snapshot}", kProject, remove);
}

} // namespace lxdcore::daemon
