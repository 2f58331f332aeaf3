// SPDX-License-Identifier: Apache-2.0
#include "routes/storage_volumes.hpp"

#include <fmt/format.h>

#include <lxdcore/service/storage_volume_service.hpp>

#include "http/exchange.hpp"
#include "http/url.hpp"
#include "routes/common.hpp"
#include "routes/filter.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/storage-pools";

VolumeRef volume_ref(const Request& request) {
    return {.pool = request.param("pool"),
            .project = request.project(),
            .type = request.param("type"),
            .name = request.param("name")};
}

/// Names come out of LXD encoded twice.
std::string volume_url(const std::string& pool, const api::StorageVolume& volume) {
    const auto slash = volume.name.find('/');
    auto url = entity_url(kBase, pool) + "/volumes/" + volume.type + "/" +
               percent_encode(percent_encode(volume.name.substr(0, slash)));
    if (slash != std::string::npos)
        url += "/snapshots/" + percent_encode(percent_encode(volume.name.substr(slash + 1)));
    if (volume.project != "default") url += "?project=" + percent_encode(volume.project);
    return url;
}

Response volumes_of_type(const Request& request, App& app, const std::string& type) {
    const auto& pool = request.param("pool");
    const auto filter = Filter::parse(request.query("filter"));
    auto list = nlohmann::json::array();
    for (const auto& project : listed_projects(request, app)) {
        for (const auto& volume : app.core.volumes.list(pool, project, type)) {
            nlohmann::json json = volume;
            if (!filter.matches(json)) continue;
            list.push_back(request.recursion() == 0 ? nlohmann::json(volume_url(pool, volume)) : std::move(json));
        }
    }
    return Response::sync(list);
}

Response volumes(const Request& request, App& app) { return volumes_of_type(request, app, ""); }

Response typed_volumes(const Request& request, App& app) {
    return volumes_of_type(request, app, request.param("type"));
}

Response create(const Request& request, App& app, const api::StorageVolumesPost& body) {
    const auto operation = app.core.volumes.create(request.param("pool"), request.project(), body);
    return operation ? Response::operation(operation) : Response::empty();
}

[[noreturn]] void refuse_type(const std::string& type) {
    throw Error{ErrorCode::InvalidArgument,
                fmt::format("Currently not allowed to create storage volumes of type \"{}\"", type)};
}

Response post(const Request& request, App& app) {
    const auto body = decode<api::StorageVolumesPost>(request);
    if (body.name.empty()) throw Error{ErrorCode::InvalidArgument, "No name provided"};
    if (body.type.empty())
        throw Error{ErrorCode::InvalidArgument, "You must provide a storage volume type of the storage volume"};
    if (body.type != "custom") refuse_type(body.type);
    return create(request, app, body);
}

Response post_described(const Request& request, App& app) {
    const auto body = decode<api::StorageVolumesPost>(request);
    if (body.name.empty()) throw Error{ErrorCode::InvalidArgument, "No name provided"};
    if (request.param("type") != "custom") refuse_type(request.param("type"));
    return create(request, app, body);
}

/// A backup's archive, or JSON.
Awaitable<Response> post_typed(Exchange& exchange) {
    Request& request = exchange.request;
    if (is_volume_backup(request)) co_return co_await import_volume_backup(exchange);
    request.body = co_await exchange.body.read_all(exchange.limits.json_bytes);
    auto work = [&] { return post_described(request, exchange.app); };
    co_return co_await exchange.blocking(work);
}

Response get(const Request& request, App& app) {
    const auto volume = app.core.volumes.get(volume_ref(request));
    return Response::sync(volume, StorageVolumeService::etag(volume));
}

Response put(const Request& request, App& app) {
    app.core.volumes.update(volume_ref(request), decode<api::StorageVolumePut>(request), request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    app.core.volumes.patch(volume_ref(request), decode<api::StorageVolumePut>(request), request.if_match());
    return Response::empty();
}

Response move(const Request& request, App& app) {
    const auto body = decode<api::StorageVolumePost>(request);
    const auto ref = volume_ref(request);
    if (const auto operation = app.core.volumes.move(ref, body)) return Response::operation(operation);
    return Response::created(entity_url(entity_url(kBase, ref.pool) + "/volumes/" + ref.type, body.name));
}

Response remove(const Request& request, App& app) {
    app.core.volumes.remove(volume_ref(request));
    return Response::empty();
}

Response state(const Request& request, App& app) { return Response::sync(app.core.volumes.state(volume_ref(request))); }

Response snapshots(const Request& request, App& app) {
    const auto ref = volume_ref(request);
    auto list = nlohmann::json::array();
    for (const auto& snapshot : app.core.volumes.snapshots(ref)) {
        if (request.recursion() != 0) {
            list.push_back(snapshot);
            continue;
        }
        const auto base = entity_url(entity_url(kBase, ref.pool) + "/volumes/" + ref.type, ref.name);
        list.push_back(entity_url(base + "/snapshots", snapshot.name.substr(ref.name.size() + 1)));
    }
    return Response::sync(list);
}

Response post_snapshot(const Request& request, App& app) {
    return Response::operation(
        app.core.volumes.create_snapshot(volume_ref(request), decode<api::StorageVolumeSnapshotsPost>(request)));
}

Response get_snapshot(const Request& request, App& app) {
    const auto snapshot = app.core.volumes.snapshot(volume_ref(request), request.param("snapshot"));
    return Response::sync(snapshot, StorageVolumeService::etag(snapshot));
}

Response put_snapshot(const Request& request, App& app) {
    app.core.volumes.update_snapshot(volume_ref(request), request.param("snapshot"),
                                     decode<api::StorageVolumeSnapshotPut>(request), request.if_match());
    return Response::empty();
}

Response patch_snapshot(const Request& request, App& app) {
    app.core.volumes.patch_snapshot(volume_ref(request), request.param("snapshot"),
                                    decode<api::StorageVolumeSnapshotPut>(request), request.if_match());
    return Response::empty();
}

Response rename_snapshot(const Request& request, App& app) {
    return Response::operation(app.core.volumes.rename_snapshot(volume_ref(request), request.param("snapshot"),
                                                                decode<api::StorageVolumeSnapshotPost>(request)));
}

Response remove_snapshot(const Request& request, App& app) {
    return Response::operation(app.core.volumes.remove_snapshot(volume_ref(request), request.param("snapshot")));
}

} // namespace

void add_storage_volume_routes(Router& router) {
    constexpr auto kProject = Permission::Project;
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes", kProject, volumes);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes", kProject, post);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}", kProject, typed_volumes);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes/{type}", kProject, post_typed);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}", kProject, get);
    router.add(Method::Put, "/1.0/storage-pools/{pool}/volumes/{type}/{name}", kProject, put);
    router.add(Method::Patch, "/1.0/storage-pools/{pool}/volumes/{type}/{name}", kProject, patch);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes/{type}/{name}", kProject, move);
    router.add(Method::Delete, "/1.0/storage-pools/{pool}/volumes/{type}/{name}", kProject, remove);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/state", kProject, state);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots", kProject, snapshots);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots", kProject, post_snapshot);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots/{snapshot}", kProject,
               get_snapshot);
    router.add(Method::Put, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots/{snapshot}", kProject,
               put_snapshot);
    router.add(Method::Patch, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots/{snapshot}", kProject,
               patch_snapshot);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots/{snapshot}", kProject,
               rename_snapshot);
    router.add(Method::Delete, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/snapshots/{snapshot}", kProject,
               remove_snapshot);
    add_volume_backup_routes(router);
}

} // namespace lxdcore::daemon
