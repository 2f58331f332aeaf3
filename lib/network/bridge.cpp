// SPDX-License-Identifier: Apache-2.0
#include "network/bridge.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "system/netlink.hpp"
#include "system/sysctl.hpp"

namespace lxdcore::network::bridge {
namespace {

void ensure_link(Netlink& netlink, const std::string& name, const BridgeConfig& config, const std::string& hwaddr) {
    const auto existing = netlink.find(name);
    if (!existing) {
        netlink.create_bridge(name, hwaddr, config.mtu);
        return;
    }
    if (existing->kind != "bridge")
        throw Error{ErrorCode::Internal, fmt::format("Network interface \"{}\" already exists", name)};
    LinkChange change;
    if (existing->hwaddr != hwaddr) change.hwaddr = hwaddr;
    if (existing->mtu != config.mtu) change.mtu = config.mtu;
    if (change.hwaddr || change.mtu) netlink.change(name, change);
}

/// Settings of IPv6 on the bridge itself: addresses come from us only, and are there at once.
void set_interface_options(const std::string& name, const BridgeConfig& config) {
    const std::string base = fmt::format("net/ipv6/conf/{}/", name);
    if (!sysctl::exists(base + "disable_ipv6")) return; // a host without IPv6
    sysctl::write(base + "accept_dad", "0");
    sysctl::write(base + "autoconf", "0");
    sysctl::write(base + "disable_ipv6", config.ipv6.address ? "0" : "1");
}

/// Forwarding turns off router advertisements on interfaces that are not told otherwise: tell them first.
void enable_ipv6_forwarding(Netlink& netlink) {
    const std::string all = "net/ipv6/conf/all/forwarding";
    if (!sysctl::exists(all) || sysctl::read(all) == "1") return;
    for (const LinkInfo& link : netlink.links()) {
        const std::string accept = fmt::format("net/ipv6/conf/{}/accept_ra", link.name);
        if (link.name.find('/') == std::string::npos && sysctl::exists(accept) && sysctl::read(accept) == "1")
            sysctl::write(accept, "2");
    }
    sysctl::write(all, "1");
}

void enable_forwarding(Netlink& netlink, const BridgeConfig& config) {
    if (config.ipv4.address && config.ipv4.routing) sysctl::write("net/ipv4/ip_forward", "1");
    if (config.ipv6.address && config.ipv6.routing) enable_ipv6_forwarding(netlink);
}

void reconcile_addresses(Netlink& netlink, int link, const BridgeConfig& config) {
    std::vector<IpNetwork> wanted;
    for (const auto* family : {&config.ipv4, &config.ipv6})
        if (family->address) wanted.push_back(*family->address);
    for (const LinkAddress& present : netlink.addresses(link)) {
        if (present.scope == "link" && present.network.address.family == AF_INET6) continue;
        const auto it = std::find(wanted.begin(), wanted.end(), present.network);
        if (it == wanted.end())
            netlink.remove_address(link, present.network);
        else
            wanted.erase(it);
    }
    for (const IpNetwork& address : wanted)
        netlink.add_address(link, address);
}

void reconcile_routes(Netlink& netlink, int link, const BridgeConfig& config) {
    std::vector<IpNetwork> wanted;
    for (const auto* family : {&config.ipv4, &config.ipv6})
        for (const IpNetwork& route : family->routes)
            wanted.push_back({route.first(), route.prefix});
    for (const RouteInfo& present : netlink.routes()) {
        if (present.link != link || !present.is_static) continue;
        const auto it = std::find(wanted.begin(), wanted.end(), present.destination);
        if (it == wanted.end())
            netlink.remove_route(link, present.destination, RouteOwner::Network);
        else
            wanted.erase(it);
    }
    for (const IpNetwork& route : wanted)
        netlink.add_route(link, route, RouteOwner::Network);
}

/// As LXD, an interface that is away is passed over; one that the host itself uses is refused.
void attach_external(Netlink& netlink, int bridge, const BridgeConfig& config) {
    for (const std::string& name : config.external_interfaces) {
        const auto link = netlink.find(name);
        if (!link || link->master == bridge) continue;
        for (const LinkAddress& address : netlink.addresses(link->index)) {
            if (address.scope == "global")
                throw Error{ErrorCode::Internal, "Only unconfigured network interfaces can be bridged"};
        }
        netlink.change(name, {.up = true, .master = bridge});
    }
}

} // namespace

void bring_up(const std::string& name, const BridgeConfig& config, const std::string& hwaddr) {
    Netlink netlink;
    ensure_link(netlink, name, config, config.hwaddr.empty() ? hwaddr : config.hwaddr);
    set_interface_options(name, config);
    const LinkInfo link = netlink.link(name);
    if (!link.up) netlink.change(name, {.up = true});
    reconcile_addresses(netlink, link.index, config);
    reconcile_routes(netlink, link.index, config);
    attach_external(netlink, link.index, config);
    enable_forwarding(netlink, config);
}

void tear_down(const std::string& name) {
    Netlink netlink;
    const auto link = netlink.find(name);
    if (link && link->kind == "bridge") netlink.remove(name);
}

bool is_up(const std::string& name) {
    const auto link = Netlink{}.find(name);
    return link && link->kind == "bridge" && link->up;
}

} // namespace lxdcore::network::bridge
