// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "integration/instance/world.hpp"

using namespace lxdcore;
using test::soon;
using test::World;

namespace {

std::string uid_map(int pid) { return test::read_file("/proc/" + std::to_string(pid) + "/uid_map"); }

std::vector<long> numbers(const std::string& line) {
    std::istringstream in{line};
    std::vector<long> out;
    for (long value = 0; in >> value;)
        out.push_back(value);
    return out;
}

struct stat volume_stat(World& world, const std::string& name) {
    struct stat info {};
    REQUIRE(::stat((world.path() / "storage-pools/default/containers" / name).c_str(), &info) == 0);
    return info;
}

} // namespace

TEST_CASE("an instance lives through create, start, freeze, restart, stop and delete") {
    World world;
    world.create("it-life");
    CHECK(world.status("it-life") == api::Status::Stopped);
    CHECK(world.config("it-life", "volatile.apply_template") == "create");
    CHECK(world.config("it-life", "volatile.base_image").size() == 64);
    world.start("it-life");
    CHECK(world.status("it-life") == api::Status::Running);
    CHECK(world.config("it-life", "volatile.last_state.power") == "RUNNING");
    CHECK(world.config("it-life", "volatile.apply_template").empty());
    const auto again = world.act("it-life", "start");
    again->wait();
    CHECK(again->error() == "The instance is already running");

    World::finish(world.act("it-life", "freeze"));
    CHECK(world.status("it-life") == api::Status::Frozen);
    World::finish(world.act("it-life", "unfreeze"));
    const int before = world.pid("it-life");
    World::finish(world.act("it-life", "restart", true));
    CHECK(world.pid("it-life") != before);
    CHECK_THROWS_WITH_AS(world.instances().remove(World::ref("it-life")), "Instance is running", Error);
    world.stop("it-life");
    CHECK(world.status("it-life") == api::Status::Stopped);
    CHECK(world.config("it-life", "volatile.last_state.power") == "STOPPED");
    world.remove("it-life");
    CHECK(world.instances().names("default").empty());
    CHECK(!std::filesystem::exists(world.path() / "logs/it-life"));
    CHECK_THROWS_WITH_AS(world.instances().get(World::ref("it-life")), "Instance not found", Error);
}

TEST_CASE("a frozen instance can be stopped by force") {
    World world;
    world.create("it-frozen");
    world.start("it-frozen");
    World::finish(world.act("it-frozen", "freeze"));
    world.stop("it-frozen");
    CHECK(world.status("it-frozen") == api::Status::Stopped);
}

TEST_CASE("an ephemeral instance goes with its end and stays over a restart") {
    World world;
    world.create("it-eph", {}, true);
    world.start("it-eph");
    World::finish(world.act("it-eph", "restart", true));
    CHECK(world.status("it-eph") == api::Status::Running);
    world.stop("it-eph");
    CHECK(world.instances().names("default").empty());
}

TEST_CASE("a reboot from inside is a start like any other") {
    World world;
    world.create("it-reboot", {}, true);
    world.start("it-reboot");
    const int before = world.pid("it-reboot");
    world.set("it-reboot", {{"environment.LATER", "1"}});
    world.run("it-reboot", "reboot -f");
    REQUIRE(soon([&] {
        const int now = world.pid("it-reboot");
        return now > 0 && now != before;
    }));
    CHECK(soon([&] { return world.run("it-reboot", "touch /etc/mark") == 0; }));
    CHECK(world.run("it-reboot", "tr '\\0' '\\n' < /proc/1/environ | grep -q LATER=1") == 0);
    CHECK(world.config("it-reboot", "volatile.last_state.power") == "RUNNING");
    world.stop("it-reboot");
    CHECK(world.instances().names("default").empty());
}

TEST_CASE("a reboot that nobody watched is finished at the next start") {
    World world;
    world.create("it-away");
    world.start("it-away");
    const int before = world.pid("it-away");
    world.run("it-away", "(sleep 1; reboot -f) > /dev/null 2>&1 &");
    world.close();
    REQUIRE(soon([&] { return !std::filesystem::exists("/proc/" + std::to_string(before)); }));
    REQUIRE(soon([&] { return std::filesystem::exists(world.path() / "logs/it-away/reboot"); }));
    world.open();
    CHECK(soon([&] { return world.status("it-away") == api::Status::Running; }));
    CHECK(world.run("it-away", "touch /etc/mark") == 0);
}

