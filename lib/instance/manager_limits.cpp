// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "device/disk_limits.hpp"
#include "instance/manager.hpp"
#include "storage/custom_volumes.hpp"
#include "storage/pool_access.hpp"
#include "system/block_device.hpp"
#include "system/netlink.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

/// What the host cannot do is refused when it is asked for, not when the instance starts.
void Manager::check_limits(const Loaded& instance) const {
    require_limits(cgroups_, limits_of(instance.config, host_), host_.huge_pages);
    if (const auto cpus = instance.value("limits.cpu"); !cpus.empty()) {
        if (!text::parse_int(cpus)) parse_cpu_list(cpus);
        if (cgroups_.find("cpuset") == nullptr)
            throw Error{ErrorCode::InvalidArgument, "Cannot apply limits.cpu as cpuset cgroup controller is missing"};
    }
}

CgroupLimits Manager::limits(const Loaded& instance) const {
    auto out = limits_of(instance.config, host_);
    if (!out.hugepages.empty()) cgroups_.enable("hugetlb");
    if (out.network_priority && cgroups_.find("net_prio") != nullptr)
        for (const auto& link : Netlink{}.links())
            out.network_links.push_back(link.name);
    return out;
}

std::vector<BlockRate> Manager::disk_rates(const Loaded& instance) const {
    const auto find = [&](const std::string& pool, const std::string& source) {
        if (source.empty()) return block_device_of(s_.storage.instance_path(instance.row.project, instance.row.name));
        if (pool.empty()) return block_device_of(source);
        const auto volume = storage::PoolAccess::of(s_.storage).custom().open(pool, instance.row.project, source);
        return block_device_of(volume.dir.fd());
    };
    return device::block_rates(instance.devices, [&](const api::Device& disk) -> std::optional<std::string> {
        const auto value = [&](const char* key) {
            const auto it = disk.find(key);
            return it == disk.end() ? std::string{} : it->second;
        };
        const auto source = value("source");
        try {
            if (auto block = find(value("pool"), source)) return block;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::NotFound) throw;
            return std::nullopt; // whether it may be missing is for the disk itself to say
        }
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("Invalid block device {}", text::quote(source.empty() ? "/" : source))};
    });
}

void Manager::apply_limits(const Loaded& after, const Running& running) {
    Cgroup{cgroups_, running.cgroup}.apply(cgroup_items(cgroups_, limits(after), true));
    balancer_.claim(after.ref(), after.value("limits.cpu"), running.cgroup, true);
}

/// As far as its disks can still be found.
std::vector<BlockRate> Manager::old_disk_rates(const Loaded& instance) const {
    try {
        return disk_rates(instance);
    } catch (const Error& error) {
        s_.log.warning("Failed to find the disks", {{"instance", instance.row.name}, {"err", error.what()}});
        return {};
    }
}

void Manager::apply_disk_limits(const std::vector<BlockRate>& before, const std::vector<BlockRate>& after,
                                const Running& running) const {
    if (before == after) return;
    Cgroup{cgroups_, running.cgroup}.apply(block_items(cgroups_, device::changed_rates(before, after)));
}

} // namespace lxdcore::instance
