// SPDX-License-Identifier: Apache-2.0
#include "device/nic.hpp"

#include <poll.h>

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "device/nic_limits.hpp"
#include "network/mac.hpp"
#include "system/netlink.hpp"
#include "system/sysctl.hpp"
#include "system/traffic.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::device {
namespace {

std::string get(const api::StringMap& map, const std::string& key) {
    const auto it = map.find(key);
    return it == map.end() ? "" : it->second;
}

/// What is accepted by name in LXD but would be ignored here: filters that do not filter must not be believed.
void refuse_unsupported(const api::Device& config) {
    for (const auto& [key, value] : config) {
        const bool off = value.empty() || text::is_false(value);
        const bool named = key.starts_with("security.") || key == "vlan" || key == "vlan.tagged" ||
                           key.starts_with("maas.") || key.ends_with(".routes.external");
        if (named && !off)
            throw Error{ErrorCode::Unsupported,
                        fmt::format("Device option \"{}\" is not supported by this server", key)};
    }
}

bool has_ended(int pidfd) {
    pollfd item{.fd = pidfd, .events = POLLIN, .revents = 0};
    return ::poll(&item, 1, 0) > 0;
}

std::vector<IpNetwork> routes_of(const api::Device& config) {
    std::vector<IpNetwork> result;
    for (const char* key : {"ipv4.routes", "ipv6.routes"})
        for (const std::string& item : text::split(get(config, key), ','))
            if (const auto route = IpNetwork::parse(text::trim(item)))
                result.push_back({route->first(), route->prefix});
    return result;
}

} // namespace

std::string Nic::value(const std::string& key) const { return get(config_, key); }

std::string Nic::mac(const Volatile& current) const {
    const std::string own = value("hwaddr");
    return text::lower(own.empty() ? get(current, "hwaddr") : own);
}

unsigned Nic::mtu(const Target&) const { return static_cast<unsigned>(text::parse_int(value("mtu")).value_or(0)); }

void Nic::validate_common(const Target& target) const {
    refuse_unsupported(config_);
    if (const std::string own = value("name"); !own.empty()) {
        for (const auto& [name, device] : target.expanded_devices) {
            if (name != name_ && get(device, "type") == "nic" && get(device, "name") == own)
                throw Error{
                    ErrorCode::InvalidArgument,
                    fmt::format("Invalid value for device option \"name\": Duplicate NIC name detected \"{}\"", own)};
        }
    }
    if (const std::string own = value("hwaddr"); !own.empty() && !network::is_mac(own))
        throw Error{ErrorCode::InvalidArgument,
                    "Invalid value for device option \"hwaddr\": Invalid MAC address, must be "
                    "6 bytes of hex separated by colons"};
}

/// Its own name, the one it had before, or the lowest eth<N> that no NIC of the instance has; unnamed NICs that stand
/// earlier choose first, so that the answer does not depend on who is asked first.
std::string Nic::interface_name(const Target& target, const Volatile& current) const {
    if (const std::string own = value("name"); !own.empty()) return own;
    if (const std::string kept = get(current, "name"); !kept.empty()) return kept;
    std::set<std::string> taken;
    std::vector<std::string> unnamed;
    for (const auto& [name, device] : target.expanded_devices) {
        if (get(device, "type") != "nic" || name == name_) continue;
        std::string used = get(device, "name");
        if (used.empty()) used = get(target.expanded_config, "volatile." + name + ".name");
        if (!used.empty())
            taken.insert(used);
        else if (name < name_)
            unnamed.push_back(name);
    }
    const auto next = [&] {
        for (int n = 0;; ++n)
            if (std::string candidate = fmt::format("eth{}", n); taken.insert(candidate).second) return candidate;
    };
    for (std::size_t i = 0; i < unnamed.size(); ++i)
        next();
    return next();
}

Volatile Nic::added(const Target& target, const Volatile& current) {
    Volatile result = current;
    if (value("name").empty()) result["name"] = interface_name(target, current);
    if (value("hwaddr").empty() && get(current, "hwaddr").empty()) result["hwaddr"] = network::random_mac();
    return result;
}

Volatile Nic::prepare(const Target& target, const Volatile& current) const {
    Volatile set;
    if (mac(current).empty()) set["hwaddr"] = network::random_mac();
    if (value("name").empty()) set["name"] = interface_name(target, current);
    std::string host_name = value("host_name");
    if (host_name.empty()) host_name = "veth" + text::random_hex(4);
    names::check_network(host_name);
    set["host_name"] = host_name;
    return set;
}

