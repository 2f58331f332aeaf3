// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <lxdcore/error.hpp>

#include "device/device.hpp"
#include "network/network_manager.hpp"
#include "support/root_ids.hpp"
#include "support/temp_dir.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

namespace fs = std::filesystem;

const std::uint32_t kFirst = first_root_id(); // NOLINT(cert-err58-cpp)

std::string id_map() { return std::to_string(kFirst) + ",0,65536"; }

/// A process with users, mounts and a root of its own, as the init of an unprivileged container.
class Guest {
public:
    explicit Guest(const fs::path& root) : root_{root} {
        process_ = spawn({.argv = {"unshare", "--user", "--mount", "--map-users=" + id_map(),
                                   "--map-groups=" + id_map(), "--setuid", "0", "--setgid", "0", "sh", "-c",
                                   "r=" + root.string() +
                                       "; mount --rbind $r $r && cd $r && mount -t tmpfs none tmp && "
                                       "mkdir -p old && pivot_root . old && exec /bin/busybox sh -c "
                                       "'umount -l /old; echo up > /tmp/ready; exec /bin/busybox sleep 600'"}});
        for (int i = 0; i < 500 && run({"cat", "/tmp/ready"}) != "up\n"; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    ~Guest() {
        process_.kill(SIGKILL);
        process_.wait();
    }
    int pid() const { return process_.pid(); }
    int pidfd() const { return process_.pidfd(); }
    std::string run(std::vector<std::string> command) const {
        std::vector<std::string> argv{"nsenter", "-t", std::to_string(pid()), "-U", "-m", "-r", "-S", "0",
                                      "-G",      "0",  "/bin/busybox"};
        argv.insert(argv.end(), command.begin(), command.end());
        const RunResult result = lxdcore::run(argv);
        return result.out + result.err;
    }

private:
    fs::path root_;
    Process process_;
};

/// The fields of a mount in the guest, as the kernel tells them.
std::string mount_line(const Guest& guest, const std::string& path) {
    for (const auto& line : text::split(read_file("/proc/" + std::to_string(guest.pid()) + "/mountinfo"), '\n'))
        if (line.find(" " + path + " ") != std::string::npos) return line;
    return {};
}

/// Makes a directory a mount that passes on what is mounted below.
class SharedMount {
public:
    explicit SharedMount(const fs::path& path) : path_{path.string()} {
        REQUIRE(::mount(path_.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) == 0);
        REQUIRE(::mount(nullptr, path_.c_str(), nullptr, MS_PRIVATE, nullptr) == 0);
        REQUIRE(::mount(nullptr, path_.c_str(), nullptr, MS_SHARED, nullptr) == 0);
    }
    ~SharedMount() { ::umount2(path_.c_str(), MNT_DETACH); }
    SharedMount(const SharedMount&) = delete;
    SharedMount& operator=(const SharedMount&) = delete;

private:
    std::string path_;
};

struct World {
    TempDir dir;
    fs::path root = dir / "root", source = dir / "source";
    std::string devices = (dir / "devices").string();
    api::StringMap config;
    api::Devices devices_map;
    IdMap idmap{{{true, true, kFirst, 0, 65536}}};
    Logger log;
    HelperProgram helper{std::getenv("LXDCORE_HELPER") ? std::getenv("LXDCORE_HELPER")
                                                       : "/usr/libexec/lxdcore/lxdcore-helper"};

    World() {
        ::chmod(dir.path().c_str(), 0711);
        for (const char* name : {"root/bin", "root/tmp", "root/etc", "root/proc", "source", "devices"})
            fs::create_directories(dir / name);
        fs::copy_file("/usr/bin/busybox", root / "bin/busybox");
        write_file(source / "hello", "from the host");
        for (const auto& entry : fs::recursive_directory_iterator(root))
            REQUIRE(::lchown(entry.path().c_str(), kFirst, kFirst) == 0);
        REQUIRE(::chown(root.c_str(), kFirst, kFirst) == 0);
    }
    device::Target target(const Guest& guest) {
        // Disks ask neither of the two.
        auto* none = reinterpret_cast<network::NetworkManager*>(&log);
        auto* pool = reinterpret_cast<storage::StorageManager*>(&log);
        return {"default",   "c1",          config, devices_map, idmap, devices,
                guest.pid(), guest.pidfd(), *none,  *pool,       log,   &helper};
    }
    std::unique_ptr<device::Device> disk(const std::string& path, const api::StringMap& more = {}) {
        api::Device config{{"type", "disk"}, {"source", source.string()}, {"path", path}};
        config.insert(more.begin(), more.end());
        return device::make_device("d1", config);
    }
};

} // namespace

TEST_CASE("a disk is mounted into a running guest and taken out again") {
    World world;
    Guest guest{world.root};
    const auto disk = world.disk("/mnt/data");
    disk->plug(world.target(guest), {});
    CHECK(guest.run({"cat", "/mnt/data/hello"}) == "from the host");
    CHECK(fs::is_empty(world.root / "mnt/data")); // only inside
    struct stat made {};
    REQUIRE(::stat((world.root / "mnt").c_str(), &made) == 0);
    CHECK(made.st_uid == kFirst);
    disk->unplug(world.target(guest), {});
    CHECK(guest.run({"ls", "/mnt/data"}).empty());
}

TEST_CASE("options of a hot-plugged disk hold") {
    World world;
    Guest guest{world.root};
    SUBCASE("readonly") {
        ::chmod(world.source.c_str(), 0777);
        world.disk("/mnt", {{"readonly", "true"}})->plug(world.target(guest), {});
        CHECK(guest.run({"touch", "/mnt/x"}).find("Read-only") != std::string::npos);
    }
    SUBCASE("shift: the host's root is root inside") {
        world.disk("/mnt", {{"shift", "true"}})->plug(world.target(guest), {});
        CHECK(guest.run({"stat", "-c", "%u", "/mnt/hello"}) == "0\n");
        CHECK(guest.run({"touch", "/mnt/x"}).empty());
        struct stat made {};
        REQUIRE(::stat((world.source / "x").c_str(), &made) == 0);
        CHECK(made.st_uid == 0);
    }
    SUBCASE("without shift the ids are foreign") {
        world.disk("/mnt")->plug(world.target(guest), {});
        INFO(guest.run({"touch", "/mnt/x"}));
        CHECK_FALSE(fs::exists(world.source / "x"));
    }
    SUBCASE("a file") {
        write_file(world.dir / "single", "one file");
        const auto disk = device::make_device(
            "d1", {{"type", "disk"}, {"source", (world.dir / "single").string()}, {"path", "/etc/single"}});
        disk->plug(world.target(guest), {});
        CHECK(guest.run({"cat", "/etc/single"}) == "one file");
    }
}

TEST_CASE("mount options of a hot-plugged disk hold, and the guest cannot take them away") {
    World world;
    fs::copy_file("/usr/bin/busybox", world.source / "echo");
    Guest guest{world.root};
    world.disk("/mnt", {{"raw.mount.options", "noexec,nosuid,nodev,noatime,sync"}})->plug(world.target(guest), {});
    const auto options = text::split(text::split(mount_line(guest, "/mnt"), ' ').at(5), ',');
    for (const char* option : {"rw", "noexec", "nosuid", "nodev", "noatime"}) {
        CAPTURE(option);
        CHECK(std::find(options.begin(), options.end(), option) != options.end());
    }
    const auto refused = [&] {
        return guest.run({"sh", "-c", "/mnt/echo out"}).find("ermission denied") != std::string::npos;
    };
    CHECK(refused());
    CHECK_FALSE(guest.run({"mount", "-o", "remount,bind,exec", "/mnt"}).empty());
    CHECK(refused());
    world.disk("/exec")->plug(world.target(guest), {});
    CHECK(guest.run({"sh", "-c", "/exec/echo out"}) == "out\n");
}

TEST_CASE("the read-only option is as good as the key") {
    World world;
    ::chmod(world.source.c_str(), 0777);
    Guest guest{world.root};
    world.disk("/mnt", {{"raw.mount.options", "ro"}})->plug(world.target(guest), {});
    CHECK(guest.run({"touch", "/mnt/x"}).find("Read-only") != std::string::npos);
}

TEST_CASE("mounts below a hot-plugged disk go where its propagation says") {
    World world;
    fs::create_directories(world.source / "below");
    const SharedMount shared{world.source};
    Guest guest{world.root};
    const auto plug = [&](const std::string& mode) {
        world.disk("/mnt", mode.empty() ? api::StringMap{} : api::StringMap{{"propagation", mode}})
            ->plug(world.target(guest), {});
        return mount_line(guest, "/mnt");
    };
    const auto on_host = [&] { return run_checked({"cat", "/proc/self/mountinfo"}).find(world.source / "below"); };
    SUBCASE("from the host to the guest unless it says something") {
        const auto line = plug("");
        CHECK(line.find(" master:") != std::string::npos);
        CHECK(line.find(" shared:") == std::string::npos);
        guest.run({"mount", "-t", "tmpfs", "none", "/mnt/below"});
        CHECK_FALSE(mount_line(guest, "/mnt/below").empty());
        CHECK(on_host() == std::string::npos);
        guest.run({"umount", "/mnt/below"});
        const SharedMount more{world.source / "below"};
        CHECK_FALSE(mount_line(guest, "/mnt/below").empty());
    }
    SUBCASE("private: not at all") {
        CHECK(plug("private").find(" master:") == std::string::npos);
        const SharedMount more{world.source / "below"};
        CHECK(mount_line(guest, "/mnt/below").empty());
    }
    SUBCASE("shared: among the guest's own mounts, never back to the host") {
        const auto line = plug("rshared");
        CHECK(line.find(" shared:") != std::string::npos);
        CHECK(line.find(" master:") != std::string::npos);
        guest.run({"mount", "-t", "tmpfs", "none", "/mnt/below"});
        CHECK(on_host() == std::string::npos);
    }
    SUBCASE("unbindable") { CHECK(plug("unbindable").find(" unbindable ") != std::string::npos); }
}

TEST_CASE("links of the guest cannot lead a disk to the host") {
    World world;
    const fs::path canary = world.dir / "canary";
    fs::create_directories(canary);
    SUBCASE("an absolute link") { fs::create_symlink(canary, world.root / "mnt"); }
    SUBCASE("a relative link") { fs::create_symlink("../../../../../../.." + canary.string(), world.root / "mnt"); }
    SUBCASE("a link through proc") { fs::create_symlink("/proc/1/root" + canary.string(), world.root / "mnt"); }
    Guest guest{world.root};
    try {
        world.disk("/mnt/data")->plug(world.target(guest), {});
    } catch (const Error&) { // refused is as good as confined
    }
    CHECK(fs::is_empty(canary));
}
