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
    for (const char* text : {"25ms/100ms", "25/100", "25/100ms"}) { // the unit may be left out
        const auto slice = of({{"limits.cpu.allowance", text}});
        CHECK(slice.cpu_quota_us == 25000);
        CHECK(slice.cpu_period_us == 100000);
        CHECK(!slice.cpu_shares);
        CHECK(!slice.cpu_weight);
    }
}

TEST_CASE("weights on cgroup2 are of a hundred") {
    const auto weight = [](const api::StringMap& config) { return of(config).cpu_weight.value_or(100); };
    CHECK(weight({}) == 100);
    CHECK(weight({{"limits.cpu.allowance", "50%"}}) == 50);
    CHECK(weight({{"limits.cpu.allowance", "100%"}}) == 100);
    CHECK(weight({{"limits.cpu.priority", "10"}}) == 100);
    CHECK(weight({{"limits.cpu.priority", "9"}}) == 99);
    CHECK(weight({{"limits.cpu.allowance", "1%"}, {"limits.cpu.priority", "0"}}) == 1);
    CHECK(weight({{"limits.cpu.allowance", "99999%"}}) == 10000);
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

TEST_CASE("instance types become limits, as in LXD") {
    const auto limits = [](const char* cpu, const char* allowance, const char* memory) {
        api::StringMap out;
        if (*cpu != '\0') out["limits.cpu"] = cpu;
        if (*allowance != '\0') out["limits.cpu.allowance"] = allowance;
        if (*memory != '\0') out["limits.memory"] = memory;
        return out;
    };
    for (const auto& [type, expected] : {std::pair{"c1-m2", limits("1", "", "2048MB")},
                                         {"m4-c2", limits("2", "", "4096MB")},
                                         {"c4", limits("4", "", "")},
                                         {"m0.5", limits("", "", "512MB")},
                                         {"m0.1", limits("", "", "102MB")},
                                         {"c0.5-m1.25", limits("1", "50%", "1280MB")},
                                         {"c1.5", limits("2", "75%", "")},
                                         {"c2.3", limits("3", "76%", "")},
                                         {"c0.29", limits("1", "29%", "")},
                                         {"c1.999", limits("2", "99%", "")},
                                         {"c0.001", limits("1", "0%", "")},
                                         {"c2-c3", limits("3", "", "")},
                                         {"c1e1", limits("10", "", "")},
                                         {"c+1", limits("1", "", "")},
                                         {"c0", limits("", "", "")},
                                         {"", limits("", "", "")},
                                         {"c2-m1024", limits("2", "", "1048576MB")},
                                         {"t2.micro", limits("1", "", "1024MB")},
                                         {"aws:t2.micro", limits("1", "", "1024MB")},
                                         {"c4.large", limits("2", "", "3840MB")},
                                         {"gce:n1-standard-1", limits("1", "", "3840MB")},
                                         {"gce:f1-micro", limits("1", "20%", "614MB")},
                                         {"azure:Standard_B2s", limits("2", "", "4096MB")}}) {
        CAPTURE(type);
        CHECK(instance_type_limits(type) == expected);
    }
}

TEST_CASE("unknown instance types are refused with LXD's words") {
    for (const char* type : {"zzz", "c", "c-1", "m-2", "c1-", "-", "-c1", "c1-m2-x", "y-mx", "x2-y3", "C2-M4",
                             "aws:", ":x", "aws:nosuch", "gce:t2.micro", "foo:bar", "#"}) {
        CAPTURE(type);
        CHECK_THROWS_WITH_AS(instance_type_limits(type),
                             (std::string{"Provided instance type doesn't exist: "} + type).c_str(), Error);
    }
    for (const char* type :
         {"cx", "cx-m1", "c1-mx", "mx-y", "c2m4", "c0x2", "c 1", "c1 -m1", "m1e-9", "cinf", "cnan"}) {
        CAPTURE(type);
        CHECK_THROWS_WITH_AS(instance_type_limits(type), (std::string{"Bad custom instance type: "} + type).c_str(),
                             Error);
    }
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
