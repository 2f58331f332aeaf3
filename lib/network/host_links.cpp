// SPDX-License-Identifier: Apache-2.0
#include "network/host_links.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <lxdcore/error.hpp>

#include "system/netlink.hpp"
#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::network::host_links {
namespace {

bool has_device(const std::string& name) {
    // /sys/class/net/<name> is a link of the kernel's into /sys/devices.
    const Dir classes = Dir::open("/sys/class/net");
    std::array<char, 512> buffer{};
    const ssize_t size = ::readlinkat(classes.fd(), name.c_str(), buffer.data(), buffer.size());
    return size > 0 &&
           std::string_view{buffer.data(), static_cast<std::size_t>(size)}.find("/virtual/") == std::string_view::npos;
}

std::string type_of(const LinkInfo& link) {
    if (link.loopback) return "loopback";
    if (link.kind == "bridge") return "bridge";
    if (link.kind == "vlan") return "vlan";
    if (link.kind == "bond") return "bond";
    return link.kind.empty() && has_device(link.name) ? "physical" : "unknown";
}

api::Network describe(const LinkInfo& link) {
    api::Network network;
    network.name = link.name;
    network.type = type_of(link);
    return network;
}

std::string read_setting(const Dir& settings, const char* name) {
    try {
        const UniqueFd file = settings.open_file(name, O_RDONLY);
        std::array<char, 64> buffer{};
        const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
        return size > 0 ? text::trim(std::string_view{buffer.data(), static_cast<std::size_t>(size)}) : "";
    } catch (const Error&) { // a kernel without VLAN filtering
        return "";
    }
}

api::NetworkStateBridge bridge_state(const LinkInfo& link, const std::vector<LinkInfo>& all) {
    const Dir settings = Dir::open("/sys/devices/virtual/net").dir(link.name + "/bridge");
    const auto number = [&](const char* name) {
        return static_cast<std::uint64_t>(text::parse_int(read_setting(settings, name)).value_or(0));
    };
    api::NetworkStateBridge result;
    result.id = read_setting(settings, "bridge_id");
    result.stp = number("stp_state") != 0;
    result.forward_delay = number("forward_delay");
    result.vlan_default = number("default_pvid");
    result.vlan_filtering = number("vlan_filtering") != 0;
    for (const LinkInfo& port : all)
        if (port.master == link.index) result.upper_devices.push_back(port.name);
    std::sort(result.upper_devices.begin(), result.upper_devices.end());
    return result;
}

} // namespace

std::vector<api::Network> list(const std::vector<std::string>& managed) {
    std::vector<api::Network> result;
    for (const LinkInfo& link : Netlink{}.links()) {
        if (link.name.starts_with("veth") || std::find(managed.begin(), managed.end(), link.name) != managed.end())
            continue;
        result.push_back(describe(link));
    }
    return result;
}

std::optional<api::Network> find(const std::string& name) {
    const auto link = Netlink{}.find(name);
    if (!link) return std::nullopt;
    return describe(*link);
}

api::NetworkState state(const std::string& name) {
    const Netlink netlink;
    const LinkInfo link = netlink.link(name);
    api::NetworkState result;
    for (const LinkAddress& address : netlink.addresses(link.index)) {
        const bool v4 = address.network.address.family == AF_INET;
        result.addresses.push_back({.family = v4 ? "inet" : "inet6",
                                    .address = address.network.address.str(),
                                    .netmask = std::to_string(address.network.prefix),
                                    .scope = address.scope});
    }
    result.counters.bytes_received = static_cast<std::int64_t>(link.rx_bytes);
    result.counters.bytes_sent = static_cast<std::int64_t>(link.tx_bytes);
    result.counters.packets_received = static_cast<std::int64_t>(link.rx_packets);
    result.counters.packets_sent = static_cast<std::int64_t>(link.tx_packets);
    result.hwaddr = link.hwaddr;
    result.mtu = static_cast<int>(link.mtu);
    result.state = link.up ? "up" : "down";
    result.type = link.loopback         ? "loopback"
                  : link.point_to_point ? "point-to-point"
                  : link.broadcast      ? "broadcast"
                                        : "unknown";
    if (link.kind == "bridge") result.bridge = bridge_state(link, netlink.links());
    return result;
}

} // namespace lxdcore::network::host_links
