// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <set>

#include "instance/limits.hpp"
#include "instance/world.hpp"
#include "system/block_device.hpp"
#include "system/cgroup.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

std::string proc(int pid, const std::string& file) {
    return read_file(std::filesystem::path{"/proc"} / std::to_string(pid) / file);
}

/// What the kernel holds for the container of a process, whichever name its groups have.
class Kernel {
public:
    explicit Kernel(int pid) {
        for (const auto& line : text::split(proc(pid, "cgroup"), '\n')) {
            const auto at = line.find(":/");
            if (at != std::string::npos) path_ = line.substr(at + 2);
        }
        REQUIRE(path_.starts_with("lxc.payload."));
        // A guest may have gone into a group below its own.
        path_ = path_.substr(0, path_.find('/'));
    }
    std::string value(const std::string& controller, const std::string& v1, const std::string& v2) const {
        const auto key = layout_.unified(controller) ? v2 : v1;
        return text::trim(Cgroup{layout_, path_}.read(controller, key).value_or("(none)"));
    }
    bool unified(const std::string& controller) const { return layout_.unified(controller); }
    bool has(const std::string& controller) const { return layout_.find(controller) != nullptr; }
    const CgroupLayout& layout() const { return layout_; }

private:
    CgroupLayout layout_ = CgroupLayout::detect();
    std::string path_;
};

std::string limit_line(int pid, const std::string& name) {
    for (const auto& line : text::split(proc(pid, "limits"), '\n'))
        if (line.starts_with(name)) return line.substr(name.size());
    return {};
}

std::string host_cpus() { return text::trim(read_file("/sys/devices/system/cpu/online")); }

std::string allowed_cpus(int pid) {
    for (const auto& line : text::split(proc(pid, "status"), '\n'))
        if (line.starts_with("Cpus_allowed_list:")) return text::trim(line.substr(18));
    return {};
}

} // namespace

