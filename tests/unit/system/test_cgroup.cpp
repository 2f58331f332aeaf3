// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "support/temp_dir.hpp"
#include "system/cgroup.hpp"

using namespace lxdcore;
using test::TempDir;

namespace {

CgroupLayout v1(const std::string& base = "/x") {
    std::vector<CgroupLayout::Mount> mounts;
    for (const char* name : {"memory", "cpu", "cpuset", "pids", "freezer", "cpuacct"})
        mounts.push_back({base + "/" + name, {name}, false});
    return CgroupLayout{std::move(mounts)};
}

CgroupLayout v2(const std::string& base = "/x") {
    return CgroupLayout{{{base, {"memory", "cpu", "cpuset", "pids"}, true}}};
}

std::string value(const std::vector<CgroupItem>& items, const std::string& key) {
    for (auto it = items.rbegin(); it != items.rend(); ++it)
        if (it->key == key) return it->value;
    return "(none)";
}

} // namespace

TEST_CASE("v1, hybrid and v2 hosts are told apart by their mounts") {
    const auto hybrid =
        CgroupLayout::parse("30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
                            "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
                            "32 23 0:28 / /odd\\040path rw - cgroup memory rw,memory\n"
                            "33 23 0:29 / /proc rw - proc proc rw\n");
    REQUIRE(hybrid.mounts().size() == 3);
    CHECK(hybrid.find("cpuacct")->path == "/sys/fs/cgroup/cpu,cpuacct");
    CHECK(!hybrid.unified("cpu"));
    CHECK(hybrid.unified_mount()->path == "/sys/fs/cgroup/unified");
    CHECK(hybrid.find("memory")->path == "/odd path");
    CHECK(hybrid.find("pids") == nullptr);
    CHECK(CgroupLayout::parse("").mounts().empty());
    CHECK(!hybrid.hybrid()); // the unified hierarchy has no controllers
    CHECK(CgroupLayout{{{"/x/memory", {"memory"}, false}, {"/x", {"hugetlb"}, true}}}.hybrid());
    CHECK(!v1().hybrid());
    CHECK(!v2().hybrid());
}

TEST_CASE("limits become v1 settings") {
    const CgroupLimits limits{.memory = 64000000,
                              .memory_soft = 57600000,
                              .processes = 100,
                              .cpu_shares = 505,
                              .cpu_weight = 43,
                              .cpu_quota_us = 25000,
                              .cpus = "0"};
    const auto items = cgroup_items(v1(), limits);
    CHECK(value(items, "memory.limit_in_bytes") == "64000000");
    CHECK(value(items, "memory.memsw.limit_in_bytes") == "64000000");
    CHECK(value(items, "memory.soft_limit_in_bytes") == "57600000");
    CHECK(value(items, "pids.max") == "100");
    CHECK(value(items, "cpu.shares") == "505");
    CHECK(value(items, "cpu.weight") == "(none)");
    CHECK(value(items, "cpu.cfs_quota_us") == "25000");
    CHECK(value(items, "cpuset.cpus") == "0");
    for (const auto& item : items)
        CHECK(!item.unified);
}

TEST_CASE("limits become v2 settings") {
    const CgroupLimits limits{.memory = 64000000,
                              .memory_soft = 57600000,
                              .swap = false,
                              .processes = 100,
                              .cpu_shares = 512,
                              .cpu_weight = 50,
                              .cpu_quota_us = 25000};
    const auto items = cgroup_items(v2(), limits);
    CHECK(value(items, "memory.max") == "64000000");
    CHECK(value(items, "memory.high") == "57600000");
    CHECK(value(items, "memory.swap.max") == "0");
    CHECK(value(items, "cpu.max") == "25000 100000");
    CHECK(value(items, "cpu.weight") == "50");
    CHECK(value(items, "cpu.shares") == "(none)");
    CHECK(value(items, "memory.limit_in_bytes") == "(none)");
    for (const auto& item : items)
        CHECK(item.unified);
}

TEST_CASE("no limits give no settings at start and lift everything on a running instance") {
    CHECK(cgroup_items(v1(), {}).empty());
    CHECK(cgroup_items(v2(), {}).empty());
    CHECK(value(cgroup_items(v1(), {}, true), "memory.limit_in_bytes") == "-1");
    CHECK(value(cgroup_items(v1(), {}, true), "pids.max") == "max");
    CHECK(value(cgroup_items(v2(), {}, true), "memory.max") == "max");
    CHECK(value(cgroup_items(v2(), {}, true), "cpu.max") == "max 100000");
    CHECK(value(cgroup_items(v2(), {}, true), "cpu.weight") == "100");
}

