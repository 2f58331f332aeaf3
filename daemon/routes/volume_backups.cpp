// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/service/volume_backup_service.hpp>

#include "http/exchange.hpp"
#include "http/spool.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"
#include "routes/storage_volumes.hpp"

namespace lxdcore::daemon {

namespace {

VolumeRef volume_ref(const Request& request) {
    return {.pool = request.param("pool"),
            .project = request.project(),
            .type = request.param("type"),
            .name = request.param("name")};
}

std::string backups_url(const VolumeRef& ref) {
    const auto volumes = entity_url("/1.0/storage-pools", ref.pool) + "/volumes/" + ref.type;
    return entity_url(volumes, ref.name) + "/backups";
}

Response list(const Request& request, App& app) {
    const auto ref = volume_ref(request);
    return list_reply(request, backups_url(ref), app.core.volume_backups.backups(ref));
}

Response get(const Request& request, App& app) {
    return Response::sync(app.core.volume_backups.backup(volume_ref(request), request.param("backup")));
}

Response post(const Request& request, App& app) {
    const auto ref = volume_ref(request);
    app.core.volume_backups.backups(ref); // before the body is judged
    return Response::operation(
        app.core.volume_backups.create_backup(ref, decode<api::StorageVolumeBackupsPost>(request)));
}

Response rename(const Request& request, App& app) {
    const auto ref = volume_ref(request);
    app.core.volume_backups.backup(ref, request.param("backup"));
    const auto to = decode<api::RenamePost>(request).name;
    return Response::operation(app.core.volume_backups.rename_backup(ref, request.param("backup"), to));
}

Response remove(const Request& request, App& app) {
    return Response::operation(app.core.volume_backups.remove_backup(volume_ref(request), request.param("backup")));
}

Response download(const Request& request, App& app) {
    const auto file = app.core.volume_backups.open_backup(volume_ref(request), request.param("backup"));
    auto response = Response::file(file_body(file.fd, file.size), "application/octet-stream");
    response.set("Content-Disposition", "inline;filename="); // as LXD, which has no name for it
    return response;
}

} // namespace

bool is_volume_backup(const Request& request) {
    return request.header("Content-Type").starts_with("application/octet-stream");
}

Awaitable<Response> import_volume_backup(Exchange& exchange) {
    const Request& request = exchange.request;
    App& app = exchange.app;
    if (request.param("type") != "custom")
        throw Error{ErrorCode::InvalidArgument, "Only custom storage volumes are made of backups"};
    const auto archive = co_await spool_body(exchange, app.state_dir / "backups");
    auto import = [&] {
        return Response::operation(
            app.core.volume_backups.import_backup({.pool = request.param("pool"),
                                                   .project = request.project(),
                                                   .name = std::string{request.header("X-LXD-name")},
                                                   .archive = archive}));
    };
    co_return co_await exchange.blocking(import);
}

void add_volume_backup_routes(Router& router) {
    constexpr auto kProject = Permission::Project;
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/backups", kProject, list);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/backups", kProject, post);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/backups/{backup}", kProject, get);
    router.add(Method::Post, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/backups/{backup}", kProject, rename);
    router.add(Method::Delete, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/backups/{backup}", kProject, remove);
    router.add(Method::Get, "/1.0/storage-pools/{pool}/volumes/{type}/{name}/backups/{backup}/export", kProject,
               download);
}

} // namespace lxdcore::daemon