StartPlan Nic::start(const Target& target, const Volatile& current, Rollback&) {
    const std::string link = bridge(target);
    (void)nic_rate(config_); // a bad one must not be found when the instance runs
    StartPlan plan;
    plan.set = prepare(target, current);
    Volatile merged = current;
    for (const auto& [key, value] : plan.set)
        merged[key] = value;
    announce(target, merged);

    NicItems items{{"type", "veth"}};
    if (!link.empty()) items.emplace_back("link", link);
    items.emplace_back("veth.pair", merged["host_name"]);
    items.emplace_back("name", interface_name(target, merged));
    items.emplace_back("hwaddr", mac(merged));
    if (const unsigned size = mtu(target); size != 0) items.emplace_back("mtu", std::to_string(size));
    items.emplace_back("flags", "up");
    plan.nic = std::move(items);
    return plan;
}

void Nic::set_host_side(const Target& target, const std::string& host_name) const {
    const std::string setting = fmt::format("net/ipv6/conf/{}/disable_ipv6", host_name);
    const std::string link = bridge(target);
    if (!link.empty() && sysctl::exists(setting)) sysctl::write(setting, "1"); // a port needs no address of its own
    const auto routes = routes_of(config_);
    if (routes.empty()) return;
    Netlink netlink;
    const int index = netlink.link(link.empty() ? host_name : link).index;
    for (const IpNetwork& route : routes)
        netlink.add_route(index, route, RouteOwner::Device);
}

void Nic::apply_rate(const Target& target, const std::string& host_name, bool limited_before) const {
    const NicRate rate = nic_rate(config_);
    if (!rate.any() && !limited_before) return;
    traffic::shape(host_name, rate.ingress);
    target.network.limit_incoming(host_name, rate.egress);
}

bool Nic::can_update(const api::Device& before) const {
    const auto fixed_part = [this](api::Device device) {
        for (const auto& key : updatable())
            device.erase(key);
        return device;
    };
    return fixed_part(before) == fixed_part(config_);
}

std::vector<std::string> Nic::updatable() const { return {"limits.ingress", "limits.egress", "limits.max"}; }

void Nic::update(const Target& target, const api::Device& before, const Volatile& current) {
    const auto limits = [](const api::Device& device) {
        return std::tuple{get(device, "limits.ingress"), get(device, "limits.egress"), get(device, "limits.max")};
    };
    const std::string host_name = get(current, "host_name");
    if (host_name.empty() || limits(before) == limits(config_)) return;
    apply_rate(target, host_name, true);
}

Volatile Nic::started(const Target& target, const Volatile& current) {
    if (const std::string host_name = get(current, "host_name"); !host_name.empty()) {
        if (Netlink{}.find(host_name)) apply_rate(target, host_name, false);
        try {
            set_host_side(target, host_name);
        } catch (const Error& e) { // the instance may have ended already
            target.log.warning("Failed setting up host side of NIC",
                               {{"instance", target.instance}, {"device", name_}, {"err", e.what()}});
        }
    }
    return {};
}

Volatile Nic::stopped(const Target& target, const Volatile& current) {
    const std::string host_name = get(current, "host_name");
    if (host_name.empty()) return {};
    Netlink netlink;
    netlink.remove(host_name);
    if (!(value("limits.ingress") + value("limits.egress") + value("limits.max")).empty())
        target.network.limit_incoming(host_name, 0);
    if (const auto routes = routes_of(config_); !routes.empty()) {
        const auto link = netlink.find(value("parent").empty() ? value("network") : value("parent"));
        if (link)
            for (const IpNetwork& route : routes)
                netlink.remove_route(link->index, route, RouteOwner::Device);
    }
    return {{"host_name", ""}};
}

Volatile Nic::plug(const Target& target, const Volatile& current) {
    const std::string link = bridge(target);
    (void)nic_rate(config_);
    Volatile set = prepare(target, current);
    Volatile merged = current;
    for (const auto& [key, value] : set)
        merged[key] = value;
    announce(target, merged);
    const std::string host_name = merged["host_name"];
    Netlink netlink;
    Rollback undo;
    undo.add([&] { netlink.remove(host_name); });
    netlink.create_veth({.host_name = host_name,
                         .peer_name = interface_name(target, merged),
                         .peer_hwaddr = mac(merged),
                         .mtu = mtu(target),
                         .peer_pid = target.init_pid});
    // The handle tells whether the number still meant our init when the kernel looked it up.
    if (target.init_pidfd >= 0 && has_ended(target.init_pidfd))
        throw Error{ErrorCode::BadState, "The instance is not running"};
    LinkChange change{.up = true};
    if (!link.empty()) change.master = netlink.link(link).index;
    netlink.change(host_name, change);
    apply_rate(target, host_name, false);
    set_host_side(target, host_name);
    undo.commit();
    return set;
}

Volatile Nic::unplug(const Target& target, const Volatile& current) { return stopped(target, current); }

void NicP2p::validate(const Target& target, bool) { validate_common(target); }

} // namespace lxdcore::device
