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

const HostResources kHost{.memory = 10'000'000'000, .cpus = {0, 1, 2, 3}};

CgroupLimits of(const api::StringMap& config, const char* name = "c1") { return limits_of(config, kHost, name); }

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

TEST_CASE("processors are chosen by number or by list") {
    CHECK(of({{"limits.cpu", "8"}}).cpus.empty());
    CHECK(parse_cpu_list(of({{"limits.cpu", "2"}}).cpus).size() == 2);
    CHECK(of({{"limits.cpu", "1-2"}}).cpus == "1,2");
    CHECK(of({{"limits.cpu", "3,0,9"}}).cpus == "0,3");
    CHECK_THROWS_AS(of({{"limits.cpu", "7-9"}}), Error);
    CHECK(parse_cpu_list("0-2,5") == std::vector<std::int64_t>{0, 1, 2, 5});
}

TEST_CASE("nonsense is refused with the key's name") {
    for (const auto& config : std::vector<api::StringMap>{{{"limits.memory", "abc"}},
                                                          {{"limits.memory", "x%"}},
                                                          {{"limits.cpu", "0"}},
                                                          {{"limits.cpu", "a-b"}},
                                                          {{"limits.cpu", "3-1"}},
                                                          {{"limits.cpu", "0-99999999"}},
                                                          {{"limits.cpu.allowance", "25ms"}},
                                                          {{"limits.cpu.allowance", "a/b"}},
                                                          {{"limits.processes", "-1"}}})
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
