// SPDX-License-Identifier: Apache-2.0
#include "instance/limits.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

std::string value_of(const api::StringMap& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

[[noreturn]] void invalid(const std::string& key, const std::string& value) {
    throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid value for {}: {}", key, text::quote(value))};
}

std::int64_t number(const std::string& key, std::string value, std::string_view suffix = "") {
    if (!value.ends_with(suffix)) invalid(key, value);
    const auto parsed = text::parse_int(std::string_view{value}.substr(0, value.size() - suffix.size()));
    if (!parsed || *parsed < 0) invalid(key, value);
    return *parsed;
}

void memory(const api::StringMap& config, const HostResources& host, CgroupLimits& out) {
    const auto value = value_of(config, "limits.memory");
    if (!value.empty()) {
        const auto bytes =
            value.ends_with('%') ? host.memory / 100 * number("limits.memory", value, "%") : text::parse_bytes(value);
        if (value_of(config, "limits.memory.enforce") == "soft") {
            out.memory_soft = bytes;
        } else {
            out.memory = bytes;
            out.memory_soft = bytes / 10 * 9;
        }
    }
    const auto swap = value_of(config, "limits.memory.swap");
    const auto priority = value_of(config, "limits.memory.swap.priority");
    if (text::is_false(swap)) {
        out.swap = false;
        out.swappiness = 0;
    } else if (!priority.empty()) {
        out.swappiness =
            static_cast<int>(70 - std::min<std::int64_t>(10, number("limits.memory.swap.priority", priority)));
    }
}

/// "25ms" or "25", as microseconds.
std::int64_t time_slice(const std::string& key, const std::string& value) {
    return 1000 * number(key, value, value.ends_with("ms") ? "ms" : "");
}

void cpu_time(const api::StringMap& config, CgroupLimits& out) {
    const std::string key = "limits.cpu.allowance";
    const auto allowance = value_of(config, key);
    const auto priority_text = value_of(config, "limits.cpu.priority");
    if (allowance.empty() && priority_text.empty()) return;
    const auto priority = priority_text.empty() ? 10 : number("limits.cpu.priority", priority_text);
    std::int64_t percent = 100;
    if (allowance.ends_with('%')) {
        percent = number(key, allowance, "%");
    } else if (!allowance.empty()) {
        const auto parts = text::split(allowance, '/');
        if (parts.size() != 2) invalid(key, allowance);
        out.cpu_quota_us = time_slice(key, text::trim(parts[0]));
        out.cpu_period_us = time_slice(key, text::trim(parts[1]));
    }
    const auto share = [&](std::int64_t all) {
        return all * percent / 100 - (10 - std::min<std::int64_t>(10, priority));
    };
    if (share(1024) != 1024) out.cpu_shares = std::max<std::int64_t>(2, share(1024));
    if (share(100) != 100) out.cpu_weight = std::clamp<std::int64_t>(share(100), 1, 10000);
}

void disk_and_network(const api::StringMap& config, CgroupLimits& out) {
    if (const auto text = value_of(config, "limits.disk.priority"); !text.empty()) {
        const auto priority = number("limits.disk.priority", text);
        out.disk_weight = priority == 0 ? 10 : priority * 100;
    }
    if (const auto text = value_of(config, "limits.network.priority"); !text.empty())
        out.network_priority = number("limits.network.priority", text);
}

void hugepages(const api::StringMap& config, CgroupLimits& out) {
    for (const char* key :
         {"limits.hugepages.64KB", "limits.hugepages.1MB", "limits.hugepages.2MB", "limits.hugepages.1GB"})
        if (const auto text = value_of(config, key); !text.empty())
            out.hugepages[std::string{key}.substr(std::string_view{"limits.hugepages."}.size())] =
                text::parse_bytes(text);
}

} // namespace

std::vector<std::int64_t> parse_cpu_list(const std::string& value) {
    constexpr std::int64_t kMax = 8192;
    std::vector<std::int64_t> out;
    for (const auto& part : text::split(text::trim(value), ',')) {
        const auto ends = text::split(part, '-');
        const auto first = ends.empty() ? std::nullopt : text::parse_int(ends.front());
        const auto last = ends.empty() ? std::nullopt : text::parse_int(ends.back());
        if (ends.size() > 2 || !first || !last || *first < 0) invalid("limits.cpu", value);
        for (auto cpu = *first; cpu <= std::min(*last, kMax); ++cpu)
            out.push_back(cpu);
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

HostResources HostResources::detect(const CgroupLayout& layout) {
    HostResources out;
    out.memory = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
    std::string cpus;
    if (const auto* mount = layout.find("cpuset"); mount != nullptr) {
        const auto dir = Dir::open(mount->path);
        cpus = dir.read_if_exists(mount->unified ? "cpuset.cpus.effective" : "cpuset.effective_cpus").value_or("");
        if (text::trim(cpus).empty()) cpus = dir.read_if_exists("cpuset.cpus").value_or("");
    }
    if (text::trim(cpus).empty()) cpus = Dir::open("/sys/devices/system/cpu").read("online");
    out.cpus = parse_cpu_list(text::trim(cpus));
    const auto pages = Dir::open("/sys/kernel/mm");
    for (const auto& [size, name] :
         {std::pair{"64KB", "64"}, std::pair{"1MB", "1024"}, std::pair{"2MB", "2048"}, std::pair{"1GB", "1048576"}})
        if (pages.exists(fmt::format("hugepages/hugepages-{}kB", name))) out.huge_pages.insert(size);
    return out;
}

CgroupLimits limits_of(const api::StringMap& config, const HostResources& host) {
    CgroupLimits out;
    memory(config, host, out);
    cpu_time(config, out);
    disk_and_network(config, out);
    hugepages(config, out);
    if (const auto text = value_of(config, "limits.processes"); !text.empty()) {
        const auto tasks = text::parse_int(text);
        if (!tasks) invalid("limits.processes", text);
        if (*tasks >= 0) out.processes = *tasks; // LXD: -1 is no limit
    }
    return out;
}

void check_kernel_limits(const api::StringMap& config) {
    constexpr std::string_view kPrefix = "limits.kernel.";
    if (const auto it = config.find("linux.sysctl."); it != config.end())
        throw Error{ErrorCode::InvalidArgument, "Initialize LXC: Failed to set LXC config: lxc.sysctl.=" + it->second};
    for (auto it = config.lower_bound(std::string{kPrefix}); it != config.end() && it->first.starts_with(kPrefix);
         ++it) {
        const auto parts = text::split(it->second, ':');
        const bool good = parts.size() <= 2 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
                              return part == "unlimited" || (!part.empty() && part.size() < 20 &&
                                                             part.find_first_not_of("0123456789") == std::string::npos);
                          });
        if (!good)
            throw Error{ErrorCode::InvalidArgument,
                        fmt::format("Initialize LXC: Failed to set LXC config: lxc.prlimit.{}={}",
                                    it->first.substr(kPrefix.size()), it->second)};
    }
}

} // namespace lxdcore::instance
