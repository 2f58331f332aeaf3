// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "system/cgroup.hpp"

namespace lxdcore {

namespace {

/// systemd's and the kernel's conversion of v1 shares (2…262144) to v2 weight (1…10000).
std::int64_t weight_of(std::int64_t shares) {
    return std::clamp<std::int64_t>(1 + ((shares - 2) * 9999) / 262142, 1, 10000);
}

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
    // With swap allowed or not, LXD caps the sum: swap must not widen a hard limit.
    if (limits.memory) items.add("memory", "memory.memsw.limit_in_bytes", std::to_string(*limits.memory));
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

} // namespace

std::vector<CgroupItem> cgroup_items(const CgroupLayout& layout, const CgroupLimits& limits, bool reset) {
    Items items{layout, reset};
    if (items.v2("memory"))
        memory_v2(items, limits);
    else
        memory_v1(items, limits, reset);

    if (items.v2("cpu")) {
        if (limits.cpu_shares)
            items.add("cpu", "cpu.weight", std::to_string(weight_of(*limits.cpu_shares)));
        else if (reset)
            items.add("cpu", "cpu.weight", std::string{"100"});
        if (limits.cpu_quota_us)
            items.add("cpu", "cpu.max", fmt::format("{} {}", *limits.cpu_quota_us, limits.cpu_period_us));
        else if (reset)
            items.add("cpu", "cpu.max", std::string{"max 100000"});
    } else {
        items.add("cpu", "cpu.shares", limits.cpu_shares, "1024");
        if (limits.cpu_quota_us) items.add("cpu", "cpu.cfs_period_us", std::to_string(limits.cpu_period_us));
        items.add("cpu", "cpu.cfs_quota_us", limits.cpu_quota_us, "-1");
    }
    if (!limits.cpus.empty()) items.add("cpuset", "cpuset.cpus", limits.cpus);
    items.add("pids", "pids.max", limits.processes, "max");
    return items.take();
}

} // namespace lxdcore
