// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"
#include "routes/routes.hpp"
#include "routes/storage_volumes.hpp"

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

} // namespace

void add_storage_routes(Router& router) {
    router.add(Method::Get, "/1.0/storage-pools", Permission::Trusted, list);
    router.add(Method::Post, "/1.0/storage-pools", Permission::Admin, post);
    router.add(Method::Get, "/1.0/storage-pools/{pool}", Permission::Trusted, get);
    router.add(Method::Put, "/1.0/storage-pools/{pool}", Permission::Admin, put);
    router.add(Method::Patch, "/1.0/storage-pools/{pool}", Permission::Admin, patch);
    router.add(Method::Delete, "/1.0/storage-pools/{pool}", Permission::Admin, remove);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/resources", Permission::Trusted, resources);
    add_storage_volume_routes(router);
}

} // namespace lxdcore::daemon
