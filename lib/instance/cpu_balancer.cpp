// SPDX-License-Identifier: Apache-2.0
#include "instance/cpu_balancer.hpp"

#include <algorithm>

#include <lxdcore/error.hpp>

#include "instance/limits.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

using Cpus = std::vector<std::int64_t>;

std::optional<std::int64_t> count_of(const std::string& limit) { return text::parse_int(limit); }

Cpus pinned(const std::string& limit, const Cpus& host) {
    Cpus out;
    for (const auto cpu : parse_cpu_list(limit))
        if (std::binary_search(host.begin(), host.end(), cpu)) out.push_back(cpu);
    return out.empty() ? host : out;
}

} // namespace

std::string cpu_list(const std::vector<std::int64_t>& cpus) {
    std::string out;
    for (const auto cpu : cpus)
        out += (out.empty() ? "" : ",") + std::to_string(cpu);
    return out;
}

std::map<InstanceRef, std::vector<std::int64_t>> deal_cpus(const std::map<InstanceRef, CpuShare>& shares,
                                                           const std::vector<std::int64_t>& host) {
    std::map<InstanceRef, Cpus> out;
    std::map<std::int64_t, std::int64_t> load;
    for (const auto cpu : host)
        load[cpu] = 0;
    for (const auto& [ref, share] : shares) {
        if (count_of(share.limit)) continue;
        out[ref] = pinned(share.limit, host);
        for (const auto cpu : out[ref])
            ++load[cpu];
    }
    for (const auto& [ref, share] : shares) {
        const auto count = count_of(share.limit);
        if (!count) continue;
        auto order = host;
        const auto has = [&, now = &share.cpus](std::int64_t cpu) {
            return std::find(now->begin(), now->end(), cpu) != now->end();
        };
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
            return std::pair{load[a], !has(a)} < std::pair{load[b], !has(b)};
        });
        if (*count > 0 && static_cast<std::size_t>(*count) < order.size())
            order.resize(static_cast<std::size_t>(*count));
        std::sort(order.begin(), order.end());
        for (const auto cpu : order)
            ++load[cpu];
        out[ref] = std::move(order);
    }
    return out;
}

void CpuBalancer::write(const CpuShare& share) const {
    try {
        Cgroup{layout_, share.cgroup}.apply(
            {{layout_.unified("cpuset"), "cpuset", "cpuset.cpus", cpu_list(share.cpus)}});
    } catch (const Error&) { // it has just ended, or its guest uses a processor in a group below: it stays as it is
    }
}

void CpuBalancer::deal(Shares& shares, const InstanceRef* skip) const {
    for (auto& [ref, cpus] : deal_cpus(shares, host_)) {
        auto& share = shares.at(ref);
        if (share.cpus == cpus) continue;
        share.cpus = std::move(cpus);
        if (skip == nullptr || *skip != ref) write(share);
    }
}

std::string CpuBalancer::claim(const InstanceRef& ref, const std::string& limit, const std::string& cgroup,
                               bool write_own) {
    auto shares = shares_.lock();
    if (limit.empty()) {
        if (shares->erase(ref) == 0) return {};
        deal(*shares, nullptr);
        if (write_own) write({.limit = {}, .cgroup = cgroup, .cpus = host_});
        return {};
    }
    auto& share = (*shares)[ref];
    share.limit = limit;
    share.cgroup = cgroup;
    deal(*shares, &ref);
    if (write_own) write(share);
    // All of them is what a group has anyway.
    return share.cpus == host_ ? std::string{} : cpu_list(share.cpus);
}

void CpuBalancer::release(const InstanceRef& ref) {
    auto shares = shares_.lock();
    if (shares->erase(ref) != 0) deal(*shares, nullptr);
}

} // namespace lxdcore::instance
