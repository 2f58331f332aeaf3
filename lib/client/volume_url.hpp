// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/storage_volume_service.hpp>

#include "client/url.hpp"

namespace lxdcore::client {

/// /1.0/storage-pools/<pool>/volumes[/<type>]
inline Url volumes_url(const std::string& pool, const std::string& type) {
    auto url = Url{"/1.0/storage-pools"} / pool / "volumes";
    return type.empty() ? url : url / type;
}

/// …/<volume>[/<below>[/<name>]], with the project.
inline Url volume_url(const VolumeRef& ref, const std::string& below = {}, const std::string& name = {}) {
    auto path = (volumes_url(ref.pool, ref.type) / ref.name).str();
    if (!below.empty()) path += "/" + below;
    Url url{std::move(path)};
    if (!name.empty()) url = url / name;
    return url.project(ref.project);
}

} // namespace lxdcore::client
