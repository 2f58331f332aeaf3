// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

Response exec(const Request& request, App& app) {
    return Response::operation(
        app.core.instances.exec(instance_ref(request, app), decode<api::InstanceExecPost>(request)));
}

Response console(const Request& request, App& app) {
    const auto body = request.json();
    const auto number = [&](const char* key) {
        const auto it = body.find(key);
        if (it == body.end() || it->is_null()) return 0;
        if (!it->is_number_integer()) throw Error{ErrorCode::InvalidArgument, fmt::format("{} must be a number", key)};
        return static_cast<int>(std::clamp<std::int64_t>(it->get<std::int64_t>(), -1, 65536));
    };
    if (body.contains("type") && !body["type"].is_string() && !body["type"].is_null())
        throw Error{ErrorCode::InvalidArgument, "type must be a text"};
    const std::string type = body.contains("type") && body["type"].is_string() ? body["type"].get<std::string>() : "";
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref);
    if (type == "vga") throw Error{ErrorCode::InvalidArgument, "VGA console is only supported by virtual machines"};
    if (!type.empty() && type != "console")
        throw Error{ErrorCode::InvalidArgument, "Unknown console type \"" + type + "\""};
    return Response::operation(app.core.instances.console(ref, number("width"), number("height")));
}

Response console_log(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    auto response = Response::plain(200, app.core.instances.console_log(ref), "application/octet-stream");
    response.set("Content-Disposition", "inline;filename=console.log");
    return response;
}

Response clear_console(const Request& request, App& app) {
    app.core.instances.clear_console_log(instance_ref(request, app));
    return Response::empty();
}

} // namespace

void add_instance_exec_routes(Router& router) {
    add_instance_route(router, Method::Post, "/{name}/exec", Permission::Project, exec);
    add_instance_route(router, Method::Post, "/{name}/console", Permission::Project, console);
    add_instance_route(router, Method::Get, "/{name}/console", Permission::Project, console_log);
    add_instance_route(router, Method::Delete, "/{name}/console", Permission::Project, clear_console);
}

} // namespace lxdcore::daemon
