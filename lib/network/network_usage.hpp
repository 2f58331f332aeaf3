// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "db/network_repository.hpp"
#include "network/bridge_networks.hpp"

namespace lxdcore::network {

/// True if a NIC with this configuration is on bridge @p network, by name or by parent.
bool is_on(const api::Device& nic, const std::string& network);

/// Who uses which network, read at once.
struct BridgeNetworks::Usage {
    std::vector<db::ProfileNic> profiles;
    std::vector<db::InstanceNic> instances;

    static Usage load(db::Database& global);
    std::vector<std::string> of(const std::string& network) const; ///< URLs: profiles, then instances
};

} // namespace lxdcore::network
