// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lxdcore::server {

/// Of the environment block of GET /1.0, what cannot change while the process lives. Asks kernel and liblxc.
/// @p storage_drivers: the list of those that work here
nlohmann::json fixed_environment(const nlohmann::json& storage_drivers);
/// "host:port" for each address on which @p https_address can be reached; empty for an empty one.
std::vector<std::string> reachable_addresses(const std::string& https_address);
std::string host_name();

} // namespace lxdcore::server
