// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <lxdcore/service/backup_service.hpp>

#include "http/exchange.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"
#include "shutdown.hpp"

namespace lxdcore::daemon {

namespace {

Response ready(const Request&, App& app) {
    if (app.stopping) throw Error{ErrorCode::Unavailable, "LXD daemon is shutting down"};
    if (!app.core.instances.settled()) throw Error{ErrorCode::Unavailable, "LXD daemon not ready yet"};
    return Response::empty();
}

/// Answers after the instances have been stopped, with the process whose end is the end of the shutdown.
Response shutdown(const Request& request, App& app) {
    if (app.stopping.exchange(true)) throw Error{ErrorCode::Unavailable, "LXD daemon is shutting down"};
    app.log.info("Asked to shut down", {{"force", request.query_flag("force") ? "true" : "false"}});
    stop_everything(app, request.query_flag("force"));
    app.stop();
    return Response::sync({{"pid", ::getpid()}});
}

void check_database(const std::string& database) {
    if (database != "local" && database != "global") throw Error{ErrorCode::InvalidArgument, "Invalid database"};
}

Response sql_dump(const Request& request, App& app) {
    const auto database = request.query("database");
    check_database(database);
    return Response::sync(app.core.sql(database, request.query("schema") == "1" ? ".schema" : ".dump"));
}

Response sql(const Request& request, App& app) {
    const auto body = request.json();
    const auto text = [&](const char* key) {
        return body.is_object() && body.contains(key) && body[key].is_string() ? body[key].get<std::string>() : "";
    };
    check_database(text("database"));
    if (text("query").empty()) throw Error{ErrorCode::InvalidArgument, "No query provided"};
    auto results = app.core.sql(text("database"), text("query"));
    app.auth.forget();
    if (results.is_object() && results.contains("Results")) return Response::sync(results);
    if (!results.is_array()) results = nlohmann::json::array({std::move(results)});
    return Response::sync({{"Results", std::move(results)}});
}

Response find_lost(const Request& request, App& app) {
    return Response::sync(app.core.backups.find_lost(request.json()));
}

Response recover_lost(const Request& request, App& app) {
    app.core.backups.recover_lost(request.json());
    return Response::empty();
}

} // namespace

void add_internal_routes(Router& router) {
    router.add(Method::Get, "/internal/ready", Permission::Internal, ready);
    router.add(Method::Put, "/internal/shutdown", Permission::Internal, shutdown);
    router.add(Method::Post, "/internal/recover/import", Permission::Internal, recover_lost);
    router.add(Method::Post, "/internal/recover/validate", Permission::Internal, find_lost);
    router.add(Method::Get, "/internal/sql", Permission::Internal, sql_dump);
    router.add(Method::Post, "/internal/sql", Permission::Internal, sql);
}

} // namespace lxdcore::daemon
