// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include <fmt/format.h>

#include <lxdcore/caller.hpp>

#include "integration/instance/world.hpp"
#include "util/unique_fd.hpp"

using namespace lxdcore;
using test::World;

namespace {

std::string proc(int pid, const std::string& file) {
    return test::read_file("/proc/" + std::to_string(pid) + "/" + file);
}

std::string status_line(int pid, const std::string& name) {
    for (const auto& line : text::split(proc(pid, "status"), '\n'))
        if (line.starts_with(name + ":")) return text::trim(line.substr(name.size() + 1));
    return {};
}

std::vector<std::vector<long>> map_lines(int pid, const char* file = "uid_map") {
    std::vector<std::vector<long>> out;
    for (const auto& line : text::split(proc(pid, file), '\n')) {
        std::istringstream in{line};
        std::vector<long> numbers;
        for (long value = 0; in >> value;)
            numbers.push_back(value);
        if (numbers.size() == 3) out.push_back(numbers);
    }
    return out;
}

std::string error_of(const OperationPtr& operation) {
    operation->wait();
    return operation->error();
}

template <typename Call>
std::string refusal(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// This thread, and those that it starts, have mounts of their own until the end.
class OwnMounts {
public:
    OwnMounts() : before_{::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC)} {
        REQUIRE(::unshare(CLONE_NEWNS) == 0);
        REQUIRE(::mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0);
    }
    ~OwnMounts() { CHECK(::setns(before_.get(), CLONE_NEWNS) == 0); }

    /// Lines that are added to a file of the host, as seen from here.
    void append(const std::string& path, const std::string& lines) {
        const auto copy = dir_ / std::filesystem::path{path}.filename();
        std::ofstream{copy} << test::read_file(path) << lines;
        REQUIRE(::mount(copy.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0);
    }

private:
    test::TempDir dir_;
    UniqueFd before_;
};

} // namespace

TEST_CASE("isolated instances have ids of their own, whatever is changed, restarted or pinned (R12)") {
    World world;
    const auto isolated = [](api::StringMap more = {}) {
        more["security.idmap.isolated"] = "true";
        return more;
    };
    world.create("it-iso-a", isolated());
    world.create("it-iso-b", isolated({{"security.idmap.size", "200000"}}));
    world.create("it-iso-c", isolated());
    const auto first = std::stol(world.config("it-iso-a", "volatile.idmap.base"));
    world.create("it-iso-d", isolated({{"security.idmap.base", std::to_string(first + 5000000)}}));
    const auto check = [&] {
        std::set<std::pair<long, long>> taken;
        for (const auto* name : {"it-iso-a", "it-iso-b", "it-iso-c", "it-iso-d"}) {
            if (world.pid(name) <= 0) world.start(name);
            for (const auto* file : {"uid_map", "gid_map"}) {
                const auto lines = map_lines(world.pid(name), file);
                REQUIRE(lines.size() == 1);
                CHECK(lines[0][0] == 0);
                CHECK(lines[0][1] >= 65536);
                taken.emplace(lines[0][1], lines[0][1] + lines[0][2]);
            }
        }
        CHECK(taken.size() == 4);
        long end = 0;
        for (const auto& [from, to] : taken) {
            CHECK(from >= end);
            end = to;
        }
    };
    check();
    CHECK(map_lines(world.pid("it-iso-b"))[0][2] == 200000);
    CHECK(map_lines(world.pid("it-iso-d"))[0][1] == first + 5000000);
    // While it runs it keeps what it has, also from others.
    world.set("it-iso-a", {{"security.idmap.size", "70000"}});
    CHECK(std::stol(world.config("it-iso-a", "volatile.idmap.base")) != first);
    world.set("it-iso-d", {{"security.idmap.base", ""}});
    CHECK(std::stol(world.config("it-iso-d", "volatile.idmap.base")) != first);
    world.stop("it-iso-a");
    world.stop("it-iso-d");
    check();
    CHECK(map_lines(world.pid("it-iso-a"))[0][2] == 70000);
    CHECK(refusal([&] {
              world.set("it-iso-c", {{"security.idmap.size", "4000000000"}});
          }).starts_with("Failed to get ID map: Not enough uid/gid available for the container"));
    world.close();
    world.open();
    check();
}

TEST_CASE("an isolated instance holds its ids also when single ids are mapped by hand") {
    OwnMounts mounts;
    mounts.append("/etc/subuid", "root:5000:10\n");
    mounts.append("/etc/subgid", "root:5000:10\n");
    World world;
    world.create("it-raw-a", {{"security.idmap.isolated", "true"}, {"raw.idmap", "uid 5000 0\nboth 5001-5003 10-12"}});
    world.create("it-raw-b", {{"security.idmap.isolated", "true"}});
    world.start("it-raw-a");
    world.start("it-raw-b");
    std::set<std::pair<long, long>> taken;
    for (const auto* name : {"it-raw-a", "it-raw-b"})
        for (const auto& line : map_lines(world.pid(name)))
            taken.emplace(line[1], line[1] + line[2]);
    CHECK(taken.contains({5000, 5001}));
    CHECK(taken.contains({5001, 5004}));
    CHECK(taken.size() == 5);
    long end = 0;
    for (const auto& [from, to] : taken) {
        CHECK(from >= end);
        end = to;
    }
    // A file of an id that is mapped by hand belongs to that very id on the host.
    REQUIRE(world.run("it-raw-a", "mkdir /mnt/x && touch /mnt/x/f && chown 11:11 /mnt/x/f && stat -c %u /mnt/x/f") ==
            0);
    CHECK(world.run("it-raw-a", "[ $(stat -c %u /mnt/x/f) = 11 ]") == 0);
}

TEST_CASE("raw.idmap reaches only ids that the host lets root use (R12)") {
    World world;
    world.create("it-raw-c", {{"raw.idmap", "both 1 1000"}});
    CHECK(world.config("it-raw-c", "volatile.idmap.next").find(R"("Hostid":1,"Nsid":1000)") != std::string::npos);
    CHECK(error_of(world.act("it-raw-c", "start")).find("The host uid 1 may not be used") != std::string::npos);
    for (const auto* root : {"both 0 0", "uid 0 0", "both 0 1000", "gid 0 5"}) {
        CAPTURE(root);
        world.set("it-raw-c", {{"raw.idmap", root}});
        CHECK(error_of(world.act("it-raw-c", "start")).find("may not be used") != std::string::npos);
    }
    world.set("it-raw-c", {{"raw.idmap", ""}, {"raw.lxc", "lxc.idmap = u 0 0 1"}});
    CHECK(error_of(world.act("it-raw-c", "start")).find("The host uid 0 may not be used") != std::string::npos);
    CHECK(world.pid("it-raw-c") <= 0);
    CHECK(refusal([&] {
              world.set("it-raw-c", {{"raw.idmap", "both 1"}});
          }) == "Failed to get ID map: Invalid ID map line \"both 1\"");
    world.set("it-raw-c", {{"raw.lxc", ""}});
    world.start("it-raw-c");
}

TEST_CASE("system calls are filtered for init and for every command, by the policy that init got") {
    World world;
    world.create("it-calls", {{"security.syscalls.deny", "mkdirat errno 13\nmkdir errno 13\nsethostname errno 5"}});
    world.start("it-calls");
    CHECK(status_line(world.pid("it-calls"), "Seccomp") == "2");
    CHECK(world.run("it-calls", "grep -q '^Seccomp:.2' /proc/self/status") == 0);
    CHECK(world.run("it-calls", "mkdir /mnt/x 2>&1 | grep -q 'Permission denied'") == 0);
    CHECK(world.run("it-calls", "hostname x 2>&1 | grep -q 'I/O error\\|Input/output'") == 0);
    // The change is for the next start; until then commands keep the filter of init, also over a restart of ours.
    world.set("it-calls", {{"security.syscalls.deny", ""}, {"security.syscalls.deny_default", "false"}});
    CHECK(world.run("it-calls", "mkdir /mnt/x") != 0);
    world.close();
    world.open();
    CHECK(world.run("it-calls", "mkdir /mnt/x") != 0);
    World::finish(world.act("it-calls", "restart", true));
    CHECK(status_line(world.pid("it-calls"), "Seccomp") == "0");
    CHECK(world.run("it-calls", "grep -q '^Seccomp:.0' /proc/self/status") == 0);
    CHECK(world.run("it-calls", "mkdir /mnt/x && hostname y") == 0);

    world.stop("it-calls");
    world.set("it-calls", {{"raw.seccomp", "2\ndenylist\n[all]\nrmdir errno 1\nunlinkat errno 1\n"}});
    world.start("it-calls");
    CHECK(world.run("it-calls", "rmdir /mnt/x 2>&1 | grep -q 'not permitted'") == 0);
    world.stop("it-calls");
    world.set("it-calls", {{"raw.seccomp", "nonsense"}});
    CHECK(error_of(world.act("it-calls", "start")).starts_with("Failed to start the container"));
    // A policy of raw.lxc holds for commands too.
    test::TempDir dir;
    std::ofstream{dir / "policy"} << "2\ndenylist\nrmdir errno 5\nunlinkat errno 5\n";
    world.set("it-calls", {{"raw.seccomp", ""}, {"raw.lxc", "lxc.seccomp.profile = " + (dir / "policy").string()}});
    world.start("it-calls");
    CHECK(world.run("it-calls", "rmdir /mnt/x 2>&1 | grep -q 'I/O error\\|Input/output'") == 0);
    world.stop("it-calls");
    world.set("it-calls", {{"raw.lxc", "lxc.seccomp.profile ="}});
    world.start("it-calls");
    CHECK(status_line(world.pid("it-calls"), "Seccomp") == "0");
    CHECK(world.run("it-calls", "rmdir /mnt/x") == 0);
    world.stop("it-calls");
    world.remove("it-calls");
    CHECK(!std::filesystem::exists(world.path() / "security/seccomp/it-calls"));
}

TEST_CASE("a privileged container has no capabilities over the host, an unprivileged one all over itself") {
    World world;
    world.create("it-caps", {{"security.privileged", "true"}});
    world.start("it-caps");
    const auto bounding = [&] { return std::stoull(status_line(world.pid("it-caps"), "CapBnd"), nullptr, 16); };
    for (const int capability : {16 /* sys_module */, 17 /* sys_rawio */, 25 /* sys_time */, 32, 33 /* mac_* */}) {
        CHECK((bounding() >> capability & 1) == 0);
        CHECK(world.run("it-caps",
                        fmt::format("[ $(( 0x$(awk '/CapEff/{{print $2}}' /proc/self/status) >> {} & 1 )) = 0 ]",
                                    capability)) == 0);
    }
    CHECK((bounding() >> 21 & 1) == 1); // sys_admin
    CHECK(map_lines(world.pid("it-caps"))[0][1] == 0);
    world.stop("it-caps");
    world.set("it-caps", {{"security.privileged", ""}});
    world.start("it-caps");
    CHECK((bounding() >> 25 & 1) == 1);
    CHECK(map_lines(world.pid("it-caps"))[0][1] > 0);
    CHECK(world.run("it-caps", "date -s 2001-01-01 2>&1 | grep -q 'not permitted'") == 0);
    world.stop("it-caps");
    world.set("it-caps", {{"raw.lxc", "lxc.cap.drop = net_raw"}});
    world.start("it-caps");
    CHECK((bounding() >> 13 & 1) == 0);
}

TEST_CASE("raw.lxc does what it says, hooks included, for administrators only (R14)") {
    World world;
    test::TempDir dir;
    std::filesystem::permissions(dir.path(), std::filesystem::perms{0777});
    const auto mark = (dir / "mark").string();
    world.create("it-raw", {{"raw.lxc", "lxc.environment = A=from-raw\nLXC.Hook.Post-Stop = /usr/bin/touch " + mark}});
    world.start("it-raw");
    CHECK(world.run("it-raw", "tr '\\0' '\\n' < /proc/1/environ | grep -qx A=from-raw") == 0);
    CHECK(!std::filesystem::exists(mark));
    world.stop("it-raw");
    CHECK(test::soon([&] { return std::filesystem::exists(mark); }));

    const std::string loading = ": loading config file for the container failed";
    for (const auto* raw :
         {"lxc.nosuch = 1", "lxc.cap.drop = nosuch", "lxc.arch = zzz", "lxc.net.x.ipv4.address = 1.1.1.1"}) {
        CAPTURE(raw);
        CHECK(refusal([&] { world.set("it-raw", {{"raw.lxc", raw}}); }).ends_with(loading));
        auto request = World::post("it-raw-2");
        request.config = {{"raw.lxc", raw}};
        CHECK(error_of(world.instances().create("default", request)).ends_with(loading));
    }
    const CallerScope scope{{.username = "c0ffee", .protocol = "tls", .address = "192.0.2.1:5", .admin = false}};
    for (const auto* raw : {"lxc.mount.entry = / mnt none bind", "lxc.hook.pre-start = /x", "lxc.idmap = u 0 0 1",
                            "lxc.signal.halt = SIGTERM", ""}) {
        CAPTURE(raw);
        CHECK(refusal([&] { world.set("it-raw", {{"raw.lxc", raw}}); }).ends_with("not authorized"));
        if (*raw == '\0') continue;
        auto request = World::post("it-raw-2");
        request.config = {{"raw.lxc", raw}};
        CHECK(error_of(world.instances().create("default", request)).ends_with("not authorized"));
        api::ProfilesPost profile;
        profile.name = "raw";
        profile.config = {{"raw.lxc", raw}};
        CHECK(refusal([&] { world.core().profiles().create("default", profile); }) == "not authorized");
        api::ProfilePatch change;
        change.config = profile.config;
        CHECK(refusal([&] { world.core().profiles().patch("default", "default", change, ""); }) == "not authorized");
    }
    auto copy = World::post("it-raw-copy");
    copy.source.type = "copy";
    copy.source.alias.clear();
    copy.source.source = "it-raw";
    CHECK(error_of(world.instances().create("default", copy)).ends_with("not authorized"));
    world.set("it-raw", {{"user.x", "what is there stays"}});
    world.start("it-raw");
}

TEST_CASE("a profile with raw keys is not for others than administrators to assign (R22)") {
    World world;
    api::ProfilesPost profile;
    profile.name = "raw";
    profile.config = {{"raw.lxc", "lxc.environment = A=B"}};
    world.core().profiles().create("default", profile);
    world.create("it-assign");
    api::InstancePatch patch;
    patch.profiles = {{"default", "raw"}};
    const auto assign = [&] { world.instances().patch(World::ref("it-assign"), patch, ""); };
    {
        const CallerScope scope{{.username = "c0ffee", .protocol = "tls", .address = "192.0.2.1:5", .admin = false}};
        CHECK(refusal(assign).ends_with("not authorized"));
    }
    CHECK(refusal(assign).empty());
}

TEST_CASE("where only unprivileged containers are allowed, no way leads to another (R14)") {
    World world;
    world.create("it-only", {});
    world.create("it-only-before", {{"security.privileged", "true"}});
    world.close();
    world.open([](CoreOptions& options) { options.unprivileged_only = true; });
    const std::string text = "LXD was configured to only allow unprivileged containers";
    CHECK(refusal([&] { world.set("it-only", {{"security.privileged", "true"}}); }) == text);
    auto request = World::post("it-only-2");
    request.config = {{"security.privileged", "yes"}};
    CHECK(error_of(world.instances().create("default", request)).ends_with(text));
    api::ProfilePatch profile;
    profile.config = {{{"security.privileged", "true"}}};
    CHECK(refusal([&] { world.core().profiles().patch("default", "default", profile, ""); }).ends_with(text));
    for (const auto* raw : {"lxc.idmap = u 0 0 1", "lxc.hook.start = /x", "LXC.mount.entry = / mnt none bind"})
        CHECK(refusal([&] { world.set("it-only", {{"raw.lxc", raw}}); }).starts_with("Setting lxc."));
    world.set("it-only", {{"raw.lxc", "lxc.signal.halt = SIGTERM"}});
    world.start("it-only-before"); // made before, and stays
}

TEST_CASE("a protected instance is not deleted") {
    World world;
    world.create("it-kept", {{"security.protection.delete", "true"}});
    CHECK(error_of(world.instances().remove(World::ref("it-kept"))) == "Container is protected");
    world.set("it-kept", {{"security.protection.delete", "false"}});
    world.remove("it-kept");
}

/// A pool on a file system that has no idmapped mounts.
class ShiftingWorld : public World {
public:
    ShiftingWorld() {
        for (const auto* folder : {"lower", "upper", "work", "pool"})
            std::filesystem::create_directory(base_ / folder);
        const auto options =
            fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", base_.path().string());
        REQUIRE(::mount("overlay", (base_ / "pool").c_str(), "overlay", 0, options.c_str()) == 0);
        REQUIRE(::chmod((base_ / "pool").c_str(), 0711) == 0);
        std::filesystem::permissions(base_.path(), std::filesystem::perms{0711});
        api::StoragePoolsPost pool;
        pool.name = "overlay";
        pool.driver = "dir";
        pool.config = {{"source", (base_ / "pool").string()}};
        core().storage().create(pool);
        create("it-files");
    }
    /// Images are unpacked by way of an idmapped mount: the files come from a container elsewhere.
    void create_from(const std::string& name, const std::string& other) {
        auto request = post(name);
        request.source = {};
        request.source.type = "none";
        request.devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "overlay"}}}};
        finish(instances().create("default", request));
        const auto rootfs = base_ / "pool/containers" / name / "rootfs";
        run_checked({"cp", "-a", path() / "storage-pools/default/containers" / other / "rootfs/.", rootfs});
    }
    ~ShiftingWorld() {
        for (const auto& name : instances().names("default")) {
            act(name, "stop", true)->wait();
            instances().remove(ref(name))->wait();
        }
        core().storage().remove("overlay"); // unmounts it
        CHECK(::umount2((base_ / "pool").c_str(), 0) == 0);
    }
    uid_t owner(const std::string& name, const std::string& file) const {
        struct stat info {};
        REQUIRE(::lstat((base_ / "pool/containers" / name / "rootfs" / file).c_str(), &info) == 0);
        return info.st_uid;
    }

