// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

Response get(const Request& request, App& app) {
    return Response::sync(app.core.instances.state(instance_ref(request, app)));
}

Response put(const Request& request, App& app) {
    return Response::operation(
        app.core.instances.change_state(instance_ref(request, app), decode<api::InstanceStatePut>(request)));
}

/// The status that an action applies to, and the number of its operation.
struct BulkAction {
    const char* name;
    api::Status needs;
    int type;
};
constexpr BulkAction kActions[] = {{"start", api::Status::Stopped, 16},
                                   {"stop", api::Status::Running, 17},
                                   {"restart", api::Status::Running, 18},
                                   {"freeze", api::Status::Running, 13},
                                   {"unfreeze", api::Status::Frozen, 14}};

/// All instances of a project at once: one operation that starts the others and waits for them.
Response put_all(const Request& request, App& app) {
    const auto body = request.json();
    api::InstanceStatePut change;
    if (body.is_object() && body.contains("state")) change = body["state"].get<api::InstanceStatePut>();
    const auto* action = std::find_if(std::begin(kActions), std::end(kActions),
                                      [&](const auto& known) { return change.action == known.name; });
    if (action == std::end(kActions))
        throw Error{ErrorCode::InvalidArgument, "Unknown action: '" + change.action + "'"};
    std::vector<InstanceRef> refs;
    OperationOptions options;
    options.type = action->type;
    options.project = request.project();
    for (const auto& instance : app.core.instances.list(request.project())) {
        if (instance.status_code != action->needs) continue;
        refs.push_back({request.project(), instance.name});
        options.resources["instances"].push_back("/1.0/instances/" + instance.name);
    }
    auto work = [&instances = app.core.instances, refs, change](OperationContext& context) {
        std::vector<std::pair<std::string, OperationPtr>> running;
        std::string failures;
        const auto note = [&](const std::string& name, const std::string& why) {
            failures += (failures.empty() ? "" : "\n") + name + ": " + why;
        };
        for (const auto& ref : refs) {
            context.throw_if_cancelled();
            try {
                running.emplace_back(ref.name, instances.change_state(ref, change));
            } catch (const Error& error) {
                if (error.code() != ErrorCode::NotFound) note(ref.name, error.what());
            }
        }
        for (const auto& [name, operation] : running) {
            operation->wait();
            if (!operation->error().empty()) note(name, operation->error());
        }
        if (!failures.empty()) throw Error{ErrorCode::Internal, failures};
    };
    return Response::operation(app.core.operations.start(std::move(options), std::move(work)));
}

} // namespace

void add_instance_state_routes(Router& router) {
    add_instance_route(router, Method::Put, "", Permission::Project, put_all);
    add_instance_route(router, Method::Get, "/{name}/state", Permission::Project, get);
    add_instance_route(router, Method::Put, "/{name}/state", Permission::Project, put);
}

} // namespace lxdcore::daemon
