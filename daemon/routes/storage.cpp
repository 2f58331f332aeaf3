// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"
#include "routes/filter.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/storage-pools";

Response list(const Request& request, App& app) { return list_reply(request, kBase, app.core.storage.list()); }

Response get(const Request& request, App& app) {
    const auto pool = app.core.storage.get(request.param("pool"));
    return Response::sync(pool, StorageService::etag(pool));
}

Response post(const Request& request, App& app) {
    const auto pool = decode<api::StoragePoolsPost>(request);
    app.core.storage.create(pool);
    return Response::created(entity_url(kBase, pool.name));
}

Response put(const Request& request, App& app) {
    app.core.storage.update(request.param("pool"), decode<api::StoragePoolPut>(request), request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    app.core.storage.patch(request.param("pool"), decode<api::StoragePoolPatch>(request), request.if_match());
    return Response::empty();
}

Response remove(const Request& request, App& app) {
    app.core.storage.remove(request.param("pool"));
    return Response::empty();
}

Response resources(const Request& request, App& app) {
    return Response::sync(app.core.storage.resources(request.param("pool")));
}

void check_type(const std::string& type) {
    for (const auto* known : {"container", "virtual-machine", "image", "custom"})
        if (type == known) return;
    throw Error{ErrorCode::InvalidArgument, "Invalid storage volume type name"};
}

Response volumes_of_type(const Request& request, App& app, const std::string& type) {
    const auto& pool = request.param("pool");
    const auto filter = Filter::parse(request.query("filter"));
    auto list = nlohmann::json::array();
    for (const auto& project : listed_projects(request, app)) {
        for (const auto& volume : app.core.storage.volumes(pool, project, type)) {
            nlohmann::json json = volume;
            if (!filter.matches(json)) continue;
            const auto base = entity_url(kBase, pool) + "/volumes/" + volume.type;
            list.push_back(request.recursion() == 0 ? nlohmann::json(entity_url(base, volume.name)) : std::move(json));
        }
    }
    return Response::sync(list);
}

Response volumes(const Request& request, App& app) { return volumes_of_type(request, app, ""); }

Response typed_volumes(const Request& request, App& app) {
    check_type(request.param("type"));
    return volumes_of_type(request, app, request.param("type"));
}

Response volume(const Request& request, App& app) {
    check_type(request.param("type"));
    const auto found =
        app.core.storage.volume(request.param("pool"), request.project(), request.param("type"), request.param("name"));
    return Response::sync(found, StorageService::etag(found));
}

Response volume_snapshots(const Request& request, App& app) {
    volume(request, app);
    return Response::sync(nlohmann::json::array());
}

} // namespace

void add_storage_routes(Router& router) {
    router.add(Method::Get, "/1.0/storage-pools", Permission::Trusted, list);
    router.add(Method::Post, "/1.0/storage-pools", Permission::Admin, post);
    router.add(Method::Get, "/1.0/storage-pools/{pool}", Permission::Trusted, get);
    router.add(Method::Put, "/1.0/storage-pools/{pool}", Permission::Admin, put);
    router.add(Method::Patch, "/1.0/storage-pools/{pool}", Permission::Admin, patch);
    router.add(Method::Delete, "/1.0/storage-pools/{pool}", Permission::Admin, remove);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/resources", Permission::Trusted, resources);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes", Permission::Project, volumes);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}", Permission::Project, typed_volumes);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}", Permission::Project, volume);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots", Permission::Project,
               volume_snapshots);
}

} // namespace lxdcore::daemon