private:
    test::TempDir base_;
};

TEST_CASE("without idmapped mounts the files follow the map, also when that was interrupted") {
    ShiftingWorld world;
    world.create_from("it-shift", "it-files");
    CHECK(world.owner("it-shift", "etc") == 0);
    world.start("it-shift");
    const auto base = map_lines(world.pid("it-shift"))[0][1];
    CHECK(world.owner("it-shift", "etc") == base);
    CHECK(world.run("it-shift", "touch /root/f && chown 1000 /root/f") == 0);
    CHECK(world.owner("it-shift", "root/f") == base + 1000);
    const auto shifted = world.config("it-shift", "volatile.last_state.idmap");
    world.stop("it-shift");

    world.set("it-shift", {{"security.privileged", "true"}, {"security.protection.shift", "true"}});
    CHECK(error_of(world.act("it-shift", "start")) ==
          "Failed to handle idmapped storage: Container is protected against filesystem shifting");
    CHECK(world.owner("it-shift", "root/f") == base + 1000);
    world.set("it-shift", {{"security.protection.shift", "false"}});
    world.start("it-shift");
    CHECK(world.owner("it-shift", "root/f") == 1000);
    CHECK(world.run("it-shift", "[ $(stat -c %u /root/f) = 1000 ]") == 0);
    world.stop("it-shift");

    // As a kill -9 leaves it: the change is noted, a part of the files is there.
    const auto data = fmt::format(R"({{"from":"[]","to":{}}})", nlohmann::json(shifted).dump());
    world.core().sql("local", "INSERT INTO lxdcore_intents (kind, project, entity, data) VALUES "
                              "('instance-shift', 'default', 'it-shift', '" +
                                  data + "')");
    world.close();
    world.open();
    CHECK(world.owner("it-shift", "root/f") == base + 1000);
    CHECK(world.config("it-shift", "volatile.last_state.idmap") == shifted);
    world.set("it-shift", {{"security.privileged", ""}, {"security.idmap.isolated", "true"}});
    world.start("it-shift");
    CHECK(world.owner("it-shift", "root/f") == map_lines(world.pid("it-shift"))[0][1] + 1000);
    CHECK(world.run("it-shift", "[ $(stat -c %u /root/f) = 1000 ]") == 0);
}
