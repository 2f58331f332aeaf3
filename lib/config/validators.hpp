// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

/// Checks of one value each, with the texts of LXD; the value is not empty. All throw Error InvalidArgument. Reentrant.
namespace lxdcore::config::check {

void any(std::string_view value);
void boolean(std::string_view value);
void int64(std::string_view value);
void uint32(std::string_view value);
void priority(std::string_view value); ///< 0 to 10
void size(std::string_view value);     ///< "64MiB"
void uuid(std::string_view value);
void bgp_asn(std::string_view value);

// one of a list
void evacuate(std::string_view value);
void memory_enforce(std::string_view value);
void bridge_driver(std::string_view value);
void bridge_mode(std::string_view value);
void dns_mode(std::string_view value);
void fan_type(std::string_view value);
void nat_order(std::string_view value);
void acl_action(std::string_view value);
void tunnel_protocol(std::string_view value);
void architecture(std::string_view value);
void propagation(std::string_view value);

// instances
void environment(std::string_view value); ///< one line
void cpu_set(std::string_view value);
void cpu_allowance(std::string_view value);
void memory(std::string_view value);
void yaml(std::string_view value);
void user_data(std::string_view value);
void raw_lxc(std::string_view value);
void schedule(std::string_view value);        ///< cron or @aliases
void volume_schedule(std::string_view value); ///< without @startup and @never
void expiry(std::string_view value);          ///< "1d 2H"

// server
void listen_address(std::string_view value);
void cluster_address(std::string_view value);
void compression(std::string_view value); ///< a known name, and a level at most (R7, D4)
void minimal_replica(std::string_view value);
void max_standby(std::string_view value);
void max_voters(std::string_view value);
void offline_threshold(std::string_view value);

// storage
void block_filesystem(std::string_view value); ///< btrfs, ext4, xfs
void zfs_blocksize(std::string_view value);    ///< a power of two, 512 to 16MiB
void zfs_clone_copy(std::string_view value);   ///< a boolean, or "rebase"

// networks
void address(std::string_view value);
void address_v4(std::string_view value);
void address_v6(std::string_view value);
void bridge_v4(std::string_view value); ///< "none", "auto" or CIDR
void bridge_v6(std::string_view value);
void network_v4(std::string_view value);
void networks_v4(std::string_view value);
void networks_v6(std::string_view value);
void ranges_v4(std::string_view value);
void ranges_v6(std::string_view value);
void fan_underlay(std::string_view value);
void mac(std::string_view value);
void mtu(std::string_view value);
void interface_name(std::string_view value);
void interface_list(std::string_view value);
void port(std::string_view value);
void uint8(std::string_view value);
void vlan(std::string_view value);
void vlan_list(std::string_view value);
void nic_address_v4(std::string_view value); ///< "none" or an address
void nic_address_v6(std::string_view value);

} // namespace lxdcore::config::check
