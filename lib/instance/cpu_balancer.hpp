// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <lxdcore/service/instance_service.hpp>

#include "system/cgroup.hpp"
#include "util/locked.hpp"

namespace lxdcore::instance {

/// What one running instance asks for with limits.cpu, and what it has.
struct CpuShare {
    std::string limit; ///< "2" or "0-1,3"
    std::string cgroup;
    std::vector<std::int64_t> cpus;
};

/// The processors for @p shares: pinned ones as they say, as far as they exist; counted ones on those with the least
/// instances, staying where they are among equals. An instance that asks for none or for all of them gets all.
std::map<InstanceRef, std::vector<std::int64_t>> deal_cpus(const std::map<InstanceRef, CpuShare>& shares,
                                                           const std::vector<std::int64_t>& host);

/// Keeps instances with limits.cpu spread over the host's processors as they come and go. Thread-safe.
class CpuBalancer {
public:
    CpuBalancer(const CgroupLayout& layout, std::vector<std::int64_t> host) : layout_{layout}, host_{std::move(host)} {}

    /// The processors for an instance that starts or whose limit has changed ("" for no limit), in the kernel's
    /// notation; the others move where that spreads the load better. @p write: its own group is written too.
    std::string claim(const InstanceRef& ref, const std::string& limit, const std::string& cgroup, bool write);
    void release(const InstanceRef& ref); ///< it has ended; absent is fine

private:
    using Shares = std::map<InstanceRef, CpuShare>;
    void deal(Shares& shares, const InstanceRef* skip) const;
    void write(const CpuShare& share) const;

    const CgroupLayout& layout_;
    std::vector<std::int64_t> host_;
    Locked<Shares> shares_;
};

/// {0, 1, 3} as "0,1,3".
std::string cpu_list(const std::vector<std::int64_t>& cpus);

} // namespace lxdcore::instance
