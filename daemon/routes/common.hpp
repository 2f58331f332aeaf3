// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <lxdcore/service/instance_service.hpp>

#include "app.hpp"
#include "http/error_mapping.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace lxdcore::daemon {

/// The body as @p T. @throws Error InvalidArgument
template <class T>
T decode(const Request& request) {
    return request.json().get<T>();
}

/// "/1.0/profiles" and a name to the URL of the entity.
std::string entity_url(const std::string& base, const std::string& name);

/// A list as its URLs (recursion 0) or its objects.
template <class T>
Response list_reply(const Request& request, const std::string& base, const std::vector<T>& items) {
    auto list = nlohmann::json::array();
    for (const auto& item : items) {
        if (request.recursion() == 0)
            list.push_back(entity_url(base, item.name));
        else
            list.push_back(item);
    }
    return Response::sync(list);
}

/// {name} and ?project=; under /1.0/virtual-machines only virtual machines are found.
InstanceRef instance_ref(const Request& request, App& app);
/// "/1.0/instances", "/1.0/containers" or "/1.0/virtual-machines", whichever the client used.
std::string instance_base(const Request& request);
/// Registers @p suffix ("/{name}/state") below the three names of the collection.
template <class AnyHandler>
void add_instance_route(Router& router, Method method, const std::string& suffix, Permission permission,
                        AnyHandler handler) {
    for (const auto* base : {"/1.0/instances", "/1.0/containers", "/1.0/virtual-machines"})
        router.add(method, base + suffix, permission, handler);
}

/// ?project= and ?all-projects=: the projects a list is about.
/// @throws Error InvalidArgument if both are given
std::vector<std::string> listed_projects(const Request& request, App& app);
std::vector<std::string> all_projects(App& app);
/// @throws Error NotFound for ?project= of a project that does not exist, with LXD's @p context before the text
void require_project(const Request& request, App& app, std::string_view context);

} // namespace lxdcore::daemon
