// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>

/// Interfaces of the host as the API shows them. Reentrant.
namespace lxdcore::network::host_links {

/// Interfaces that are not managed networks; without veth ends, as LXD.
std::vector<api::Network> list(const std::vector<std::string>& managed);
std::optional<api::Network> find(const std::string& name);
/// @throws Error NotFound "Network interface \"x\" not found"
api::NetworkState state(const std::string& name);

} // namespace lxdcore::network::host_links