TEST_CASE("a raised v1 memory limit is written outside in") {
    const auto items = cgroup_items(v1(), {.memory = 100}, true);
    std::vector<std::string> order;
    for (const auto& item : items)
        if (item.key.ends_with("limit_in_bytes") && item.key.find("soft") == std::string::npos)
            order.push_back(item.key + "=" + item.value);
    CHECK(order == std::vector<std::string>{"memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1",
                                            "memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=100"});
}

TEST_CASE("an instance without swap has a limit on memory alone") {
    const auto items = cgroup_items(v1(), {.memory = 100, .swap = false, .swappiness = 0});
    CHECK(value(items, "memory.limit_in_bytes") == "100");
    CHECK(value(items, "memory.memsw.limit_in_bytes") == "(none)");
    CHECK(value(items, "memory.swappiness") == "0");
}

TEST_CASE("weights, huge pages and network priorities have their own controllers") {
    TempDir base;
    test::write_file(base / "blkio/blkio.bfq.io_service_bytes", "");
    const CgroupLayout old{{{(base / "blkio").string(), {"blkio"}, false},
                            {"/x/hugetlb", {"hugetlb"}, false},
                            {"/x/net", {"net_cls", "net_prio"}, false}}};
    const CgroupLimits limits{
        .disk_weight = 300, .hugepages = {{"2MB", 4096}}, .network_priority = 5, .network_links = {"eth0"}};
    CHECK(value(cgroup_items(old, limits), "blkio.bfq.weight") == "300");
    CHECK(value(cgroup_items(old, {}, true), "blkio.bfq.weight") == "100");
    CHECK(value(cgroup_items(old, limits), "hugetlb.2MB.limit_in_bytes") == "4096");
    CHECK(value(cgroup_items(old, {}, true), "hugetlb.2MB.limit_in_bytes") == "-1");
    CHECK(value(cgroup_items(old, limits), "net_prio.ifpriomap") == "eth0 5");
    test::write_file(base / "blkio/blkio.weight", "");
    CHECK(value(cgroup_items(old, limits), "blkio.weight") == "300");

    test::write_file(base / "two/io.cost.qos", "");
    const CgroupLayout unified{{{(base / "two").string(), {"io", "hugetlb"}, true}}};
    CHECK(value(cgroup_items(unified, limits), "io.weight") == "300");
    CHECK(value(cgroup_items(unified, limits), "hugetlb.2MB.max") == "4096");
    CHECK(value(cgroup_items(unified, {}, true), "hugetlb.2MB.max") == "max");
}

TEST_CASE("rates of disks become v1 and v2 settings, and 0 lifts them") {
    const std::vector<BlockRate> rates{{.device = "8:0", .read_bps = 100, .write_iops = 7}, {.device = "8:16"}};
    const auto old = block_items(v1(), rates);
    REQUIRE(old.size() == 8);
    CHECK(old[0].key == "blkio.throttle.read_bps_device");
    CHECK(old[0].value == "8:0 100");
    CHECK(value(old, "blkio.throttle.write_iops_device") == "8:16 0");
    const auto unified = block_items(CgroupLayout{{{"/x", {"io"}, true}}}, rates);
    REQUIRE(unified.size() == 2);
    CHECK(unified[0].value == "8:0 rbps=100 wbps=max riops=max wiops=7");
    CHECK(unified[1].value == "8:16 rbps=max wbps=max riops=max wiops=max");
}

