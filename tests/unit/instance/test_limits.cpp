// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "instance/architecture.hpp"
#include "instance/limits.hpp"
#include "instance/petname.hpp"
#include "util/names.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

const HostResources kHost{.memory = 10'000'000'000, .cpus = {0, 1, 2, 3}, .huge_pages = {"2MB"}};

CgroupLimits of(const api::StringMap& config) { return limits_of(config, kHost); }

} // namespace

TEST_CASE("memory is taken as bytes or as a share of the host, hard or soft") {
    CHECK(of({{"limits.memory", "64MB"}}).memory == 64000000);
    CHECK(of({{"limits.memory", "64MB"}}).memory_soft == 57600000);
    CHECK(of({{"limits.memory", "10%"}}).memory == 1'000'000'000);
    const auto soft = of({{"limits.memory", "64MB"}, {"limits.memory.enforce", "soft"}});
    CHECK(!soft.memory);
    CHECK(soft.memory_soft == 64000000);
    CHECK(of({{"limits.memory.swap", "false"}}).swappiness == 0);
    CHECK(!of({{"limits.memory.swap", "false"}}).swap);
    CHECK(of({{"limits.memory.swap.priority", "5"}}).swappiness == 65);
}

TEST_CASE("processor time follows LXD's arithmetic") {
    CHECK(of({{"limits.cpu.allowance", "50%"}, {"limits.cpu.priority", "3"}}).cpu_shares == 505);
    CHECK(!of({{"limits.cpu.allowance", "100%"}}).cpu_shares);
    const auto slice = of({{"limits.cpu.allowance", "25ms/100ms"}});
    CHECK(slice.cpu_quota_us == 25000);
    CHECK(slice.cpu_period_us == 100000);
    CHECK(!slice.cpu_shares);
}

TEST_CASE("weights and sizes of the other controllers follow LXD's arithmetic") {
    CHECK(of({{"limits.disk.priority", "0"}}).disk_weight == 10);
    CHECK(of({{"limits.disk.priority", "7"}}).disk_weight == 700);
    CHECK(of({{"limits.network.priority", "3"}}).network_priority == 3);
    CHECK(of({{"limits.hugepages.2MB", "4MiB"}, {"limits.hugepages.1GB", "1GiB"}}).hugepages ==
          std::map<std::string, std::int64_t>{{"2MB", 4 << 20}, {"1GB", 1 << 30}});
    CHECK(of({{"limits.processes", "0"}}).processes == 0);
    CHECK(!of({{"limits.processes", "-1"}}).processes);
}

TEST_CASE("processors are lists of numbers and ranges") {
    CHECK(parse_cpu_list("0-2,5") == std::vector<std::int64_t>{0, 1, 2, 5});
    CHECK(parse_cpu_list("3-1").empty());
    CHECK(parse_cpu_list("0-99999999").size() < 10'000);
    for (const char* text : {"a-b", "1-2-3", "-1"})
        CHECK_THROWS_AS(parse_cpu_list(text), Error);
}

TEST_CASE("kernel limits are numbers, pairs of them, or unlimited") {
    for (const char* good : {"3000", "100:200", "unlimited", "100:unlimited"})
        CHECK_NOTHROW(check_kernel_limits({{"limits.kernel.nofile", good}}));
    for (const char* bad : {"abc", "1:2:3", "1:", "-1", "99999999999999999999"})
        CHECK_THROWS_WITH_AS(
            check_kernel_limits({{"limits.kernel.nofile", bad}}),
            (std::string{"Initialize LXC: Failed to set LXC config: lxc.prlimit.nofile="} + bad).c_str(), Error);
}

TEST_CASE("nonsense is refused with the key's name") {
    for (const auto& config : std::vector<api::StringMap>{{{"limits.memory", "abc"}},
                                                          {{"limits.memory", "x%"}},
                                                          {{"limits.cpu.allowance", "25ms"}},
                                                          {{"limits.cpu.allowance", "a/b"}},
                                                          {{"limits.processes", "few"}}})
        CHECK_THROWS_AS(of(config), Error);
}

TEST_CASE("instance types become limits") {
    CHECK(instance_type_limits("c1-m2") == api::StringMap{{"limits.cpu", "1"}, {"limits.memory", "2048MB"}});
    CHECK(instance_type_limits("c4") == api::StringMap{{"limits.cpu", "4"}});
    CHECK(instance_type_limits("m0.5") == api::StringMap{{"limits.memory", "512MB"}});
    for (const char* type : {"zzz", "c", "c0", "cx-m1", "c1-", "c1-m2-x"})
        CHECK_THROWS_AS(instance_type_limits(type), Error);
}

TEST_CASE("architectures have LXD's numbers") {
    CHECK(architecture_id("x86_64") == 2);
    CHECK(architecture_id("amd64") == 2);
    CHECK(architecture_name(4) == "aarch64");
    CHECK_THROWS_WITH_AS(architecture_id("foo"), "Architecture isn't supported: foo", Error);
    CHECK(runs_here(host_architecture()));
    CHECK(!runs_here("s390x"));
}

TEST_CASE("random names are valid instance names") {
    for (int i = 0; i < 200; ++i)
        CHECK_NOTHROW(names::check_instance(random_name()));
}
