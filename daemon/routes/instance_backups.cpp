// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/service/backup_service.hpp>

#include <nlohmann/json.hpp>

#include "http/exchange.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

std::string backups_url(const Request& request) {
    return entity_url(instance_base(request), request.param("name")) + "/backups";
}

Response list(const Request& request, App& app) {
    return list_reply(request, backups_url(request), app.core.backups.backups(instance_ref(request, app)));
}

Response get(const Request& request, App& app) {
    return Response::sync(app.core.backups.backup(instance_ref(request, app), request.param("backup")));
}

Response post(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref); // before the body is judged
    return Response::operation(app.core.backups.create_backup(ref, decode<api::InstanceBackupsPost>(request)));
}

Response rename(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    app.core.backups.backup(ref, request.param("backup"));
    const auto to = decode<api::RenamePost>(request).name;
    return Response::operation(app.core.backups.rename_backup(ref, request.param("backup"), to));
}

Response remove(const Request& request, App& app) {
    return Response::operation(app.core.backups.remove_backup(instance_ref(request, app), request.param("backup")));
}

Response download(const Request& request, App& app) {
    const auto file = app.core.backups.open_backup(instance_ref(request, app), request.param("backup"));
    auto response = Response::file(file_body(file.fd, file.size), "application/octet-stream");
    response.set("Content-Disposition", "inline;filename="); // as LXD, which has no name for it
    return response;
}

} // namespace

void add_instance_backup_routes(Router& router) {
    constexpr auto kProject = Permission::Project;
    add_instance_route(router, Method::Get, "/{name}/backups", kProject, list);
    add_instance_route(router, Method::Post, "/{name}/backups", kProject, post);
    add_instance_route(router, Method::Get, "/{name}/backups/{backup}", kProject, get);
    add_instance_route(router, Method::Post, "/{name}/backups/{backup}", kProject, rename);
    add_instance_route(router, Method::Delete, "/{name}/backups/{backup}", kProject, remove);
    add_instance_route(router, Method::Get, "/{name}/backups/{backup}/export", kProject, download);
}

} // namespace lxdcore::daemon
