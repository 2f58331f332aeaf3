// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/service/instance_metadata_service.hpp>

#include <nlohmann/json.hpp>

#include "http/exchange.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

Response get(const Request& request, App& app) {
    const auto metadata = app.core.instance_metadata.metadata(instance_ref(request, app));
    return Response::sync(metadata, InstanceMetadataService::metadata_etag(metadata));
}

Response put(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref); // before the body is judged
    app.core.instance_metadata.set_metadata(ref, decode<api::ImageMetadata>(request), request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref);
    app.core.instance_metadata.patch_metadata(ref, request.json(), request.if_match());
    return Response::empty();
}

std::string path_of(const Request& request) {
    auto path = request.query("path");
    if (path.empty()) throw Error{ErrorCode::InvalidArgument, "missing path argument"};
    return path;
}

Response get_templates(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    const auto name = request.query("path");
    if (name.empty()) return Response::sync(app.core.instance_metadata.templates(ref));
    auto response =
        Response::plain(200, app.core.instance_metadata.read_template(ref, name), "application/octet-stream");
    response.set("Content-Disposition", "inline;filename=" + name);
    return response;
}

Awaitable<Response> post_template(Exchange& exchange) {
    App& app = exchange.app;
    InstanceRef ref;
    std::string name;
    auto check = [&] {
        ref = instance_ref(exchange.request, app);
        app.core.instances.get(ref);
        name = path_of(exchange.request);
    };
    co_await exchange.blocking(check);
    const auto content = co_await exchange.body.read_all(InstanceMetadataService::max_template);
    auto store = [&] {
        app.core.instance_metadata.write_template(ref, name, content);
        return Response::empty();
    };
    co_return co_await exchange.blocking(store);
}

Response delete_template(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref);
    app.core.instance_metadata.remove_template(ref, path_of(request));
    return Response::empty();
}

} // namespace

void add_instance_metadata_routes(Router& router) {
    constexpr auto kProject = Permission::Project;
    add_instance_route(router, Method::Get, "/{name}/metadata", kProject, get);
    add_instance_route(router, Method::Put, "/{name}/metadata", kProject, put);
    add_instance_route(router, Method::Patch, "/{name}/metadata", kProject, patch);
    add_instance_route(router, Method::Get, "/{name}/metadata/templates", kProject, get_templates);
    add_instance_route(router, Method::Post, "/{name}/metadata/templates", kProject, post_template);
    add_instance_route(router, Method::Delete, "/{name}/metadata/templates", kProject, delete_template);
}

} // namespace lxdcore::daemon
