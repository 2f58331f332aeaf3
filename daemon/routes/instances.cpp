// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/codec.hpp>
#include <lxdcore/api/json_text.hpp>
#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/instance_snapshot_service.hpp>

#include "http/exchange.hpp"
#include "http/spool.hpp"
#include "routes/common.hpp"
#include "routes/filter.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

/// "" for /1.0/instances, which shows all.
std::string type_of(const std::string& base) {
    if (base == "/1.0/containers") return "container";
    if (base == "/1.0/virtual-machines") return "virtual-machine";
    return "";
}

std::string url_of(const std::string& base, const std::string& project, const std::string& name) {
    return entity_url(base, name) + (project == "default" ? "" : "?project=" + percent_encode(project));
}

/// ?instance-type= narrows /1.0/instances to one kind.
std::string wanted_type(const Request& request, const std::string& base) {
    if (const auto type = type_of(base); !type.empty()) return type;
    const std::string type{request.query("instance-type")};
    if (!type.empty() && type != "container" && type != "virtual-machine")
        throw HttpError{500, "Invalid instance type"};
    return type;
}

/// What recursion=2 shows beside the state, by instance.
struct Parts {
    std::map<std::string, std::vector<api::InstanceBackup>> backups;
    std::map<std::string, std::vector<api::InstanceSnapshot>> snapshots;

    static Parts of(const std::string& project, const App& app) {
        return {app.core.backups.backups_by_instance(project), app.core.snapshots.snapshots_by_instance(project)};
    }
};

/// As LXD: null for none.
template <typename Map>
nlohmann::json list_of(const Map& by_instance, const std::string& name) {
    const auto it = by_instance.find(name);
    return it == by_instance.end() ? nlohmann::json{} : nlohmann::json(it->second);
}

nlohmann::json shown(const api::Instance& instance, const api::InstanceState* state, const Parts& parts) {
    nlohmann::json json = instance;
    if (state == nullptr) return json;
    json["state"] = *state;
    json["backups"] = list_of(parts.backups, instance.name);
    json["snapshots"] = list_of(parts.snapshots, instance.name);
    return json;
}

/// The common long lists, without a filter: straight to text, and that inside its envelope from the start.
Response list_as_text(const std::vector<std::string>& projects, const std::string& type, bool with_state, App& app) {
    const auto envelope = sync_envelope("[]");
    const auto middle = envelope.rfind(']');
    auto text = envelope.substr(0, middle);
    Parts parts;
    const auto visit = [&](const api::Instance& instance, const api::InstanceState* state) {
        if (!type.empty() && instance.type != type) return;
        if (text.size() > middle) text += ',';
        api::append_json(text, instance);
        if (state == nullptr) return;
        text.back() = ','; // goes on with what recursion=2 has more
        text += R"("backups":)";
        text += api::encode_json(list_of(parts.backups, instance.name));
        text += R"(,"snapshots":)";
        text += api::encode_json(list_of(parts.snapshots, instance.name));
        text += R"(,"state":)";
        text += api::encode_json(*state);
        text += '}';
    };
    for (const auto& project : projects) {
        if (with_state) parts = Parts::of(project, app);
        app.core.instances.each(project, with_state, visit);
    }
    text.append(envelope, middle);
    return Response::plain(200, std::move(text), "application/json");
}

Response list(const Request& request, App& app) {
    const auto filter = Filter::parse(request.query("filter"));
    const auto base = instance_base(request);
    const auto type = wanted_type(request, base);
    const int recursion = request.recursion();
    const auto projects = listed_projects(request, app);
    if ((recursion == 1 || recursion == 2) && filter.empty()) return list_as_text(projects, type, recursion == 2, app);
    auto reply = nlohmann::json::array();
    Parts parts;
    const auto visit = [&](const api::Instance& instance, const api::InstanceState* state) {
        if (!type.empty() && instance.type != type) return;
        auto json = shown(instance, state, parts);
        if (!filter.matches(json)) return;
        reply.push_back(recursion == 0 ? nlohmann::json(url_of(base, instance.project, instance.name))
                                       : std::move(json));
    };
    for (const auto& project : projects) {
        if (recursion == 0 && filter.empty() && type.empty()) {
            for (const auto& name : app.core.instances.names(project))
                reply.push_back(url_of(base, project, name));
        } else {
            if (recursion == 2) parts = Parts::of(project, app);
            app.core.instances.each(project, recursion == 2, visit);
        }
    }
    return Response::sync(reply);
}

/// A backup's archive, or JSON.
Awaitable<Response> post(Exchange& exchange) {
    Request& request = exchange.request;
    App& app = exchange.app;
    if (request.header("Content-Type").starts_with("application/octet-stream")) {
        const auto archive = co_await spool_body(exchange, app.state_dir / "backups");
        auto import = [&] {
            return Response::operation(
                app.core.backups.import_backup({.project = request.project(),
                                                .name = std::string{request.header("X-LXD-name")},
                                                .pool = std::string{request.header("X-LXD-pool")},
                                                .archive = archive}));
        };
        co_return co_await exchange.blocking(import);
    }
    request.body = co_await exchange.body.read_all(exchange.limits.json_bytes);
    auto create = [&] {
        auto body = decode<api::InstancesPost>(request);
        const auto type = type_of(instance_base(request));
        if (body.type.empty()) body.type = type;
        return Response::operation(app.core.instances.create(request.project(), body));
    };
    co_return co_await exchange.blocking(create);
}

Response get(const Request& request, App& app) {
    const auto instance = app.core.instances.get(instance_ref(request, app));
    if (request.recursion() == 0) return Response::sync(instance, InstanceService::etag(instance));
    const InstanceRef ref{instance.project, instance.name};
    const auto state = app.core.instances.state(ref);
    Parts parts;
    if (auto list = app.core.snapshots.snapshots(ref); !list.empty()) {
        for (auto& snapshot : list)
            snapshot.size = -1; // as LXD, which looks for sizes only where snapshots alone are asked for
        parts.snapshots[ref.name] = std::move(list);
    }
    if (auto list = app.core.backups.backups(ref); !list.empty()) parts.backups[ref.name] = std::move(list);
    return Response::sync(shown(instance, &state, parts), InstanceService::etag(instance));
}

Response put(const Request& request, App& app) {
    return Response::operation(
        app.core.instances.update(instance_ref(request, app), decode<api::InstancePut>(request), request.if_match()));
}

Response patch(const Request& request, App& app) {
    app.core.instances.patch(instance_ref(request, app), decode<api::InstancePatch>(request), request.if_match());
    return Response::empty();
}

Response rename(const Request& request, App& app) {
    return Response::operation(
        app.core.instances.rename(instance_ref(request, app), decode<api::InstancePost>(request)));
}

Response remove(const Request& request, App& app) {
    return Response::operation(app.core.instances.remove(instance_ref(request, app)));
}

} // namespace

void add_instance_routes(Router& router) {
    constexpr auto kProject = Permission::Project;
    add_instance_route(router, Method::Get, "", kProject, list);
    add_instance_route(router, Method::Post, "", kProject, post);
    add_instance_route(router, Method::Get, "/{name}", kProject, get);
    add_instance_route(router, Method::Put, "/{name}", kProject, put);
    add_instance_route(router, Method::Patch, "/{name}", kProject, patch);
    add_instance_route(router, Method::Post, "/{name}", kProject, rename);
    add_instance_route(router, Method::Delete, "/{name}", kProject, remove);
}

} // namespace lxdcore::daemon
