// SPDX-License-Identifier: Apache-2.0
#include "config/config_keys.hpp"
#include "config/validators.hpp"

namespace lxdcore::config {

static std::span<const Key> disk_keys() {
    static constexpr Key table[] = {
        {"boot.priority", "", check::uint32, false, true},
        {"ceph.cluster_name", "", check::any, false, false},
        {"ceph.user_name", "", check::any, false, false},
        {"limits.max", "", check::any, true, true},
        {"limits.read", "", check::any, true, true},
        {"limits.write", "", check::any, true, true},
        {"optional", "", check::boolean, false, true},
        {"path", "", check::any, false, true},
        {"pool", "", check::any, false, true},
        {"propagation", "", check::propagation, false, true},
        {"raw.mount.options", "", check::any, false, true},
        {"readonly", "false", check::boolean, false, true},
        {"recursive", "false", check::boolean, false, true},
        {"required", "true", check::boolean, false, true},
        {"shift", "false", check::boolean, false, true},
        {"size", "", check::size, true, true},
        {"size.state", "", check::size, true, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
    };
    return table;
}

static std::span<const Key> bridged_keys() {
    static constexpr Key table[] = {
        {"boot.priority", "", check::uint32, false, true},
        {"host_name", "", check::interface_name, false, true},
        {"hwaddr", "", check::mac, false, true},
        {"ipv4.address", "", check::nic_address_v4, true, true},
        {"ipv4.routes", "", check::networks_v4, true, true},
        {"ipv4.routes.external", "", check::networks_v4, true, true},
        {"ipv6.address", "", check::nic_address_v6, true, true},
        {"ipv6.routes", "", check::networks_v6, true, true},
        {"ipv6.routes.external", "", check::networks_v6, true, true},
        {"limits.egress", "", check::any, true, true},
        {"limits.ingress", "", check::any, true, true},
        {"limits.max", "", check::any, true, true},
        {"maas.subnet.ipv4", "", check::any, false, true},
        {"maas.subnet.ipv6", "", check::any, false, true},
        {"mtu", "", check::mtu, false, true},
        {"name", "", check::interface_name, false, true},
        {"network", "", check::any, false, true},
        {"nictype", "", check::any, false, true},
        {"parent", "", check::any, false, true},
        {"security.ipv4_filtering", "false", check::boolean, true, true},
        {"security.ipv6_filtering", "false", check::boolean, true, true},
        {"security.mac_filtering", "false", check::boolean, true, true},
        {"security.port_isolation", "false", check::boolean, false, true},
        {"user.*", "", check::any, true, true},
        {"vlan", "", check::vlan, false, true},
        {"vlan.tagged", "", check::vlan_list, false, true},
    };
    return table;
}

static std::span<const Key> p2p_keys() {
    static constexpr Key table[] = {
        {"boot.priority", "", check::uint32, false, true},
        {"host_name", "", check::interface_name, false, true},
        {"hwaddr", "", check::mac, false, true},
        {"ipv4.routes", "", check::networks_v4, true, true},
        {"ipv6.routes", "", check::networks_v6, true, true},
        {"limits.egress", "", check::any, true, true},
        {"limits.ingress", "", check::any, true, true},
        {"limits.max", "", check::any, true, true},
        {"mtu", "", check::mtu, false, true},
        {"name", "", check::interface_name, false, true},
        {"nictype", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
    };
    return table;
}

static std::span<const Key> none_keys() {
    static constexpr Key table[] = {{"user.*", "", check::any, true, true}};
    return table;
}

std::span<const Key> device_keys(std::string_view type) {
    if (type == "disk") return disk_keys();
    if (type == "nic:bridged") return bridged_keys();
    if (type == "nic:p2p") return p2p_keys();
    if (type == "none") return none_keys();
    return {};
}

} // namespace lxdcore::config
