// SPDX-License-Identifier: Apache-2.0
#include "system/netlink.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

namespace lxdcore {
namespace {

struct Deleter {
    void operator()(nl_sock* p) const noexcept { nl_socket_free(p); }
    void operator()(nl_cache* p) const noexcept { nl_cache_free(p); }
    void operator()(rtnl_link* p) const noexcept { rtnl_link_put(p); }
    void operator()(rtnl_addr* p) const noexcept { rtnl_addr_put(p); }
    void operator()(rtnl_route* p) const noexcept { rtnl_route_put(p); }
    void operator()(nl_addr* p) const noexcept { nl_addr_put(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;

[[noreturn]] void fail(const std::string& what, int code) {
    const int kind = std::abs(code);
    const bool absent = kind == NLE_NODEV || kind == NLE_OBJ_NOTFOUND;
    const bool exists = kind == NLE_EXIST;
    throw Error{absent   ? ErrorCode::NotFound
                : exists ? ErrorCode::AlreadyExists
                         : ErrorCode::Internal,
                fmt::format("{}: {}", what, nl_geterror(code))};
}

void check(int code, const std::string& what) {
    if (code < 0) fail(what, code);
}

bool is(int code, int expected) { return code == -expected; }

template <typename T>
Owned<T> own(T* pointer) {
    if (!pointer) throw Error{ErrorCode::Internal, "netlink: out of memory"};
    return Owned<T>{pointer};
}

std::string text_of(nl_addr* address) {
    char buffer[64];
    return address ? nl_addr2str(address, buffer, sizeof buffer) : "";
}

std::string hwaddr_of(rtnl_link* link) {
    const unsigned type = rtnl_link_get_arptype(link);
    nl_addr* address = rtnl_link_get_addr(link);
    if (type == ARPHRD_LOOPBACK || !address || nl_addr_get_len(address) == 0) return "";
    return text_of(address);
}

LinkInfo describe(rtnl_link* link) {
    LinkInfo info;
    info.index = rtnl_link_get_ifindex(link);
    info.master = rtnl_link_get_master(link);
    info.name = rtnl_link_get_name(link);
    info.hwaddr = hwaddr_of(link);
    if (const char* kind = rtnl_link_get_type(link)) info.kind = kind;
    info.mtu = rtnl_link_get_mtu(link);
    const unsigned flags = rtnl_link_get_flags(link);
    info.up = (flags & IFF_UP) != 0;
    info.loopback = (flags & IFF_LOOPBACK) != 0;
    info.point_to_point = (flags & IFF_POINTOPOINT) != 0;
    info.broadcast = (flags & IFF_BROADCAST) != 0;
    info.rx_bytes = rtnl_link_get_stat(link, RTNL_LINK_RX_BYTES);
    info.tx_bytes = rtnl_link_get_stat(link, RTNL_LINK_TX_BYTES);
    info.rx_packets = rtnl_link_get_stat(link, RTNL_LINK_RX_PACKETS);
    info.tx_packets = rtnl_link_get_stat(link, RTNL_LINK_TX_PACKETS);
    info.rx_errors = rtnl_link_get_stat(link, RTNL_LINK_RX_ERRORS);
    info.tx_errors = rtnl_link_get_stat(link, RTNL_LINK_TX_ERRORS);
    info.rx_dropped = rtnl_link_get_stat(link, RTNL_LINK_RX_DROPPED);
    info.tx_dropped = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED);
    return info;
}

void set_hwaddr(rtnl_link* link, const std::string& hwaddr) {
    nl_addr* raw = nullptr;
    check(nl_addr_parse(hwaddr.c_str(), AF_LLC, &raw), "MAC address " + hwaddr);
    const Owned<nl_addr> address{raw};
    rtnl_link_set_addr(link, address.get());
}

Owned<nl_addr> binary(const IpAddress& address, unsigned prefix) {
    auto result = own(nl_addr_build(address.family, address.bytes.data(), address.size()));
    nl_addr_set_prefixlen(result.get(), static_cast<int>(prefix));
    return result;
}

std::optional<IpNetwork> network_of(nl_addr* address) {
    if (!address) return std::nullopt;
    const int family = nl_addr_get_family(address);
    if (family != AF_INET && family != AF_INET6) return std::nullopt;
    IpNetwork result;
    result.address.family = family;
    const std::size_t length = std::min<std::size_t>(nl_addr_get_len(address), result.address.size());
    const auto* bytes = static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address));
    std::copy_n(bytes, length, result.address.bytes.begin());
    result.prefix = nl_addr_get_prefixlen(address);
    return result;
}

std::string scope_name(int scope) {
    switch (scope) {
    case RT_SCOPE_LINK:
        return "link";
    case RT_SCOPE_HOST:
        return "local";
    default:
        return "global";
    }
}

} // namespace

struct Netlink::Impl {
    Owned<nl_sock> socket{nl_socket_alloc()};