TEST_CASE("what the host cannot apply is refused with the key") {
    const auto refusal = [](const CgroupLayout& layout, const CgroupLimits& limits) -> std::string {
        try {
            require_limits(layout, limits, {"2MB"});
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    };
    const CgroupLayout none{{}};
    CHECK(refusal(none, {}).empty());
    CHECK(refusal(none, {.memory = 1}) == "Cannot apply limits.memory as memory cgroup controller is missing");
    CHECK(refusal(none, {.processes = 1}) == "Cannot apply limits.processes as pids cgroup controller is missing");
    CHECK(refusal(none, {.network_priority = 1}) ==
          "Cannot apply limits.network.priority as net_prio cgroup controller is missing");
    CHECK(refusal(none, {.network_priority = 0}).empty());
    CHECK(refusal(v1(), {.disk_weight = 1}) ==
          "Cannot apply limits.disk.priority as blkio.weight cgroup controller is missing");
    CHECK(refusal(v1(), {.memory = 1, .processes = 1}).empty());
    CHECK(refusal(v1(), {.swappiness = 65}).empty());
    CHECK(refusal(v2(), {.swappiness = 65}) == "Cannot apply limits.memory.swap.priority as cgroup2 has no swappiness");
    CHECK(refusal(v2(), {.swap = false, .swappiness = 0}).empty());
    CHECK(refusal(none, {.cpu_weight = 50}) == "Cannot apply limits.cpu.allowance as cpu cgroup controller is missing");
    const CgroupLayout huge{{{"/x", {"hugetlb"}, true}}};
    CHECK(refusal(huge, {.hugepages = {{"2MB", 1}}}).empty());
    CHECK(refusal(huge, {.hugepages = {{"1MB", 1}}}) ==
          "Cannot apply limits.hugepages.1MB: no such page size on this host");
    CHECK(refusal(none, {.hugepages = {{"2MB", 1}}}) ==
          "Cannot apply limits.hugepages.2MB as hugetlb cgroup controller is missing");
}

TEST_CASE("a unified controller is enabled for the groups below once") {
    TempDir base;
    test::write_file(base / "cgroup.subtree_control", "cpu memory\n");
    const CgroupLayout layout{{{base.path().string(), {"cpu", "hugetlb"}, true}}};
    layout.enable("cpu");
    CHECK(test::read_file(base / "cgroup.subtree_control") == "cpu memory\n");
    layout.enable("hugetlb");
    CHECK(test::read_file(base / "cgroup.subtree_control").starts_with("+hugetlb"));
    layout.enable("nothing");
}

TEST_CASE("usage is read from either layout") {
    TempDir base;
    const auto file = [&](const std::string& path, const std::string& text) { test::write_file(base / path, text); };
    file("memory/c/memory.usage_in_bytes", "1000\n");
    file("memory/c/memory.memsw.usage_in_bytes", "1500\n");
    file("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
    file("pids/c/pids.current", "3\n");
    file("cpuacct/c/cpuacct.usage", "77\n");
    file("two/c/memory.current", "2000\n");
    file("two/c/memory.max", "max\n");
    file("two/c/memory.swap.current", "5\n");
    file("two/c/cpu.stat", "usage_usec 12\nuser_usec 3\n");

    const auto old_layout = v1(base.path().string());
    const auto old = Cgroup{old_layout, "c"}.usage();
    CHECK(old.memory == 1000);
    CHECK(old.swap == 500);
    CHECK(old.memory_limit == 0);
    CHECK(old.processes == 3);
    CHECK(old.cpu_ns == 77);

    const auto new_layout = v2((base / "two").string());
    const Cgroup cgroup{new_layout, "c"};
    CHECK(cgroup.usage().memory == 2000);
    CHECK(cgroup.usage().swap == 5);
    CHECK(cgroup.usage().cpu_ns == 12000);
    CHECK(cgroup.directories().size() == 1);
    CHECK(!Cgroup{new_layout, "d"}.exists());
}

TEST_CASE("a group that goes while it is read is not there") {
    const auto host = CgroupLayout::detect();
    const auto* mount = host.unified_mount();
    if (mount == nullptr || ::geteuid() != 0) return; // needs a real one
    const CgroupLayout unified{{*mount}};
    const auto name = "lxdcore-test-" + std::to_string(::getpid());
    std::jthread comes_and_goes{[path = mount->path + "/" + name](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            ::mkdir(path.c_str(), 0755);
            ::rmdir(path.c_str());
        }
    }};
    const Cgroup group{unified, name};
    for (int i = 0; i < 20'000; ++i) {
        REQUIRE_NOTHROW(group.frozen());
        REQUIRE_NOTHROW(group.usage());
    }
}

TEST_CASE("settings land in the files of the instance, and unknown files are left out") {
    TempDir base;
    test::write_file(base / "memory/c/memory.limit_in_bytes", "");
    const auto layout = v1(base.path().string());
    Cgroup{layout, "c"}.apply({{false, "memory", "memory.limit_in_bytes", "5"},
                               {false, "memory", "memory.memsw.limit_in_bytes", "5"},
                               {false, "nothing", "nothing.x", "5"}});
    CHECK(test::read_file(base / "memory/c/memory.limit_in_bytes") == "5");
    CHECK_THROWS_AS((Cgroup{layout, "c"}.apply({{false, "pids", "pids.max", "5"}})), Error);
}
