// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

Response list(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    auto reply = nlohmann::json::array();
    const auto base = entity_url(instance_base(request), ref.name) + "/logs";
    for (const auto& name : app.core.instances.logs(ref))
        reply.push_back(entity_url(base, name));
    return Response::sync(reply);
}

/// LXD's text for an instance that is not there.
InstanceRef existing(const Request& request, App& app) {
    auto ref = instance_ref(request, app);
    try {
        app.core.instances.get(ref);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::NotFound) throw;
        throw Error{ErrorCode::NotFound, "Failed to fetch instance \"" + ref.name + "\" in project \"" + ref.project +
                                             "\": " + error.what()};
    }
    return ref;
}

Response get(const Request& request, App& app) {
    const auto& name = request.param("file");
    auto body = file_body(app.core.instances.open_log(existing(request, app), name), -1);
    struct stat info {};
    if (::fstat(*body.fd, &info) == 0 && S_ISREG(info.st_mode)) body.size = info.st_size;
    auto response = Response::file(std::move(body), "application/octet-stream");
    response.set("Content-Disposition", "inline;filename=" + name);
    return response;
}

Response remove(const Request& request, App& app) {
    app.core.instances.remove_log(existing(request, app), request.param("file"));
    return Response::empty();
}

} // namespace

void add_instance_log_routes(Router& router) {
    add_instance_route(router, Method::Get, "/{name}/logs", Permission::Project, list);
    add_instance_route(router, Method::Get, "/{name}/logs/{file}", Permission::Project, get);
    add_instance_route(router, Method::Delete, "/{name}/logs/{file}", Permission::Project, remove);
}

} // namespace lxdcore::daemon
