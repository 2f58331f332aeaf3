// SPDX-License-Identifier: Apache-2.0
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/images/aliases";

bool is_outsider(const Request& request) { return !Authorizer::allows(request, Permission::Project); }

Response list(const Request& request, App& app) {
    return list_reply(request, kBase, app.core.images.aliases(request.project()));
}

Response get(const Request& request, App& app) {
    const bool outsider = is_outsider(request);
    const auto alias = app.core.images.alias(outsider ? "default" : request.project(), request.param("name"), outsider);
    return Response::sync(alias, ImageService::etag(alias));
}

Response post(const Request& request, App& app) {
    const auto alias = decode<api::ImageAlias>(request);
    if (alias.name.empty() || alias.target.empty())
        throw Error{ErrorCode::InvalidArgument, "name and target are required"};
    app.core.images.create_alias(request.project(), alias);
    return Response::created(entity_url(kBase, alias.name));
}

Response put(const Request& request, App& app) {
    const auto alias = decode<api::ImageAlias>(request);
    if (alias.target.empty()) throw Error{ErrorCode::InvalidArgument, "The target field is required"};
    app.core.images.update_alias(request.project(), request.param("name"), {alias.description, alias.target},
                                 request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    app.core.images.update_alias(request.project(), request.param("name"), decode<api::ImageAliasPatch>(request),
                                 request.if_match());
    return Response::empty();
}

Response rename(const Request& request, App& app) {
    const auto name = decode<api::ImageAliasRef>(request).name;
    app.core.images.rename_alias(request.project(), request.param("name"), name);
    return Response::created(entity_url(kBase, name));
}

Response remove(const Request& request, App& app) {
    app.core.images.remove_alias(request.project(), request.param("name"));
    return Response::empty();
}

} // namespace

void add_image_alias_routes(Router& router) {
    router.add(Method::Get, "/1.0/images/aliases", Permission::Project, list);
    router.add(Method::Post, "/1.0/images/aliases", Permission::Project, post);
    router.add(Method::Get, "/1.0/images/aliases/{name*}", Permission::Anybody, get);
    router.add(Method::Put, "/1.0/images/aliases/{name*}", Permission::Project, put);
    router.add(Method::Patch, "/1.0/images/aliases/{name*}", Permission::Project, patch);
    router.add(Method::Post, "/1.0/images/aliases/{name*}", Permission::Project, rename);
    router.add(Method::Delete, "/1.0/images/aliases/{name*}", Permission::Project, remove);
}

} // namespace lxdcore::daemon
