// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/instance_service.hpp>

#include "client/url.hpp"

namespace lxdcore::client {

/// /1.0/instances/<instance>[/<below>[/<name>]], with the project.
inline Url instance_url(const InstanceRef& ref, const std::string& below = {}, const std::string& name = {}) {
    auto path = (Url{"/1.0/instances"} / ref.name).str();
    if (!below.empty()) path += "/" + below;
    Url url{std::move(path)};
    if (!name.empty()) url = url / name;
    return url.project(ref.project);
}

} // namespace lxdcore::client