TEST_CASE("memory, tasks and processor time hold at start, change while running and go with their keys") {
    World world;
    world.create("it-limits",
                 {{"limits.memory", "64MiB"}, {"limits.processes", "50"}, {"limits.cpu.allowance", "50%"}});
    if (CgroupLayout::detect().unified("memory"))
        CHECK_THROWS_WITH_AS(world.set("it-limits", {{"limits.memory.swap.priority", "5"}}),
                             doctest::Contains("Cannot apply limits.memory.swap.priority as cgroup2"), Error);
    else
        world.set("it-limits", {{"limits.memory.swap.priority", "5"}});
    world.start("it-limits");
    const Kernel kernel{world.pid("it-limits")};
    const auto memory = [&] { return kernel.value("memory", "memory.limit_in_bytes", "memory.max"); };
    CHECK(memory() == "67108864");
    if (!kernel.unified("memory")) {
        CHECK(kernel.value("memory", "memory.soft_limit_in_bytes", "") == "60395520"); // 90 %, whole pages
        CHECK(kernel.value("memory", "memory.swappiness", "") == "65");
        CHECK(kernel.value("memory", "memory.memsw.limit_in_bytes", "") == "67108864");
    }
    CHECK(kernel.value("pids", "pids.max", "pids.max") == "50");
    CHECK(kernel.value("cpu", "cpu.shares", "cpu.weight") == (kernel.unified("cpu") ? "50" : "512"));
    // The guest feels it: the fifty-first task does not come.
    CHECK(world.run("it-limits", "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; wait") != 0);

    world.set("it-limits",
              {{"limits.memory", "128MiB"}, {"limits.memory.swap", "false"}, {"limits.cpu.allowance", "25ms/100ms"}});
    CHECK(memory() == "134217728");
    if (!kernel.unified("memory")) CHECK(kernel.value("memory", "memory.swappiness", "") == "0");
    CHECK(kernel.value("cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("25000"));
    world.set("it-limits", {{"limits.memory.enforce", "soft"}});
    if (!kernel.unified("memory")) CHECK(kernel.value("memory", "memory.soft_limit_in_bytes", "") == "134217728");
    CHECK((memory() == "max" || memory().size() > 15));

    world.set("it-limits", {{"limits.memory", ""},
                            {"limits.processes", ""},
                            {"limits.cpu.allowance", ""},
                            {"limits.memory.swap", ""},
                            {"limits.memory.swap.priority", ""}});
    CHECK((memory() == "max" || memory().size() > 15));
    CHECK(kernel.value("pids", "pids.max", "pids.max") == "max");
    CHECK(kernel.value("cpu", "cpu.shares", "cpu.weight") == (kernel.unified("cpu") ? "100" : "1024"));
}

TEST_CASE("memory in percent is that part of the host's") {
    World world;
    world.create("it-percent", {{"limits.memory", "10%"}});
    world.start("it-percent");
    const Kernel kernel{world.pid("it-percent")};
    const auto limit = [&] { return kernel.value("memory", "memory.limit_in_bytes", "memory.max"); };
    const auto page = ::sysconf(_SC_PAGE_SIZE), host = ::sysconf(_SC_PHYS_PAGES) * page;
    const auto part = [&](long percent) { return std::to_string(host / 100 * percent / page * page); };
    CHECK(limit() == part(10));
    world.set("it-percent", {{"limits.memory", "25%"}});
    CHECK(limit() == part(25));
}

TEST_CASE("a container that takes more memory than it may is killed inside, not the host") {
    World world;
    world.create("it-oom", {{"limits.memory", "32MiB"}});
    world.start("it-oom");
    CHECK(world.run("it-oom", "tail -c 200M /dev/zero > /dev/null") != 0);
    CHECK(world.run("it-oom", "true") == 0);
}

TEST_CASE("processors are spread as instances come and go") {
    if (host_cpus() == "0") return;
    World world;
    for (const char* name : {"it-cpu-a", "it-cpu-b"}) {
        world.create(name, {{"limits.cpu", "1"}});
        world.start(name);
    }
    const auto cpus = [&](const char* name) { return allowed_cpus(world.pid(name)); };
    CHECK(cpus("it-cpu-a") != cpus("it-cpu-b"));
    CHECK(cpus("it-cpu-a").find_first_of("-,") == std::string::npos);
    const auto freed = cpus("it-cpu-a");
    world.set("it-cpu-a", {{"limits.cpu", freed + "-" + freed}}); // pinned
    CHECK(cpus("it-cpu-a") == freed);
    CHECK(cpus("it-cpu-b") != freed);
    world.set("it-cpu-a", {{"limits.cpu", cpus("it-cpu-b") + "-" + cpus("it-cpu-b")}});
    CHECK(cpus("it-cpu-b") != cpus("it-cpu-a")); // the counted one gives way
    world.set("it-cpu-b", {{"limits.cpu", ""}});
    CHECK(cpus("it-cpu-b") == host_cpus());
    CHECK(world.run("it-cpu-a", "test $(nproc) = 1") == 0);

    world.close();
    world.open();
    CHECK(cpus("it-cpu-a").find_first_of("-,") == std::string::npos);
}

TEST_CASE("processors are spread again when an instance stops") {
    const auto count = instance::parse_cpu_list(host_cpus()).size();
    if (count == 1 || count > 8) return; // as many instances and one more
    World world;
    std::vector<std::string> names;
    for (std::size_t i = 0; i <= count; ++i) {
        names.push_back("it-spread-" + std::to_string(i));
        world.create(names.back(), {{"limits.cpu", "1"}});
        world.start(names.back());
    }
    const auto cpus = [&](const std::string& name) { return allowed_cpus(world.pid(name)); };
    const auto shared = [&](const std::string& name) {
        return std::count_if(names.begin(), names.end(), [&](const auto& other) { return cpus(other) == cpus(name); });
    };
    const auto alone = std::find_if(names.begin(), names.end(), [&](const auto& name) { return shared(name) == 1; });
    REQUIRE(alone != names.end());
    world.stop(*alone);
    names.erase(alone);
    CHECK(soon(
        [&] { return std::all_of(names.begin(), names.end(), [&](const auto& name) { return shared(name) == 1; }); }));
}

TEST_CASE("kernel limits and sysctls are those of the guest's init") {
    World world;
    world.create("it-kernel", {{"limits.kernel.nofile", "3000:4000"},
                               {"limits.kernel.core", "0"},
                               {"linux.sysctl.net.ipv4.ip_forward", "1"}});
    world.start("it-kernel");
    const auto pid = world.pid("it-kernel");
    CHECK(limit_line(pid, "Max open files").find("3000                 4000") != std::string::npos);
    CHECK(limit_line(pid, "Max core file size").find("0                    0") != std::string::npos);
    CHECK(world.run("it-kernel", "test $(cat /proc/sys/net/ipv4/ip_forward) = 1") == 0);
    CHECK_THROWS_WITH_AS(world.set("it-kernel", {{"limits.kernel.nofile", "many"}}),
                         "Initialize LXC: Failed to set LXC config: lxc.prlimit.nofile=many", Error);
}

TEST_CASE("a command has the kernel limits that its container was started with") {
    World world;
    world.create("it-ulimit", {{"limits.kernel.nofile", "3000:4000"},
                               {"limits.kernel.core", "0"},
                               {"limits.kernel.memlock", "128000:256000"},
                               {"limits.kernel.stack", "4096000"},
                               {"limits.kernel.nproc", "700:900"}});
    world.start("it-ulimit");
    constexpr const char* kHeld = "test $(ulimit -Sn) = 3000 && test $(ulimit -Hn) = 4000 && test $(ulimit -c) = 0 && "
                                  "test $(ulimit -Sl) = 125 && test $(ulimit -Hl) = 250 && "
                                  "test $(ulimit -s) = 4000 && test $(ulimit -Su) = 700 && test $(ulimit -Hu) = 900";
    CHECK(world.run("it-ulimit", kHeld) == 0);
    CHECK(world.run("it-ulimit", "ulimit -Hn 5000") != 0);
    world.set("it-ulimit", {{"limits.kernel.nofile", "50"}, {"limits.kernel.core", ""}});
    CHECK(world.run("it-ulimit", kHeld) == 0);
    world.close();
    world.open();
    CHECK(world.run("it-ulimit", kHeld) == 0);
    world.stop("it-ulimit");
    world.start("it-ulimit");
    CHECK(world.run("it-ulimit", "test $(ulimit -Sn) = 50 && test $(ulimit -Hn) = 50") == 0);
}

TEST_CASE("a container and its commands can open as many files as they are given, not as many as the daemon") {
    World world;
    world.close();
    world.open([](CoreOptions& options) { options.guest_file_limit = 777; });
    world.create("it-nofile");
    world.start("it-nofile");
    CHECK(text::trim(limit_line(world.pid("it-nofile"), "Max open files")).starts_with("777 "));
    CHECK(world.run("it-nofile", "test $(ulimit -Sn) = 777") == 0);
}

TEST_CASE("rates of disks reach the block layer and leave it again") {
    World world;
    const auto block = block_device_of(world.path().string());
    if (!block) return; // no disk below the test's directory
    world.create("it-disk");
    api::Devices devices{
        {"root",
         {{"type", "disk"}, {"path", "/"}, {"pool", "default"}, {"limits.read", "10MB"}, {"limits.write", "100iops"}}}};
    const auto change = [&] {
        api::InstancePatch patch;
        patch.devices = devices;
        world.instances().patch(World::ref("it-disk"), patch, "");
    };
    change();
    world.start("it-disk");
    const Kernel kernel{world.pid("it-disk")};
    const auto rate = [&](const char* name) {
        return kernel.value("blkio", std::string{"blkio.throttle."} + name + "_device", "");
    };
    if (!kernel.has("blkio")) return; // io.max: see the unit tests
    CHECK(rate("read_bps") == *block + " 10000000");
    CHECK(rate("write_iops") == *block + " 100");
    CHECK(rate("write_bps").empty());
    devices["root"].erase("limits.write");
    devices["root"]["limits.read"] = "";
    devices["root"]["limits.max"] = "20MB";
    change();
    CHECK(rate("read_bps") == *block + " 20000000");
    CHECK(rate("write_bps") == *block + " 20000000");
    CHECK(rate("write_iops").empty());
    devices["root"].erase("limits.max");
    change();
    CHECK(rate("read_bps").empty());
    CHECK(rate("write_bps").empty());
}

TEST_CASE("rates of a custom volume are those of the disk that its pool is on") {
    World world;
    const auto block = block_device_of(world.path().string());
    if (!block) return; // no disk below the test's directory
    api::StorageVolumesPost volume;
    volume.name = "data";
    world.core().volumes().create("default", "default", volume);
    world.create("it-rates");
    world.start("it-rates");
    api::InstancePatch patch;
    patch.devices = api::Devices{
        {"data",
         {{"type", "disk"}, {"pool", "default"}, {"source", "data"}, {"path", "/data"}, {"limits.max", "10MB"}}},
        {"away",
         {{"type", "disk"}, {"source", "/nosuch"}, {"path", "/away"}, {"required", "false"}, {"limits.read", "1MB"}}}};
    world.instances().patch(World::ref("it-rates"), patch, "");
    CHECK(world.run("it-rates", "grep -q ' /data ' /proc/mounts") == 0);
    const auto check_rate = [&] {
        const Kernel kernel{world.pid("it-rates")};
        if (!kernel.has("blkio")) return; // io.max: see the unit tests
        CHECK(kernel.value("blkio", "blkio.throttle.read_bps_device", "") == *block + " 10000000");
        CHECK(kernel.value("blkio", "blkio.throttle.write_bps_device", "") == *block + " 10000000");
    };
    check_rate();
    world.stop("it-rates");
    world.start("it-rates");
    check_rate();
    CHECK(world.run("it-rates", "grep -q ' /data ' /proc/mounts") == 0);
}

TEST_CASE("rates of NICs are set on the host's end, change while running and go with the instance") {
    World world;
    api::Devices devices{{"eth0",
                          {{"type", "nic"},
                           {"nictype", "p2p"},
                           {"name", "eth0"},
                           {"limits.ingress", "8Mbit"},
                           {"limits.egress", "4Mbit"}}}};
    const auto change = [&] {
        api::InstancePatch patch;
        patch.devices = devices;
        world.instances().patch(World::ref("it-nic"), patch, "");
    };
    world.create("it-nic");
    change();
    world.start("it-nic");
    const auto link = world.config("it-nic", "volatile.eth0.host_name");
    const auto rate = [&] { return run_checked({"/usr/sbin/tc", "class", "show", "dev", link}); };
    const auto rules = [&] { return run_checked({"/usr/sbin/nft", "list", "ruleset"}); };
    CHECK(rate().find("rate 8Mbit") != std::string::npos);
    CHECK(rules().find("table netdev lxdcore." + link) != std::string::npos);
    CHECK(rules().find("limit rate over 500000 bytes/second") != std::string::npos);

    devices["eth0"].erase("limits.egress");
    devices["eth0"]["limits.ingress"] = "2Mbit";
    change();
    CHECK(rate().find("rate 2Mbit") != std::string::npos);
    CHECK(rules().find("lxdcore." + link) == std::string::npos);
    devices["eth0"]["limits.max"] = "1Mbit";
    change();
    CHECK(rate().find("rate 1Mbit") != std::string::npos);
    CHECK(rules().find("limit rate over 125000 bytes/second") != std::string::npos);
    devices["eth0"].erase("limits.max");
    devices["eth0"].erase("limits.ingress");
    change();
    CHECK(rate().empty());
    CHECK(rules().find("lxdcore." + link) == std::string::npos);

    devices["eth0"]["limits.ingress"] = "10MB";
    CHECK_THROWS_WITH_AS(change(), "Failed to update device \"eth0\": Unsupported suffix: MB", Error);
    devices["eth0"]["limits.ingress"] = "";
    devices["eth0"]["limits.egress"] = "1Mbit";
    change();
    world.stop("it-nic");
    CHECK(rules().find("lxdcore." + link) == std::string::npos);
}

TEST_CASE("what this host has no controller for is refused, and what it has is applied") {
    World world;
    world.create("it-rest");
    world.start("it-rest");
    const Kernel kernel{world.pid("it-rest")};
    const auto accepted = [&](const api::StringMap& config) {
        try {
            world.set("it-rest", config);
            return true;
        } catch (const Error& error) {
            CHECK(std::string{error.what()}.find("Cannot apply limits.") != std::string::npos);
            return false;
        }
    };
    const auto weight = kernel.layout().disk_weight_key();
    CHECK(accepted({{"limits.disk.priority", "7"}}) == !weight.empty());
    if (!weight.empty())
        CHECK(kernel.value(weight.starts_with("io.") ? "io" : "blkio", weight, weight).ends_with("700"));
    CHECK(accepted({{"limits.network.priority", "5"}}) == kernel.has("net_prio"));
    CHECK_FALSE(accepted({{"limits.hugepages.64KB", "1MiB"}}));
    if (accepted({{"limits.hugepages.2MB", "4MiB"}}))
        CHECK(kernel.value("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max") == "4194304");
    world.stop("it-rest");
    world.start("it-rest");
    const Kernel again{world.pid("it-rest")};
    if (!weight.empty())
        CHECK(again.value(weight.starts_with("io.") ? "io" : "blkio", weight, weight).ends_with("700"));
    if (world.config("it-rest", "limits.hugepages.2MB") == "4MiB")
        CHECK(again.value("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max") == "4194304");
}
