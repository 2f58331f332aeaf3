// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/profiles";

Response list(const Request& request, App& app) {
    require_project(request, app, "Failed loading project \"" + std::string{request.project()} + '"');
    return list_reply(request, kBase, app.core.profiles.list(request.project()));
}

api::Profile fetch(const Request& request, App& app) {
    try {
        return app.core.profiles.get(request.project(), request.param("name"));
    } catch (Error& error) {
        error.add_context("Fetch profile");
        throw;
    }
}

Response get(const Request& request, App& app) {
    const auto profile = fetch(request, app);
    return Response::sync(profile, ProfileService::etag(profile));
}

Response post(const Request& request, App& app) {
    const auto profile = decode<api::ProfilesPost>(request);
    app.core.profiles.create(request.project(), profile);
    return Response::created(entity_url(kBase, profile.name));
}

Response put(const Request& request, App& app) {
    app.core.profiles.update(request.project(), request.param("name"), decode<api::ProfilePut>(request),
                             request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    app.core.profiles.patch(request.project(), request.param("name"), decode<api::ProfilePatch>(request),
                            request.if_match());
    return Response::empty();
}

Response rename(const Request& request, App& app) {
    const auto name = decode<api::ProfilesPost>(request).name;
    app.core.profiles.rename(request.project(), request.param("name"), name);
    return Response::created(entity_url(kBase, name));
}

Response remove(const Request& request, App& app) {
    app.core.profiles.remove(request.project(), request.param("name"));
    return Response::empty();
}

} // namespace

void add_profile_routes(Router& router) {
    router.add(Method::Get, "/1.0/profiles", Permission::Project, list);
    router.add(Method::Post, "/1.0/profiles", Permission::Project, post);
    router.add(Method::Get, "/1.0/profiles/{name}", Permission::Project, get);
    router.add(Method::Put, "/1.0/profiles/{name}", Permission::Project, put);
    router.add(Method::Patch, "/1.0/profiles/{name}", Permission::Project, patch);
    router.add(Method::Post, "/1.0/profiles/{name}", Permission::Project, rename);
    router.add(Method::Delete, "/1.0/profiles/{name}", Permission::Project, remove);
}

} // namespace lxdcore::daemon
