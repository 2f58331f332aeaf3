// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "system/cgroup.hpp"

namespace lxdcore {

namespace {

class Items {
public:
    Items(const CgroupLayout& layout, bool reset) : layout_{layout}, reset_{reset} {}
    bool v2(std::string_view controller) const { return layout_.unified(controller); }
    void add(const char* controller, const char* key, std::string value) {
        if (layout_.find(controller) == nullptr) return;
        items_.push_back({v2(controller), controller, key, std::move(value)});
    }
    void add(const char* controller, const char* key, const std::optional<std::int64_t>& value, const char* none) {
        if (value)
            add(controller, key, std::to_string(*value));
        else if (reset_)
            add(controller, key, std::string{none});
    }
    std::vector<CgroupItem> take() { return std::move(items_); }

private:
    const CgroupLayout& layout_;
    bool reset_;
    std::vector<CgroupItem> items_;
};

void memory_v1(Items& items, const CgroupLimits& limits, bool reset) {
    // The kernel keeps limit <= memsw limit at every moment: lift both first, then lower in the other order.
    if (reset) {
        items.add("memory", "memory.memsw.limit_in_bytes", std::string{"-1"});
        items.add("memory", "memory.limit_in_bytes", std::string{"-1"});
    }
    items.add("memory", "memory.soft_limit_in_bytes", limits.memory_soft, "-1");
    if (limits.memory) items.add("memory", "memory.limit_in_bytes", std::to_string(*limits.memory));
    // Swap must not widen a hard limit; where there is none for the instance, swappiness says so.
    if (limits.memory && limits.swap)
        items.add("memory", "memory.memsw.limit_in_bytes", std::to_string(*limits.memory));
    if (limits.swappiness)
        items.add("memory", "memory.swappiness", std::to_string(*limits.swappiness));
    else if (reset)
        items.add("memory", "memory.swappiness", std::string{"60"});
}

void memory_v2(Items& items, const CgroupLimits& limits) {
    items.add("memory", "memory.high", limits.memory_soft, "max");
    items.add("memory", "memory.max", limits.memory, "max");
    items.add("memory", "memory.swap.max", limits.swap ? std::optional<std::int64_t>{} : std::optional<std::int64_t>{0},
              "max");
}

void cpu_time(Items& items, const CgroupLimits& limits, bool reset) {
    if (!items.v2("cpu")) {
        items.add("cpu", "cpu.shares", limits.cpu_shares, "1024");
        if (limits.cpu_quota_us || reset) items.add("cpu", "cpu.cfs_period_us", std::to_string(limits.cpu_period_us));
        items.add("cpu", "cpu.cfs_quota_us", limits.cpu_quota_us, "-1");
        return;
    }
    items.add("cpu", "cpu.weight", limits.cpu_weight, "100");
    if (limits.cpu_quota_us)
        items.add("cpu", "cpu.max", fmt::format("{} {}", *limits.cpu_quota_us, limits.cpu_period_us));
    else if (reset)
        items.add("cpu", "cpu.max", std::string{"max 100000"});
}

constexpr const char* kPageSizes[] = {"64KB", "1MB", "2MB", "1GB"};

void hugepages(Items& items, const CgroupLimits& limits, bool reset) {
    for (const char* size : kPageSizes) {
        const bool v2 = items.v2("hugetlb");
        const auto key = fmt::format("hugetlb.{}.{}", size, v2 ? "max" : "limit_in_bytes");
        const auto it = limits.hugepages.find(size);
        if (it != limits.hugepages.end())
            items.add("hugetlb", key.c_str(), std::to_string(it->second));
        else if (reset)
            items.add("hugetlb", key.c_str(), std::string{v2 ? "max" : "-1"});
    }
}

[[noreturn]] void refuse(std::string text) { throw Error{ErrorCode::InvalidArgument, std::move(text)}; }

} // namespace

void require_limits(const CgroupLayout& layout, const CgroupLimits& limits, const std::set<std::string>& page_sizes) {
    const auto need = [&](bool wanted, const char* key, const char* controller) {
        if (wanted && layout.find(controller) == nullptr)
            refuse(fmt::format("Cannot apply {} as {} cgroup controller is missing", key, controller));
    };
    need(limits.memory || limits.memory_soft, "limits.memory", "memory");
    need(limits.swappiness || !limits.swap, "limits.memory.swap", "memory");
    need(limits.processes.has_value(), "limits.processes", "pids");
    if (limits.swap && limits.swappiness && layout.unified("memory"))
        refuse("Cannot apply limits.memory.swap.priority as cgroup2 has no swappiness");
    need(limits.cpu_shares || limits.cpu_weight || limits.cpu_quota_us, "limits.cpu.allowance", "cpu");
    need(!limits.cpus.empty(), "limits.cpu", "cpuset");
    need(limits.network_priority.value_or(0) > 0, "limits.network.priority", "net_prio");
    if (limits.disk_weight && layout.disk_weight_key().empty())
        refuse("Cannot apply limits.disk.priority as blkio.weight cgroup controller is missing");
    for (const auto& [size, bytes] : limits.hugepages) {
        const auto key = "limits.hugepages." + size;
        need(true, key.c_str(), "hugetlb");
        if (!page_sizes.contains(size)) refuse(fmt::format("Cannot apply {}: no such page size on this host", key));
    }
}

std::vector<CgroupItem> block_items(const CgroupLayout& layout, const std::vector<BlockRate>& rates) {
    std::vector<CgroupItem> out;
    const bool v2 = layout.unified("io");
    for (const auto& rate : rates) {
        const auto bound = [](std::int64_t value) { return value > 0 ? std::to_string(value) : std::string{"max"}; };
        if (v2) {
            out.push_back({true, "io", "io.max",
                           fmt::format("{} rbps={} wbps={} riops={} wiops={}", rate.device, bound(rate.read_bps),
                                       bound(rate.write_bps), bound(rate.read_iops), bound(rate.write_iops))});
            continue;
        }
        for (const auto& [key, value] :
             {std::pair{"read_bps", rate.read_bps}, std::pair{"write_bps", rate.write_bps},
              std::pair{"read_iops", rate.read_iops}, std::pair{"write_iops", rate.write_iops}})
            out.push_back({false, "blkio", fmt::format("blkio.throttle.{}_device", key),
                           fmt::format("{} {}", rate.device, value)});
    }
    return out;
}

std::vector<CgroupItem> cgroup_items(const CgroupLayout& layout, const CgroupLimits& limits, bool reset) {
    Items items{layout, reset};
    if (items.v2("memory"))
        memory_v2(items, limits);
    else
        memory_v1(items, limits, reset);

    cpu_time(items, limits, reset);
    if (!limits.cpus.empty()) items.add("cpuset", "cpuset.cpus", limits.cpus);
    items.add("pids", "pids.max", limits.processes, "max");
    if (limits.disk_weight || reset) {
        const bool v2 = layout.unified("io");
        const auto key = layout.disk_weight_key();
        const auto weight = limits.disk_weight.value_or(key == "blkio.weight" ? 500 : 100);
        if (!key.empty()) items.add(v2 ? "io" : "blkio", key.c_str(), std::to_string(weight));
    }
    hugepages(items, limits, reset);
    for (const auto& link : limits.network_links)
        items.add("net_prio", "net_prio.ifpriomap", fmt::format("{} {}", link, limits.network_priority.value_or(0)));
    return items.take();
}

} // namespace lxdcore
