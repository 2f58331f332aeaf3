// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"

namespace lxdcore::daemon {

std::string entity_url(const std::string& base, const std::string& name) { return base + "/" + percent_encode(name); }

std::string instance_base(const Request& request) {
    return request.path.substr(0, request.path.find('/', std::string_view{"/1.0/"}.size()));
}

InstanceRef instance_ref(const Request& request, App& app) {
    InstanceRef ref{request.project(), request.param("name")};
    if (instance_base(request) == "/1.0/virtual-machines" && app.core.instances.get(ref).type != "virtual-machine")
        throw Error{ErrorCode::NotFound, "Instance not found"};
    return ref;
}

std::vector<std::string> listed_projects(const Request& request, App& app) {
    if (!request.query_flag("all-projects")) return {request.project()};
    if (!request.query("project").empty())
        throw Error{ErrorCode::InvalidArgument, "Cannot specify a project when requesting all projects"};
    return all_projects(app);
}

std::vector<std::string> all_projects(App& app) {
    std::vector<std::string> names;
    for (const auto& project : app.core.server.projects())
        names.push_back(project.name);
    return names;
}

void require_project(const Request& request, App& app, std::string_view context) {
    const std::string name{request.project()};
    if (name == "default") return;
    try {
        app.core.server.project(name);
    } catch (Error& error) {
        error.add_context(context);
        throw;
    }
}

} // namespace lxdcore::daemon
