// SPDX-License-Identifier: Apache-2.0
#include "instance/host_warnings.hpp"

#include <sys/stat.h>

#include "util/dir.hpp"

namespace lxdcore::instance {

namespace {

/// The root of a v2 hierarchy does not tell, but any group with the memory controller does.
bool counts_swap(const CgroupLayout& layout) {
    const auto* mount = layout.find("memory");
    if (mount == nullptr) return false;
    const auto root = Dir::open(mount->path);
    if (!mount->unified) return root.exists("memory.memsw.limit_in_bytes");
    for (const auto& name : root.list())
        if (S_ISDIR(root.stat(name).st_mode) && root.exists(name + "/memory.max"))
            return root.exists(name + "/memory.swap.max");
    return true;
}

} // namespace

std::map<db::WarningType, std::string> host_problems(const CgroupLayout& layout, const std::string& apparmor) {
    using enum db::WarningType;
    const auto has = [&](const char* controller) { return layout.find(controller) != nullptr; };
    // On v2 these are not controllers but always there.
    const bool v2 = layout.unified_mount() != nullptr;
    std::map<db::WarningType, std::string> out{{AppArmorDisabled, apparmor}};
    const auto need = [&](db::WarningType type, bool there, const char* otherwise) {
        out[type] = there ? "" : otherwise;
    };
    need(NoCgroupBlkio, has("blkio") || has("io"), "I/O limits will be ignored");
    need(NoCgroupBlkioWeight, !layout.disk_weight_key().empty(), "disk priority will be ignored");
    need(NoCgroupCpu, has("cpu"), "CPU time limits will be ignored");
    need(NoCgroupCpuacct, has("cpuacct") || v2, "CPU accounting will not be available");
    need(NoCgroupCpuset, has("cpuset"), "CPU pinning will be ignored");
    need(NoCgroupDevices, has("devices") || v2, "device access control won't work");
    need(NoCgroupFreezer, has("freezer") || v2, "pausing/resuming containers won't work");
    need(NoCgroupHugetlb, has("hugetlb"), "hugepage limits will be ignored");
    need(NoCgroupMemory, has("memory"), "memory limits will be ignored");
    need(NoCgroupNetworkPriority, has("net_prio"), "network priority will be ignored");
    need(NoCgroupPids, has("pids"), "process limits will be ignored");
    need(NoSwapAccounting, counts_swap(layout), "swap limits will be ignored");
    return out;
}

void note_host_problems(db::Database& global, const std::map<db::WarningType, std::string>& problems) {
    const db::WarningRepository warnings;
    global.write([&](db::Transaction& tx) {
        for (const auto& [type, problem] : problems) {
            if (problem.empty())
                warnings.resolve_host(tx, type);
            else
                warnings.raise_host(tx, type, problem);
        }
    });
}

} // namespace lxdcore::instance
