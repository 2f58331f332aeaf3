// SPDX-License-Identifier: Apache-2.0
#include <net/if.h>

#include "instance/manager.hpp"
#include "system/netns_state.hpp"

namespace lxdcore::instance {

namespace {

std::string kind_of(unsigned flags) {
    if ((flags & IFF_LOOPBACK) != 0) return "loopback";
    if ((flags & IFF_POINTOPOINT) != 0) return "point-to-point";
    return (flags & IFF_BROADCAST) != 0 ? "broadcast" : "unknown";
}

api::InstanceStateNetwork network_of(const NetnsInterface& link) {
    api::InstanceStateNetwork out;
    for (const auto& address : link.addresses)
        out.addresses.push_back({.family = address.ipv6 ? "inet6" : "inet",
                                 .address = address.address,
                                 .netmask = std::to_string(address.prefix),
                                 .scope = address.scope});
    out.counters = {.bytes_received = link.rx_bytes,
                    .bytes_sent = link.tx_bytes,
                    .packets_received = link.rx_packets,
                    .packets_sent = link.tx_packets,
                    .errors_received = link.rx_errors,
                    .errors_sent = link.tx_errors,
                    .packets_dropped_outbound = link.tx_dropped,
                    .packets_dropped_inbound = link.rx_dropped};
    out.hwaddr = link.hwaddr;
    out.mtu = link.mtu;
    out.state = (link.flags & IFF_UP) != 0 ? "up" : "down";
    out.type = kind_of(link.flags);
    return out;
}

/// The interface on the host that belongs to the one with @p hwaddr inside.
std::string host_name_of(const Loaded& instance, const std::string& hwaddr) {
    if (hwaddr.empty()) return {};
    for (const auto& [name, device] : instance.devices) {
        const auto own = device.find("hwaddr");
        const auto& address = own != device.end() ? own->second : instance.value("volatile." + name + ".hwaddr");
        if (address == hwaddr) return instance.value("volatile." + name + ".host_name");
    }
    return {};
}

} // namespace

api::InstanceState Manager::state(const InstanceRef& ref) const { return state_of(load(ref)); }

api::InstanceState Manager::state_of(const Loaded& instance) const {
    const auto ref = instance.ref();
    api::InstanceState out;
    const auto running = runtime_.find(ref);
    out.status_code = !running ? api::Status::Stopped : running->frozen ? api::Status::Frozen : api::Status::Running;
    out.status = std::string{api::name(out.status_code)};
    try {
        if (const auto used = s_.storage.instance_usage(ref.project, ref.name); used >= 0)
            out.disk[root_disk(instance.devices).first].usage = used;
    } catch (const Error& error) { // a pool that is away does not hide the rest
        s_.log.debug("No disk usage", {{"instance", ref.name}, {"err", error.what()}});
    }
    if (!running) return out;

    const auto usage = Cgroup{cgroups_, running->cgroup}.usage();
    out.memory = {.usage = usage.memory,
                  .usage_peak = usage.memory_peak,
                  .total = usage.memory_limit > 0 ? usage.memory_limit : host_.memory,
                  .swap_usage = usage.swap,
                  .swap_usage_peak = usage.swap_peak};
    out.pid = running->init_pid;
    out.processes = usage.processes;
    out.cpu_usage = usage.cpu_ns;
    out.network.emplace();
    try {
        for (const auto& link : netns_interfaces(running->init_pid)) {
            auto network = network_of(link);
            network.host_name = host_name_of(instance, link.hwaddr);
            out.network->emplace(link.name, std::move(network));
        }
    } catch (const Error& error) { // it may end while we look
        s_.log.debug("No network state", {{"instance", ref.name}, {"err", error.what()}});
    }
    return out;
}

} // namespace lxdcore::instance
