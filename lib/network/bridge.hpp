// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "network/bridge_config.hpp"

namespace lxdcore::network::bridge {

/// Makes the interface, its addresses, routes and kernel settings what @p config says; touches only what differs.
/// @p hwaddr is used when the configuration names none. @throws Error with the kernel's reason
void bring_up(const std::string& name, const BridgeConfig& config, const std::string& hwaddr);
/// Removes the bridge; ports that are not ours are released first. Absent is fine.
void tear_down(const std::string& name);
/// True if @p name is there and is a bridge that is up.
bool is_up(const std::string& name);

} // namespace lxdcore::network::bridge