TEST_CASE("root inside is nobody on the host, and isolated instances share no id (R12)") {
    World world;
    world.create("it-a", {{"security.idmap.isolated", "true"}});
    world.create("it-b", {{"security.idmap.isolated", "true"}, {"security.idmap.size", "10000"}});
    world.create("it-c");
    for (const char* name : {"it-a", "it-b", "it-c"})
        world.start(name);
    const auto a = numbers(uid_map(world.pid("it-a"))), b = numbers(uid_map(world.pid("it-b"))),
               c = numbers(uid_map(world.pid("it-c")));
    for (const auto& map : {a, b, c}) {
        REQUIRE(map.size() == 3);
        CHECK(map[1] >= 65536);
    }
    CHECK((a[1] + a[2] <= b[1] || b[1] + b[2] <= a[1]));
    CHECK(b[2] == 10000);
}

TEST_CASE("the volume is closed to everybody but its own root, whatever the privilege (R13)") {
    World world;
    world.create("it-own");
    for (const bool privileged : {false, true, false}) {
        world.set("it-own", {{"security.privileged", privileged ? "true" : "false"}});
        world.start("it-own");
        const auto info = volume_stat(world, "it-own");
        CHECK((info.st_mode & 07777) == 0100);
        CHECK((info.st_uid == 0) == privileged);
        CHECK(world.run("it-own", "test \"$(stat -c %u /bin/busybox)\" = 0") == 0);
        world.stop("it-own");
    }
}

TEST_CASE("limits reach the cgroup at start and while it runs") {
    World world;
    world.create("it-limit", {{"limits.memory", "64MB"}, {"limits.processes", "50"}});
    world.start("it-limit");
    CHECK(world.run("it-limit", "true") == 0);
    CHECK(world.instances().state(World::ref("it-limit")).memory.total == 63'999'968 + 32);
    world.set("it-limit", {{"limits.memory", "128MiB"}});
    CHECK(world.instances().state(World::ref("it-limit")).memory.total == 128 << 20);
    world.set("it-limit", {{"limits.memory", ""}});
    CHECK(world.instances().state(World::ref("it-limit")).memory.total > 1 << 30);
}

TEST_CASE("a copy has its own identity") {
    World world;
    world.create("it-src", {{"user.x", "1"}});
    world.start("it-src");
    world.run("it-src", "echo hello > /etc/mark");
    world.stop("it-src");
    api::InstancesPost request;
    request.name = "it-copy";
    request.source.type = "copy";
    request.source.source = "it-src";
    request.requested_profiles = {"default"};
    World::finish(world.instances().create("default", request));
    CHECK(world.config("it-copy", "user.x") == "1");
    CHECK(world.config("it-copy", "volatile.uuid") != world.config("it-src", "volatile.uuid"));
    CHECK(world.config("it-copy", "volatile.apply_template") == "copy");
    world.start("it-copy");
    CHECK(world.run("it-copy", "grep -q hello /etc/mark") == 0);
}

TEST_CASE("what cannot be is refused before anything is made") {
    World world;
    const auto error_of = [&](api::InstancesPost request) {
        try {
            const auto operation = world.instances().create("default", request);
            operation->wait();
            return operation->error();
        } catch (const Error& error) {
            return std::string{error.what()};
        }
    };
    auto request = World::post("it-bad");
    request.config = {{"foo.bar", "1"}};
    CHECK(error_of(request) == "Failed creating instance record: Unknown configuration key: foo.bar");
    request.config = {{"limits.memory", "abc"}};
    CHECK(error_of(request) == "Failed creating instance record: Invalid value: abc");
    request.config = {{"environment.A", "x\nlxc.hook.start-host = /bin/touch /p"}};
    CHECK(!error_of(request).empty());
    request.config = {{"raw.lxc", "  LXC.Log.File = /x"}};
    CHECK(!error_of(request).empty());
    request = World::post("it-bad");
    request.requested_profiles.emplace();
    CHECK(error_of(request) ==
          "Failed creating instance record: Failed initialising instance: Failed getting root disk: "
          "No root device could be found");
    request = World::post("it-bad");
    request.source.alias = "nope";
    CHECK(error_of(request) == "Image alias not found");
    request = World::post("../x");
    CHECK(!error_of(request).empty());
    CHECK(world.instances().names("default").empty());
    CHECK(!std::filesystem::exists(world.path() / "storage-pools/default/containers/it-bad"));
}
