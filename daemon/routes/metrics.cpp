// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <ctime>

#include <lxdcore/service/metrics_service.hpp>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

/// Certificates of this type are good for nothing else.
bool has_metrics_certificate(const Request& request, App& app) {
    const auto& peer = request.peer;
    const auto now = static_cast<std::int64_t>(std::time(nullptr));
    if (peer.fingerprint.empty() || now < peer.not_before || now > peer.not_after) return false;
    const auto certificate = app.core.server.trusted(peer.fingerprint);
    return certificate && certificate->type == "metrics" && !certificate->restricted;
}

/// Without ?project= the projects that the caller may see. core.metrics_authentication=false opens the figures to all.
std::vector<std::string> shown_projects(const Request& request, App& app, bool open) {
    const auto& who = request.identity;
    const auto may_see = [&](const std::string& name) {
        return open || who.admin || std::find(who.projects.begin(), who.projects.end(), name) != who.projects.end();
    };
    std::vector<std::string> shown;
    const auto wanted = request.query("project");
    for (auto& name : all_projects(app))
        if ((wanted.empty() || name == wanted) && may_see(name)) shown.push_back(std::move(name));
    return shown;
}

Response get(const Request& request, App& app) {
    const bool open = app.core.server.get("core.metrics_authentication") == "false" ||
                      (!request.identity.trusted && has_metrics_certificate(request, app));
    if (!open && !request.identity.trusted) throw Error{ErrorCode::Forbidden, "not authorized"};
    return Response::plain(200, app.core.metrics.metrics(shown_projects(request, app, open)), "text/plain");
}

} // namespace

void add_metrics_routes(Router& router) { router.add(Method::Get, "/1.0/metrics", Permission::Anybody, get); }

} // namespace lxdcore::daemon
