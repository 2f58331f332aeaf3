// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/service/warning_service.hpp>

#include "routes/common.hpp"
#include "routes/filter.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

/// LXD answers null where nothing is found, and has filters for the long list only.
Response list(const Request& request, App& app) {
    const auto filter = Filter::parse(request.query("filter"), "Failed to filter warnings");
    const bool urls = request.recursion() == 0;
    nlohmann::json reply;
    for (const auto& warning : app.core.warnings.list(request.query("project"))) {
        const nlohmann::json json = warning;
        if (filter.matches(json))
            reply.push_back(urls ? nlohmann::json(entity_url("/1.0/warnings", warning.uuid)) : json);
    }
    return Response::sync(reply);
}

Response get(const Request& request, App& app) { return Response::sync(app.core.warnings.get(request.param("uuid"))); }

Response set_status(const Request& request, App& app) {
    const auto body = request.json();
    const auto it = body.is_object() ? body.find("status") : body.end();
    if (!body.is_object() || (it != body.end() && !it->is_string() && !it->is_null()))
        throw Error{ErrorCode::InvalidArgument, "status: expected a string"};
    const auto status = it != body.end() && it->is_string() ? it->get<std::string>() : std::string{};
    app.core.warnings.set_status(request.param("uuid"), status);
    return Response::empty();
}

Response remove(const Request& request, App& app) {
    app.core.warnings.remove(request.param("uuid"));
    return Response::empty();
}

} // namespace

void add_warning_routes(Router& router) {
    router.add(Method::Get, "/1.0/warnings", Permission::Admin, list);
    router.add(Method::Get, "/1.0/warnings/{uuid}", Permission::Admin, get);
    router.add(Method::Put, "/1.0/warnings/{uuid}", Permission::Admin, set_status);
    router.add(Method::Patch, "/1.0/warnings/{uuid}", Permission::Admin, set_status);
    router.add(Method::Delete, "/1.0/warnings/{uuid}", Permission::Admin, remove);
}

} // namespace lxdcore::daemon
