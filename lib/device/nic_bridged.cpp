// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "device/nic.hpp"
#include "network/bridge_config.hpp"
#include "system/netlink.hpp"
#include "util/text.hpp"

namespace lxdcore::device {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Error{ErrorCode::InvalidArgument, text}; }

std::string get(const api::StringMap& map, const std::string& key) {
    const auto it = map.find(key);
    return it == map.end() ? "" : it->second;
}

bool is_static(const std::string& address) { return !address.empty() && address != "none"; }

} // namespace

std::string NicBridged::managed(const Target& target) const {
    if (const std::string named = value("network"); !named.empty()) return named;
    const std::string parent = value("parent");
    return target.network.is_managed(target.project, parent) ? parent : "";
}

void NicBridged::validate_address(const Target& target, const std::string& network, const std::string& family) const {
    const std::string text = value(family + ".address");
    if (text.empty()) return;
    const auto config = network::parse_bridge_config(target.network.config_of(target.project, network));
    const network::BridgeFamily& of = family == "ipv4" ? config.ipv4 : config.ipv6;
    if (!of.address || !of.dhcp || (family == "ipv6" && !of.stateful)) {
        refuse(family == "ipv4" ? fmt::format("Cannot specify \"ipv4.address\" when DHCP is disabled (unless using "
                                              "security.ipv4_filtering) on network \"{}\"",
                                              network)
                                : fmt::format("Cannot specify \"ipv6.address\" when DHCP or \"ipv6.dhcp.stateful\" are "
                                              "disabled (unless using security.ipv6_filtering) on network \"{}\"",
                                              network));
    }
    if (text == "none") return;
    const auto address = IpAddress::parse(text);
    if (!address || !of.address->contains(*address))
        refuse(fmt::format("Device IP address \"{}\" not within network \"{}\" subnet", text, network));
    if (*address == of.address->address)
        refuse(fmt::format("IP address \"{}\" is assigned to parent managed network device \"{}\"", text, network));
}

void NicBridged::validate_addresses(const Target& target) const {
    const std::string network = managed(target);
    for (const std::string family : {"ipv4", "ipv6"}) {
        if (network.empty() && !value(family + ".address").empty())
            refuse(fmt::format("Cannot use manually specified {}.address when using unmanaged parent bridge", family));
        if (!network.empty()) validate_address(target, network, family);
    }
}

void NicBridged::validate(const Target& target, bool) {
    if (const std::string network = value("network"); !network.empty()) {
        if (!target.network.is_managed(target.project, network))
            refuse(
                fmt::format("Failed loading device \"{}\": Failed to load network \"{}\" for project \"{}\": Network "
                            "not found",
                            name_, network, target.project));
        for (const char* inherited : {"nictype", "parent", "mtu", "maas.subnet.ipv4", "maas.subnet.ipv6"})
            if (!value(inherited).empty())
                refuse(fmt::format("Cannot use \"{}\" property in conjunction with \"network\" property", inherited));
    } else if (value("parent").empty()) {
        refuse("Invalid value for device option \"parent\": Required value");
    }
    validate_common(target);
    validate_addresses(target);
}

/// Two NICs of one instance on one network would claim the same DNS name; static addresses and MACs are unique there.
void NicBridged::check_free(const Target& target, const Volatile& current) const {
    const std::string network = managed(target);
    if (network.empty()) return;
    const auto config = network::parse_bridge_config(target.network.config_of(target.project, network));
    for (const auto& [name, device] : target.expanded_devices) {
        if (name == name_ || get(device, "type") != "nic" || config.dns == network::DnsMode::None) continue;
        const bool same = get(device, "network") == network ||
                          (get(device, "nictype") == "bridged" && get(device, "parent") == network);
        if (same)
            throw Error{ErrorCode::AlreadyExists,
                        fmt::format("Instance DNS name \"{}\" already used on network", target.instance)};
    }
    const std::string own_mac = mac(current);
    const bool asks = !value("hwaddr").empty() || is_static(value("ipv4.address")) || is_static(value("ipv6.address"));
    if (!asks) return;
    for (const network::NicRecord& other : target.network.nics_on(network)) {
        if (other.project == target.project && other.instance == target.instance) continue;
        if (!own_mac.empty() && text::lower(other.mac) == own_mac)
            throw Error{ErrorCode::AlreadyExists,
                        fmt::format("MAC address \"{}\" already defined on another NIC", own_mac)};
        for (const auto& [mine, theirs] :
             {std::pair{value("ipv4.address"), other.ipv4}, std::pair{value("ipv6.address"), other.ipv6}}) {
            if (is_static(mine) && is_static(theirs) && IpAddress::parse(mine) == IpAddress::parse(theirs))
                throw Error{ErrorCode::AlreadyExists,
                            fmt::format("IP address \"{}\" already defined on another NIC", mine)};
        }
    }
}

Volatile NicBridged::added(const Target& target, const Volatile& current) {
    check_free(target, current);
    return Nic::added(target, current);
}

std::string NicBridged::bridge(const Target& target) const {
    if (const std::string network = managed(target); !network.empty())
        return target.network.bridge_of(target.project, network);
    const std::string parent = value("parent");
    if (!Netlink{}.find(parent))
        throw Error{ErrorCode::NotFound, fmt::format("Parent device \"{}\" doesn't exist", parent)};
    return parent;
}

unsigned NicBridged::mtu(const Target& target) const {
    if (const unsigned own = Nic::mtu(target); own != 0) return own;
    const std::string network = managed(target);
    return network.empty() ? 0 : target.network.mtu_of(target.project, network);
}

network::NicRecord NicBridged::record(const Target& target, const Volatile& current) const {
    const auto fixed = [&](const char* key) { return is_static(value(key)) ? value(key) : std::string{}; };
    return {target.project, target.instance, name_, mac(current), fixed("ipv4.address"), fixed("ipv6.address")};
}

void NicBridged::announce(const Target& target, const Volatile& current) const {
    if (const std::string network = managed(target); !network.empty())
        target.network.set_nic(network, record(target, current));
}

void NicBridged::removed(const Target& target, const Volatile& current) {
    if (const std::string network = managed(target); !network.empty())
        target.network.remove_nic(network, record(target, current));
}

std::vector<std::string> NicBridged::updatable() const {
    auto keys = Nic::updatable();
    keys.insert(keys.end(), {"ipv4.address", "ipv6.address"});
    return keys;
}

void NicBridged::update(const Target& target, const api::Device& before, const Volatile& current) {
    announce(target, current);
    Nic::update(target, before, current);
}

} // namespace lxdcore::device
