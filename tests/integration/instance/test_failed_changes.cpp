// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "instance/world.hpp"
#include "system/cgroup.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

/// A running instance with a disk, a NIC and a limit, and what must be the same after a change that failed.
class Guest {
public:
    Guest() {
        std::filesystem::create_directory(world_.path() / "first");
        std::filesystem::create_directory(world_.path() / "second");
        world_.create(kName, {{"limits.processes", "60"}});
        world_.start(kName);
        api::InstancePatch patch;
        patch.devices = api::Devices{{"first", disk("first")}, {"eth0", nic("eth0")}};
        world_.instances().patch(ref(), patch, "");
    }
    InstanceRef ref() const { return World::ref(kName); }
    api::Device disk(const std::string& name) const {
        return {{"type", "disk"}, {"source", (world_.path() / name).string()}, {"path", "/" + name}};
    }
    static api::Device nic(const std::string& name) {
        return {{"type", "nic"}, {"nictype", "p2p"}, {"name", name}, {"limits.ingress", "8Mbit"}};
    }
    InstanceService& instances() { return world_.instances(); }
    api::Instance get() { return world_.instances().get(ref()); }
    /// What is there for the guest.
    std::string seen() {
        std::string out;
        for (const auto& [name, test] : {std::pair{"first", "grep -q ' /first ' /proc/mounts"},
                                         {"second", "grep -q ' /second ' /proc/mounts"},
                                         {"third", "grep -q ' /third ' /proc/mounts"},
                                         {"eth0", "test -e /sys/class/net/eth0"},
                                         {"eth1", "test -e /sys/class/net/eth1"},
                                         {"devlxd", "grep -q ' /dev/lxd ' /proc/mounts"}})
            if (world_.run(kName, test) == 0) out += std::string{name} + " ";
        return out;
    }
    /// What the host still has for the NIC that the configuration names.
    bool rate_holds() {
        const auto link = get().config["volatile.eth0.host_name"];
        return run({"/usr/sbin/tc", "class", "show", "dev", link}).out.find("rate 8Mbit") != std::string::npos;
    }
    /// Everything changes, and @p config makes it fail.
    std::string replace(const api::StringMap& config) {
        api::InstancePut put;
        const auto now = get();
        put.architecture = now.architecture;
        put.config = now.config;
        put.profiles = now.profiles;
        for (const auto& [key, value] : config)
            put.config[key] = value;
        put.devices = {{"second", disk("second")}, {"eth1", nic("eth1")}};
        const auto operation = world_.instances().update(ref(), put, "");
        operation->wait();
        return operation->error();
    }

private:
    static constexpr const char* kName = "it-fails";
    World world_;
};

} // namespace

TEST_CASE("a change that fails at any step leaves the running guest and its record as they were") {
    Guest guest;
    const auto row = guest.get();
    REQUIRE(guest.seen() == "first eth0 devlxd ");
    REQUIRE(guest.rate_holds());
    std::vector<api::StringMap> reasons{
        {{"security.idmap.isolated", "true"}, {"security.idmap.size", "4000000000"}}, // no room for it
        {{"linux.kernel_modules", "lxdcore_nosuch"}}};
    // The last step of all: the kernel cannot take that much away from what runs.
    if (!CgroupLayout::detect().unified("memory"))
        reasons.push_back({{"limits.memory", "4kB"}, {"security.devlxd", "false"}, {"limits.processes", "50"}});
    for (const auto& config : reasons) {
        CAPTURE(config.begin()->first);
        CHECK(guest.replace(config) != "");
        CHECK(guest.seen() == "first eth0 devlxd ");
        auto now = guest.get();
        CHECK(guest.rate_holds());
        now.config["volatile.eth0.host_name"] = row.config.at("volatile.eth0.host_name"); // plugged once more
        CHECK(now.config == row.config);
        CHECK(now.devices == row.devices);
    }
    CHECK(guest.replace({{"security.devlxd", "false"}}) == "");
    CHECK(guest.seen() == "second eth1 ");
}

TEST_CASE("limits of a disk that cannot have them are refused before it is plugged") {
    Guest guest;
    api::InstancePatch patch;
    patch.devices = api::Devices{
        {"third", {{"type", "disk"}, {"source", "/proc/sys"}, {"path", "/third"}, {"limits.max", "10MB"}}}};
    CHECK_THROWS_WITH_AS(guest.instances().patch(guest.ref(), patch, ""), "Invalid block device \"/proc/sys\"", Error);
    CHECK(guest.seen() == "first eth0 devlxd ");
    CHECK_FALSE(guest.get().devices.contains("third"));
}
