// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "system/ip.hpp"

namespace lxdcore::network {

enum class DnsMode { Managed, Dynamic, None };

/// What a family of a bridge is to have.
struct BridgeFamily {
    std::optional<IpNetwork> address; ///< unset: "none"
    bool dhcp = true, stateful = false, nat = false, firewall = true, routing = true;
    std::string nat_address;
    std::string expiry = "1h";
    std::string gateway;                                     ///< IPv4 only
    std::vector<std::pair<std::string, std::string>> ranges; ///< first, last
    std::vector<IpNetwork> routes;
};

/// The configuration of a managed bridge with defaults filled in. A value.
struct BridgeConfig {
    BridgeFamily ipv4, ipv6;
    unsigned mtu = 1500;
    std::string hwaddr; ///< "": made by us
    DnsMode dns = DnsMode::Managed;
    std::string domain = "lxd";
    std::string search;
    std::string raw;
    std::vector<std::string> external_interfaces;

    bool needs_dnsmasq() const noexcept { return ipv4.address || ipv6.address; }
};

/// From validated configuration. @throws Error InvalidArgument for values that do not parse (stored by another program)
BridgeConfig parse_bridge_config(const api::StringMap& config);

/// Checks keys and values of network @p name with LXD's texts (Error Internal, as LXD answers 500; control characters
/// are InvalidArgument). "auto" must have been resolved before.
void validate_bridge_config(const std::string& name, const api::StringMap& config);

} // namespace lxdcore::network
