// SPDX-License-Identifier: Apache-2.0
#include "network/bridge_config.hpp"

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::network {
namespace {

std::string value_of(const api::StringMap& config, const std::string& key, const std::string& fallback = "") {
    const auto it = config.find(key);
    return it == config.end() || it->second.empty() ? fallback : it->second;
}

bool flag(const api::StringMap& config, const std::string& key, bool fallback) {
    const std::string value = value_of(config, key);
    return value.empty() ? fallback : text::is_true(value);
}

IpNetwork parse_network(const std::string& key, const std::string& value) {
    if (const auto network = IpNetwork::parse(value)) return *network;
    throw Error{ErrorCode::InvalidArgument, fmt::format("{}: invalid CIDR address: {}", key, value)};
}

std::vector<std::string> list_of(const std::string& value) {
    std::vector<std::string> result;
    for (const std::string& item : text::split(value, ',')) {
        if (std::string trimmed = text::trim(item); !trimmed.empty()) result.push_back(std::move(trimmed));
    }
    return result;
}

BridgeFamily parse_family(const api::StringMap& config, const std::string& prefix) {
    BridgeFamily family;
    const std::string address = value_of(config, prefix + "address", "none");
    if (address != "none" && address != "auto") family.address = parse_network(prefix + "address", address);
    family.dhcp = flag(config, prefix + "dhcp", true);
    family.stateful = flag(config, prefix + "dhcp.stateful", false);
    family.nat = flag(config, prefix + "nat", false);
    family.firewall = flag(config, prefix + "firewall", true);
    family.routing = flag(config, prefix + "routing", true);
    family.nat_address = value_of(config, prefix + "nat.address");
    family.expiry = value_of(config, prefix + "dhcp.expiry", "1h");
    family.gateway = value_of(config, prefix + "dhcp.gateway");
    for (const std::string& range : list_of(value_of(config, prefix + "dhcp.ranges"))) {
        const auto dash = range.find('-');
        if (dash == std::string::npos)
            throw Error{ErrorCode::InvalidArgument, "IP range must contain start and end IP addresses"};
        family.ranges.emplace_back(text::trim(range.substr(0, dash)), text::trim(range.substr(dash + 1)));
    }
    for (const std::string& route : list_of(value_of(config, prefix + "routes")))
        family.routes.push_back(parse_network(prefix + "routes", route));
    return family;
}

DnsMode parse_dns_mode(const std::string& mode) {
    if (mode == "none") return DnsMode::None;
    return mode == "dynamic" ? DnsMode::Dynamic : DnsMode::Managed;
}

} // namespace

BridgeConfig parse_bridge_config(const api::StringMap& config) {
    BridgeConfig result;
    result.ipv4 = parse_family(config, "ipv4.");
    result.ipv6 = parse_family(config, "ipv6.");
    result.hwaddr = value_of(config, "bridge.hwaddr");
    if (const auto mtu = text::parse_int(value_of(config, "bridge.mtu", "1500")))
        result.mtu = static_cast<unsigned>(*mtu);
    result.dns = parse_dns_mode(value_of(config, "dns.mode"));
    result.domain = value_of(config, "dns.domain", "lxd");
    result.search = value_of(config, "dns.search");
    result.raw = value_of(config, "raw.dnsmasq");
    result.external_interfaces = list_of(value_of(config, "bridge.external_interfaces"));
    return result;
}

} // namespace lxdcore::network
