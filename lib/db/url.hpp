// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace lxdcore::db {

/// One path part or query value, percent-encoded.
std::string url_encode(std::string_view part);
/// "/1.0/<kind>/<name>", with ?project= outside the default project.
std::string entity_url(std::string_view kind, std::string_view name, std::string_view project);

} // namespace lxdcore::db
