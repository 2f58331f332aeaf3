// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/codec.hpp>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

bool may_see(const Identity& identity, const std::string& project) {
    return identity.admin ||
           std::find(identity.projects.begin(), identity.projects.end(), project) != identity.projects.end();
}

Response list(const Request& request, App& app) {
    auto projects = app.core.server.projects();
    std::erase_if(projects, [&](const auto& project) { return !may_see(request.identity, project.name); });
    return list_reply(request, "/1.0/projects", projects);
}

Response get(const Request& request, App& app) {
    if (!may_see(request.identity, request.param("name"))) throw Error{ErrorCode::NotFound, "Project not found"};
    const auto project = app.core.server.project(request.param("name"));
    return Response::sync(project, api::etag_of(nlohmann::json::array({project.description, project.config})));
}

Response state(const Request& request, App& app) {
    get(request, app);
    auto resources = nlohmann::json::object();
    const auto count = [&](const char* kind, std::size_t usage) {
        resources[kind] = {{"Limit", -1}, {"Usage", usage}};
    };
    const auto instances = app.core.instances.names(request.param("name")).size();
    for (const auto* kind : {"cpu", "disk", "memory", "processes"})
        count(kind, 0);
    count("containers", instances);
    count("instances", instances);
    count("virtual-machines", 0);
    const auto networks = app.core.networks.list(request.param("name"));
    count("networks", std::count_if(networks.begin(), networks.end(), [](const auto& n) { return n.managed; }));
    return Response::sync({{"resources", resources}});
}

} // namespace

void add_project_routes(Router& router) {
    router.add(Method::Get, "/1.0/projects", Permission::Trusted, list);
    router.add(Method::Get, "/1.0/projects/{name}", Permission::Trusted, get);
    router.add(Method::Get, "/1.0/projects/{name}/state", Permission::Trusted, state);
}

} // namespace lxdcore::daemon
