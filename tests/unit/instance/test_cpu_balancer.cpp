// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "instance/cpu_balancer.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

using Cpus = std::vector<std::int64_t>;
const Cpus kHost{0, 1, 2, 3};

InstanceRef ref(const std::string& name) { return {"default", name}; }

std::map<InstanceRef, Cpus> deal(const std::map<std::string, std::string>& limits, const Cpus& host = kHost) {
    std::map<InstanceRef, CpuShare> shares;
    for (const auto& [name, limit] : limits)
        shares[ref(name)] = {.limit = limit, .cgroup = {}, .cpus = {}};
    return deal_cpus(shares, host);
}

/// A v1 cpuset hierarchy with groups @p names.
struct Host {
    explicit Host(const std::vector<std::string>& names) {
        for (const auto& name : names)
            test::write_file(base / ("cpuset/" + name + "/cpuset.cpus"), "");
    }
    std::string cpus(const std::string& name) const {
        return test::read_file(base / ("cpuset/" + name + "/cpuset.cpus"));
    }
    test::TempDir base;
    CgroupLayout layout{{{(base / "cpuset").string(), {"cpuset"}, false}}};
};

} // namespace

TEST_CASE("counted processors go where the least instances are") {
    const auto dealt = deal({{"a", "2"}, {"b", "1"}, {"c", "1"}, {"d", "2"}});
    CHECK(dealt.at(ref("a")) == Cpus{0, 1});
    CHECK(dealt.at(ref("b")) == Cpus{2});
    CHECK(dealt.at(ref("c")) == Cpus{3});
    CHECK(dealt.at(ref("d")) == Cpus{0, 1});
}

TEST_CASE("pinned processors stay and counted ones avoid them") {
    const auto dealt = deal({{"count", "2"}, {"pin", "0,2-2"}});
    CHECK(dealt.at(ref("pin")) == Cpus{0, 2});
    CHECK(dealt.at(ref("count")) == Cpus{1, 3});
}

TEST_CASE("more than there are, none, and only absent ones all mean every processor") {
    for (const char* limit : {"9", "0", "4", "7-9", "0-9"})
        CHECK(deal({{"a", limit}}).at(ref("a")) == kHost);
    CHECK(deal({{"a", "3,9-9"}}).at(ref("a")) == Cpus{3});
    CHECK(deal({{"a", "1-1"}}, {1, 5}).at(ref("a")) == Cpus{1});
}

TEST_CASE("among equals an instance stays where it is") {
    std::map<InstanceRef, CpuShare> shares{{ref("a"), {.limit = "1", .cgroup = {}, .cpus = {2}}}};
    CHECK(deal_cpus(shares, kHost).at(ref("a")) == Cpus{2});
}

TEST_CASE("instances move as others come, change and go") {
    Host host{{"a", "b", "p"}};
    CpuBalancer balancer{host.layout, {0, 1}};
    CHECK(balancer.claim(ref("a"), "1", "a", false) == "0");
    CHECK(balancer.claim(ref("b"), "1", "b", true) == "1");
    CHECK(host.cpus("b") == "1");
    CHECK(host.cpus("a").empty()); // nothing to change there
    balancer.release(ref("b"));
    CHECK(balancer.claim(ref("p"), "0-0", "p", true) == "0");
    CHECK(host.cpus("a") == "1");
    CHECK(balancer.claim(ref("p"), "", "p", true).empty());
    CHECK(host.cpus("p") == "0,1");
    CHECK(balancer.claim(ref("a"), "2", "a", true).empty());
    CHECK(host.cpus("a") == "0,1");
    balancer.release(ref("nobody"));
}
