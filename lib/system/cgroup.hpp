// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/dir.hpp"

namespace lxdcore {

/// Where each controller of this host lives: v1 hierarchies, the unified one, or both (hybrid). Found once from
/// /proc/self/mountinfo. A value; reentrant.
class CgroupLayout {
public:
    struct Mount {
        std::string path;                     ///< "/sys/fs/cgroup/memory"
        std::vector<std::string> controllers; ///< v1: its controllers; v2: those of cgroup.controllers
        bool unified = false;
    };
    static CgroupLayout detect();
    /// For tests: mounts as given.
    explicit CgroupLayout(std::vector<Mount> mounts) : mounts_{std::move(mounts)} {}
    /// The mounted hierarchies in @p mountinfo; v2 controllers are filled in by detect().
    static CgroupLayout parse(const std::string& mountinfo);

    const std::vector<Mount>& mounts() const noexcept { return mounts_; }
    const Mount* find(std::string_view controller) const noexcept;
    bool unified(std::string_view controller) const noexcept; ///< controller on v2
    const Mount* unified_mount() const noexcept;
    /// Controllers are on both kinds of hierarchy. liblxc then sets nothing on the unified one.
    bool hybrid() const noexcept;
    /// False for a setting that this kernel does not have (no swap accounting): liblxc would refuse to start with it.
    bool offers(const struct CgroupItem& item) const;
    /// The controller's file for weights of block I/O: the generic one, or bfq's. "" without either.
    std::string disk_weight_key() const;
    /// Lets groups below the root of the unified hierarchy have @p controller; v1 needs nothing. @throws Error
    void enable(std::string_view controller) const;

private:
    std::vector<Mount> mounts_;
};

/// Rates of one block device; 0: no limit.
struct BlockRate {
    std::string device; ///< "254:0"
    std::int64_t read_bps = 0, write_bps = 0, read_iops = 0, write_iops = 0;
    bool operator==(const BlockRate&) const = default;
};

/// What the limits of an instance are, in neutral terms; unset: no limit.
struct CgroupLimits {
    std::optional<std::int64_t> memory; ///< bytes, hard
    std::optional<std::int64_t> memory_soft;
    bool swap = true;                         ///< false: no swap for the instance
    std::optional<int> swappiness;            ///< v1 only
    std::optional<std::int64_t> processes;    ///< number of tasks
    std::optional<std::int64_t> cpu_shares;   ///< v1, of 1024
    std::optional<std::int64_t> cpu_weight;   ///< v2, of 100
    std::optional<std::int64_t> cpu_quota_us; ///< per period
    std::int64_t cpu_period_us = 100'000;
    std::string cpus;                              ///< "0-1,3"; "": all
    std::optional<std::int64_t> disk_weight;       ///< 10…1000
    std::map<std::string, std::int64_t> hugepages; ///< by page size as in LXD's keys ("2MB"), bytes
    std::optional<std::int64_t> network_priority;  ///< v1 only
    std::vector<std::string> network_links;        ///< host interfaces that the priority is for
};

/// One setting as liblxc and the kernel know it.
struct CgroupItem {
    bool unified = false;
    std::string controller; ///< "memory"
    std::string key;        ///< "memory.limit_in_bytes"
    std::string value;
};

/// The settings for @p limits on this layout, in the order in which they must be written. With @p reset every known
/// key is given, those without limit with the kernel's "no limit": what a running instance needs.
std::vector<CgroupItem> cgroup_items(const CgroupLayout& layout, const CgroupLimits& limits, bool reset = false);
/// The settings that make @p rates hold, with "no limit" where a rate is 0.
std::vector<CgroupItem> block_items(const CgroupLayout& layout, const std::vector<BlockRate>& rates);
/// @throws Error InvalidArgument where this host cannot apply one of @p limits, with the key of the configuration.
/// @p page_sizes: those of the host's huge pages, as in LXD's keys
void require_limits(const CgroupLayout& layout, const CgroupLimits& limits, const std::set<std::string>& page_sizes);

/// The cgroup of one instance in all hierarchies, by its path below their roots. Reentrant; holds no descriptor.
class Cgroup {
public:
    Cgroup(const CgroupLayout& layout, std::string path) : layout_{layout}, path_{std::move(path)} {}

    bool exists() const;
    /// Absolute directories, one per hierarchy where it exists.
    std::vector<std::string> directories() const;
    void apply(const std::vector<CgroupItem>& items) const; ///< @throws Error naming the key that failed
    std::optional<std::string> read(std::string_view controller, std::string_view key) const;

    void freeze(bool frozen) const; ///< @throws Error; waits up to ten seconds until all tasks are frozen
    bool frozen() const;
    /// SIGKILL to every task, frozen ones too (D-state ones die when they can).
    void kill_all() const noexcept;
    /// rmdir of the whole tree in all hierarchies; what still has tasks stays.
    void remove() const noexcept;

    struct Usage {
        std::int64_t memory = 0, memory_peak = 0, memory_limit = 0; ///< limit 0: none
        std::int64_t swap = 0, swap_peak = 0;
        std::int64_t processes = 0;
        std::int64_t cpu_ns = 0;
    };
    Usage usage() const;

private:
    std::optional<Dir> open(const CgroupLayout::Mount& mount) const;
    const CgroupLayout& layout_;
    std::string path_;
};

} // namespace lxdcore
