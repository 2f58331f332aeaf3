// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "system/ip.hpp"

namespace lxdcore {

/// A network interface as the kernel describes it.
struct LinkInfo {
    int index = 0;
    int master = 0; ///< index of the bridge it is a port of; 0: none
    std::string name;
    std::string hwaddr; ///< "" for interfaces without one
    std::string kind;   ///< "bridge", "veth", …; "" for hardware
    unsigned mtu = 0;
    bool up = false, loopback = false, point_to_point = false, broadcast = false;
    std::uint64_t rx_bytes = 0, tx_bytes = 0, rx_packets = 0, tx_packets = 0, rx_errors = 0, tx_errors = 0,
                  rx_dropped = 0, tx_dropped = 0;
};

struct LinkAddress {
    IpNetwork network;
    std::string scope; ///< global, link, local
    bool operator==(const LinkAddress&) const = default;
};

struct RouteInfo {
    IpNetwork destination;
    int link = 0; ///< index
    bool is_static = false;
    unsigned table = 0;
};

/// Kept apart by the protocol field, so that reconciling a network leaves the routes of its NICs.
enum class RouteOwner { Network, Device };

/// What is to change; unset stays.
struct LinkChange {
    std::optional<std::string> hwaddr;
    std::optional<unsigned> mtu;
    std::optional<bool> up;
    std::optional<int> master; ///< index of a bridge; 0 releases
};

struct VethSpec {
    std::string host_name; ///< our end
    std::string peer_name; ///< the guest's end
    std::string peer_hwaddr;
    unsigned mtu = 0;     ///< both ends; 0: the kernel's
    pid_t peer_pid = -1;  ///< process whose network namespace gets the peer; -1: ours
    bool peer_up = false; ///< only where the peer stays in our namespace
};

/// One rtnetlink socket in the current network namespace. The only user of libnl. Errors are Error with the kernel's
/// text; NotFound for interfaces that are not there. Thread-bound; making one is cheap.
class Netlink {
public:
    Netlink();
    ~Netlink();
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;

    std::optional<LinkInfo> find(const std::string& name) const;
    LinkInfo link(const std::string& name) const;
    std::vector<LinkInfo> links() const;
    void create_bridge(const std::string& name, const std::string& hwaddr, unsigned mtu);
    void create_veth(const VethSpec& spec);
    void change(const std::string& name, const LinkChange& change);
    void remove(const std::string& name); ///< absent is fine

    std::vector<LinkAddress> addresses(int link) const;
    std::vector<IpNetwork> all_addresses() const;
    void add_address(int link, const IpNetwork& address); ///< present is fine
    void remove_address(int link, const IpNetwork& address);
    std::vector<RouteInfo> routes() const;
    void add_route(int link, const IpNetwork& destination, RouteOwner owner); ///< present is fine
    void remove_route(int link, const IpNetwork& destination, RouteOwner owner);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lxdcore
