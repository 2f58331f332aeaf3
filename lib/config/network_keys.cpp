// SPDX-License-Identifier: Apache-2.0
#include "config/config_keys.hpp"
#include "config/storage_keys.hpp"
#include "config/validators.hpp"

namespace lxdcore::config {

std::span<const Key> bridge_keys() {
    static constexpr Key table[] = {
        {"bgp.peers.*.address", "", check::address, true, false},
        {"bgp.peers.*.asn", "", check::bgp_asn, true, false},
        {"bgp.peers.*.password", "", check::any, true, false},
        {"bridge.driver", "native", check::bridge_driver, true, true},
        {"bridge.external_interfaces", "", check::interface_list, true, true},
        {"bridge.hwaddr", "", check::mac, true, true},
        {"bridge.mode", "standard", check::bridge_mode, true, true},
        {"bridge.mtu", "1500", check::mtu, true, true},
        {"dns.domain", "lxd", check::any, true, true},
        {"dns.mode", "managed", check::dns_mode, true, true},
        {"dns.search", "", check::any, true, true},
        {"dns.zone.forward", "", check::any, true, false},
        {"dns.zone.reverse.ipv4", "", check::any, true, false},
        {"dns.zone.reverse.ipv6", "", check::any, true, false},
        {"fan.overlay_subnet", "240.0.0.0/8", check::network_v4, true, false},
        {"fan.type", "vxlan", check::fan_type, true, false},
        {"fan.underlay_subnet", "", check::fan_underlay, true, false},
        {"ipv4.address", "", check::bridge_v4, true, true},
        {"ipv4.dhcp", "true", check::boolean, true, true},
        {"ipv4.dhcp.expiry", "1h", check::any, true, true},
        {"ipv4.dhcp.gateway", "", check::address_v4, true, true},
        {"ipv4.dhcp.ranges", "", check::ranges_v4, true, true},
        {"ipv4.firewall", "true", check::boolean, true, true},
        {"ipv4.nat", "false", check::boolean, true, true},
        {"ipv4.nat.address", "", check::address_v4, true, true},
        {"ipv4.nat.order", "before", check::nat_order, true, true},
        {"ipv4.ovn.ranges", "", check::ranges_v4, true, false},
        {"ipv4.routes", "", check::networks_v4, true, true},
        {"ipv4.routing", "true", check::boolean, true, true},
        {"ipv6.address", "", check::bridge_v6, true, true},
        {"ipv6.dhcp", "true", check::boolean, true, true},
        {"ipv6.dhcp.expiry", "1h", check::any, true, true},
        {"ipv6.dhcp.ranges", "", check::ranges_v6, true, true},
        {"ipv6.dhcp.stateful", "false", check::boolean, true, true},
        {"ipv6.firewall", "true", check::boolean, true, true},
        {"ipv6.nat", "false", check::boolean, true, true},
        {"ipv6.nat.address", "", check::address_v6, true, true},
        {"ipv6.nat.order", "before", check::nat_order, true, true},
        {"ipv6.ovn.ranges", "", check::ranges_v6, true, false},
        {"ipv6.routes", "", check::networks_v6, true, true},
        {"ipv6.routing", "true", check::boolean, true, true},
        {"maas.subnet.ipv4", "", check::any, true, false},
        {"maas.subnet.ipv6", "", check::any, true, false},
        {"raw.dnsmasq", "", check::any, true, true},
        {"security.acls", "", check::any, true, false},
        {"security.acls.default.egress.action", "reject", check::acl_action, true, false},
        {"security.acls.default.egress.logged", "false", check::boolean, true, false},
        {"security.acls.default.ingress.action", "reject", check::acl_action, true, false},
        {"security.acls.default.ingress.logged", "false", check::boolean, true, false},
        {"tunnel.*.group", "239.0.0.1", check::address, true, false},
        {"tunnel.*.id", "0", check::int64, true, false},
        {"tunnel.*.interface", "", check::interface_name, true, false},
        {"tunnel.*.local", "", check::address, true, false},
        {"tunnel.*.port", "", check::port, true, false},
        {"tunnel.*.protocol", "", check::tunnel_protocol, true, false},
        {"tunnel.*.remote", "", check::address, true, false},
        {"tunnel.*.ttl", "1", check::uint8, true, false},
        {"user.*", "", check::any, true, true},
    };
    return table;
}

namespace {

std::span<const Key> dir_pool_keys() {
    static constexpr Key table[] = {
        {"rsync.bwlimit", "0", check::size, true, true},
        {"rsync.compression", "true", check::boolean, true, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
        {"volatile.initial_source", "", check::any, false, true},
        {"volume.security.shifted", "", check::boolean, false, true},
        {"volume.security.unmapped", "", check::boolean, false, true},
        {"volume.size", "", check::size, false, true},
        {"volume.snapshots.expiry", "", check::expiry, false, true},
        {"volume.snapshots.pattern", "", check::any, false, true},
        {"volume.snapshots.schedule", "", check::volume_schedule, false, true},
    };
    return table;
}

std::span<const Key> btrfs_pool_keys() {
    static constexpr Key table[] = {
        {"btrfs.mount_options", "user_subvol_rm_allowed", check::any, true, true},
        {"rsync.bwlimit", "0", check::size, true, true},
        {"rsync.compression", "true", check::boolean, true, true},
        {"size", "", check::size, true, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
        {"volatile.initial_source", "", check::any, false, true},
        {"volume.security.shifted", "", check::boolean, false, true},
        {"volume.security.unmapped", "", check::boolean, false, true},
        {"volume.size", "", check::size, false, true},
        {"volume.snapshots.expiry", "", check::expiry, false, true},
        {"volume.snapshots.pattern", "", check::any, false, true},
        {"volume.snapshots.schedule", "", check::volume_schedule, false, true},
    };
    return table;
}

} // namespace

std::span<const Key> pool_keys(std::string_view driver) {
    if (driver == "btrfs") return btrfs_pool_keys();
    if (driver == "dir") return dir_pool_keys();
    return program_pool_keys(driver);
}

} // namespace lxdcore::config