    nl_sock* get() const noexcept { return socket.get(); }

    template <typename Object, typename Visit>
    void each(nl_cache* raw, const Visit& visit) const {
        const Owned<nl_cache> cache{raw};
        for (nl_object* object = nl_cache_get_first(raw); object; object = nl_cache_get_next(object))
            visit(reinterpret_cast<Object*>(object));
    }

    template <typename Visit>
    void each_address(const Visit& visit) const {
        nl_cache* raw = nullptr;
        check(rtnl_addr_alloc_cache(get(), &raw), "list addresses");
        each<rtnl_addr>(raw, visit);
    }

    Owned<rtnl_link> lookup(const std::string& name) const {
        rtnl_link* raw = nullptr;
        const int code = rtnl_link_get_kernel(get(), 0, name.c_str(), &raw);
        if (is(code, NLE_NODEV) || is(code, NLE_OBJ_NOTFOUND)) return nullptr;
        check(code, "interface " + name);
        return Owned<rtnl_link>{raw};
    }
};

Netlink::Netlink() : impl_{std::make_unique<Impl>()} {
    if (!impl_->get()) throw Error{ErrorCode::Internal, "netlink: out of memory"};
    check(nl_connect(impl_->get(), NETLINK_ROUTE), "open netlink socket");
}

Netlink::~Netlink() = default;

std::optional<LinkInfo> Netlink::find(const std::string& name) const {
    if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
    const auto link = impl_->lookup(name);
    if (!link) return std::nullopt;
    return describe(link.get());
}

LinkInfo Netlink::link(const std::string& name) const {
    if (auto found = find(name)) return *found;
    throw Error{ErrorCode::NotFound, fmt::format("Network interface \"{}\" not found", name)};
}

std::vector<LinkInfo> Netlink::links() const {
    nl_cache* raw = nullptr;
    check(rtnl_link_alloc_cache(impl_->get(), AF_UNSPEC, &raw), "list interfaces");
    std::vector<LinkInfo> result;
    impl_->each<rtnl_link>(raw, [&](rtnl_link* link) { result.push_back(describe(link)); });
    return result;
}

void Netlink::create_bridge(const std::string& name, const std::string& hwaddr, unsigned mtu) {
    const auto link = own(rtnl_link_bridge_alloc());
    rtnl_link_set_name(link.get(), name.c_str());
    if (!hwaddr.empty()) set_hwaddr(link.get(), hwaddr);
    if (mtu != 0) rtnl_link_set_mtu(link.get(), mtu);
    check(rtnl_link_add(impl_->get(), link.get(), NLM_F_CREATE | NLM_F_EXCL), "create bridge " + name);
}

void Netlink::create_veth(const VethSpec& spec) {
    const auto link = own(rtnl_link_veth_alloc());
    const auto peer = own(rtnl_link_veth_get_peer(link.get()));
    rtnl_link_set_name(link.get(), spec.host_name.c_str());
    rtnl_link_set_name(peer.get(), spec.peer_name.c_str());
    if (!spec.peer_hwaddr.empty()) set_hwaddr(peer.get(), spec.peer_hwaddr);
    if (spec.mtu != 0) {
        rtnl_link_set_mtu(link.get(), spec.mtu);
        rtnl_link_set_mtu(peer.get(), spec.mtu);
    }
    // The kernel makes the peer in its namespace under its name at once: there is no moment in which it is half done.
    if (spec.peer_pid > 0) rtnl_link_set_ns_pid(peer.get(), spec.peer_pid);
    check(rtnl_link_add(impl_->get(), link.get(), NLM_F_CREATE | NLM_F_EXCL), "create interface " + spec.host_name);
    if (spec.peer_pid <= 0 && spec.peer_up) change(spec.peer_name, {.up = true});
}

void Netlink::change(const std::string& name, const LinkChange& change) {
    const auto current = impl_->lookup(name);
    if (!current) throw Error{ErrorCode::NotFound, fmt::format("Network interface \"{}\" not found", name)};
    const auto request = own(rtnl_link_alloc());
    if (change.hwaddr) set_hwaddr(request.get(), *change.hwaddr);
    if (change.mtu) rtnl_link_set_mtu(request.get(), *change.mtu);
    if (change.master) rtnl_link_set_master(request.get(), *change.master);
    if (change.up) {
        if (*change.up)
            rtnl_link_set_flags(request.get(), IFF_UP);
        else
            rtnl_link_unset_flags(request.get(), IFF_UP);
    }
    check(rtnl_link_change(impl_->get(), current.get(), request.get(), 0), "change interface " + name);
}

void Netlink::remove(const std::string& name) {
    const auto current = impl_->lookup(name);
    if (!current) return;
    const int code = rtnl_link_delete(impl_->get(), current.get());
    if (is(code, NLE_NODEV) || is(code, NLE_OBJ_NOTFOUND)) return;
    check(code, "delete interface " + name);
}

std::vector<LinkAddress> Netlink::addresses(int link) const {
    std::vector<LinkAddress> result;
    impl_->each_address([&](rtnl_addr* address) {
        if (rtnl_addr_get_ifindex(address) != link) return;
        auto network = network_of(rtnl_addr_get_local(address));
        if (!network) return;
        network->prefix = static_cast<unsigned>(rtnl_addr_get_prefixlen(address));
        result.push_back({*network, scope_name(rtnl_addr_get_scope(address))});
    });
    return result;
}

std::vector<IpNetwork> Netlink::all_addresses() const {
    std::vector<IpNetwork> result;
    impl_->each_address([&](rtnl_addr* address) {
        auto network = network_of(rtnl_addr_get_local(address));
        if (!network) return;
        network->prefix = static_cast<unsigned>(rtnl_addr_get_prefixlen(address));
        result.push_back(*network);
    });
    return result;
}

namespace {

Owned<rtnl_addr> address_object(int link, const IpNetwork& address) {
    auto object = own(rtnl_addr_alloc());
    const auto local = binary(address.address, address.prefix);
    rtnl_addr_set_ifindex(object.get(), link);
    check(rtnl_addr_set_local(object.get(), local.get()), "address " + address.str());
    if (address.address.family == AF_INET && address.prefix < 31) {
        const auto broadcast = binary(address.last(), 32);
        check(rtnl_addr_set_broadcast(object.get(), broadcast.get()), "address " + address.str());
    }
    return object;
}

Owned<rtnl_route> route_object(int link, const IpNetwork& destination, RouteOwner owner) {
    auto route = own(rtnl_route_alloc());
    const auto target = binary(destination.first(), destination.prefix);
    rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(destination.address.family));
    check(rtnl_route_set_dst(route.get(), target.get()), "route " + destination.str());
    rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
    rtnl_route_set_protocol(route.get(), owner == RouteOwner::Network ? RTPROT_STATIC : RTPROT_BOOT);
    rtnl_route_set_scope(route.get(), destination.address.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
    rtnl_nexthop* hop = rtnl_route_nh_alloc();
    if (!hop) throw Error{ErrorCode::Internal, "netlink: out of memory"};
    rtnl_route_nh_set_ifindex(hop, link);
    rtnl_route_add_nexthop(route.get(), hop);
    return route;
}

} // namespace

void Netlink::add_address(int link, const IpNetwork& address) {
    const auto object = address_object(link, address);
    const int code = rtnl_addr_add(impl_->get(), object.get(), 0);
    if (!is(code, NLE_EXIST)) check(code, "add address " + address.str());
}

void Netlink::remove_address(int link, const IpNetwork& address) {
    const auto object = address_object(link, address);
    const int code = rtnl_addr_delete(impl_->get(), object.get(), 0);
    if (!is(code, NLE_NOADDR)) check(code, "remove address " + address.str());
}

std::vector<RouteInfo> Netlink::routes() const {
    nl_cache* raw = nullptr;
    check(rtnl_route_alloc_cache(impl_->get(), AF_UNSPEC, 0, &raw), "list routes");
    std::vector<RouteInfo> result;
    impl_->each<rtnl_route>(raw, [&](rtnl_route* route) {
        if (rtnl_route_get_type(route) != RTN_UNICAST) return;
        const auto destination = network_of(rtnl_route_get_dst(route));
        if (!destination) return;
        RouteInfo info{.destination = *destination, .table = rtnl_route_get_table(route)};
        info.is_static = rtnl_route_get_protocol(route) == RTPROT_STATIC;
        if (rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0)) info.link = rtnl_route_nh_get_ifindex(hop);
        result.push_back(info);
    });
    return result;
}

void Netlink::add_route(int link, const IpNetwork& destination, RouteOwner owner) {
    const auto route = route_object(link, destination, owner);
    const int code = rtnl_route_add(impl_->get(), route.get(), NLM_F_EXCL);
    if (!is(code, NLE_EXIST)) check(code, "add route " + destination.str());
}

void Netlink::remove_route(int link, const IpNetwork& destination, RouteOwner owner) {
    const auto route = route_object(link, destination, owner);
    const int code = rtnl_route_delete(impl_->get(), route.get(), 0);
    if (!is(code, NLE_OBJ_NOTFOUND)) check(code, "remove route " + destination.str());
}

} // namespace lxdcore
