// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/codec.hpp>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

std::optional<Response> cached_root(const Request&, App&) { return Response::sync(nlohmann::json::array({"/1.0"})); }
Response get_root(const Request&, App&) { return Response::sync(nlohmann::json::array({"/1.0"})); }

std::optional<Response> cached_server(const Request& request, App& app) { return app.info.cached(request.identity); }
Response get_server(const Request& request, App& app) { return app.info.fresh(request.identity); }

/// As LXD names them in its errors.
const char* go_type(const nlohmann::json& value) {
    return value.is_number() ? "float64" : value.is_array() ? "[]interface {}" : "map[string]interface {}";
}

api::StringMap config_of(const Request& request) {
    const auto body = request.json();
    if (!body.is_object()) throw Error{ErrorCode::InvalidArgument, "expected an object"};
    const auto it = body.find("config");
    if (it == body.end() || it->is_null()) return {};
    if (!it->is_object()) throw Error{ErrorCode::InvalidArgument, "config: expected an object"};
    api::StringMap config;
    for (const auto& [key, value] : it->items()) {
        if (value.is_string())
            config[key] = value.get<std::string>();
        else if (value.is_null())
            config[key] = "";
        else if (value.is_boolean())
            config[key] = value.dump(); // core.trust_password is shown as true and may come back so
        else
            throw Error{ErrorCode::InvalidArgument, "cannot set '" + key + "': invalid type " + go_type(value)};
    }
    return config;
}

Response put_server(const Request& request, App& app) {
    app.core.server.set(config_of(request), request.if_match());
    return Response::empty();
}

Response patch_server(const Request& request, App& app) {
    app.core.server.patch(config_of(request), request.if_match());
    return Response::empty();
}

Response get_resources(const Request&, App& app) { return Response::sync(app.core.server.resources()); }

/// What a joining member would be asked: the keys of the pools that are specific to a server.
Response get_cluster(const Request&, App& app) {
    auto keys = nlohmann::json::array();
    for (const auto& pool : app.core.storage.list())
        keys.push_back({{"entity", "storage-pool"},
                        {"name", pool.name},
                        {"key", "source"},
                        {"value", ""},
                        {"description", "\"source\" property for storage pool \"" + pool.name + "\""}});
    const nlohmann::json cluster{{"server_name", ""}, {"enabled", false}, {"member_config", keys}};
    return Response::sync(cluster, api::etag_of(nlohmann::json::array({cluster})));
}

Response get_members(const Request&, App&) { throw HttpError{500, "Server is not clustered"}; }

} // namespace

void add_server_routes(Router& router) {
    router.add_cheap(Method::Get, "/", Permission::Anybody, cached_root, get_root);
    router.add_cheap(Method::Get, "/1.0", Permission::Anybody, cached_server, get_server);
    router.add(Method::Put, "/1.0", Permission::Admin, put_server);
    router.add(Method::Patch, "/1.0", Permission::Admin, patch_server);
    router.add(Method::Get, "/1.0/resources", Permission::Trusted, get_resources);
    router.add(Method::Get, "/1.0/cluster", Permission::Trusted, get_cluster);
    router.add(Method::Get, "/1.0/cluster/members", Permission::Trusted, get_members);
}

} // namespace lxdcore::daemon
