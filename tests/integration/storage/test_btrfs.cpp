// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include <lxdcore/error.hpp>

#include "storage/btrfs_pool.hpp"
#include "storage/drivers/btrfs/btrfs_driver.hpp"
#include "storage/drivers/btrfs/subvolume.hpp"
#include "storage/loop_device.hpp"
#include "support/loop_mount.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using namespace lxdcore::test;

namespace {

std::size_t loops_of(const fs::path& file) {
    return text::split(text::trim(run({"losetup", "-j", file.string()}).out), '\n').size();
}

/// Within some seconds: a device lives on while somebody looks at it, as programs that list them do.
bool no_loop_of(const fs::path& file) {
    for (int i = 0; i < 100 && loops_of(file) > 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    return loops_of(file) == 0;
}

std::string mounts() { return Dir::open("/proc/self").read("mounts", 4 << 20); }

std::size_t count(const std::string& in, const std::string& what) {
    std::size_t found = 0;
    for (auto at = in.find(what); at != std::string::npos; at = in.find(what, at + 1))
        ++found;
    return found;
}

} // namespace

TEST_CASE("a btrfs pool in a loop file has LXD's directories and leaves nothing behind") {
    fs::path disk, where;
    {
        Pool pool;
        disk = pool.disk();
        where = pool / "";
        CHECK(pool.config.at("source") == disk.string());
        CHECK(pool.config.count("volatile.initial_source") == 0);
        struct stat status {};
        REQUIRE(::stat(disk.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0600);
        CHECK(status.st_size == 256 << 20);
        CHECK(status.st_blocks * 512 < 32 << 20);
        CHECK(loops_of(disk) == 1);
        for (const char* name : {"buckets", "containers", "containers-snapshots", "custom", "custom-snapshots",
                                 "images", "virtual-machines", "virtual-machines-snapshots"})
            CHECK(fs::is_directory(pool / name));
        const auto space = pool.driver->resources().space;
        CHECK(space.total == 256u << 20);
        CHECK(space.used < space.total / 4);
        pool.driver->delete_pool();
        CHECK_FALSE(fs::exists(disk));
        CHECK_FALSE(fs::exists(where));
        CHECK(no_loop_of(disk));
        CHECK(count(mounts(), where.string()) == 0);
        pool.driver->delete_pool(); // again: nothing to do
    }
}

TEST_CASE("a pool is found again by the next process, and mounted anew after a reboot") {
    Pool pool;
    pool.add(volume("c1"));
    pool.make();
    pool.driver->mount_pool();
    pool.driver->mount_pool();
    CHECK(count(mounts(), (pool / "").parent_path().string() + " ") == 1);
    CHECK(loops_of(pool.disk()) == 1);
    run_checked({"umount", (pool / "").string()});
    CHECK(no_loop_of(pool.disk()));
    pool.make();
    pool.driver->mount_pool();
    CHECK(pool.driver->exists(volume("c1")));
    CHECK(loops_of(pool.disk()) == 1);
}

TEST_CASE("a pool whose file is away says so and is there again when it is back") {
    Pool pool;
    pool.add(volume("c1"));
    run_checked({"umount", (pool / "").string()});
    fs::rename(pool.disk(), pool.temp / "aside.img");
    pool.make();
    CHECK_THROWS_AS(pool.driver->mount_pool(), Error);
    fs::rename(pool.temp / "aside.img", pool.disk());
    pool.driver->mount_pool();
    CHECK(pool.driver->exists(volume("c1")));
}

TEST_CASE("a volume is a subvolume, and a clone shares its content until one of them changes") {
    Pool pool;
    pool.add(volume("c1"));
    write_file(pool / "containers/c1/rootfs", "old");
    struct stat status {};
    REQUIRE(::stat((pool / "containers/c1").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0100);
    CHECK(btrfs::is_subvolume(Dir::open((pool / "containers/c1").string())));
    pool.clone(volume("c2"), volume("c1"));
    write_file(pool / "containers/c2/rootfs", "new");
    CHECK(read_file(pool / "containers/c1/rootfs") == "old");
    CHECK(pool.subvolumes() == std::vector<std::string>{"containers/c1", "containers/c2"});
    CHECK_THROWS_AS(pool.driver->publish(pool.driver->stage(volume("c1"))), Error);
}

TEST_CASE("a snapshot is read-only, and a volume made from it is not") {
    Pool pool;
    pool.add(volume("c1"));
    write_file(pool / "containers/c1/file", "old");
    pool.clone(volume("c1", "s1"), volume("c1"));
    CHECK(btrfs::read_only(Dir::open((pool / "containers-snapshots/c1/s1").string())));
    write_file(pool / "containers/c1/file", "new");
    CHECK(pool.driver->list_snapshots(volume("c1")) == std::vector<std::string>{"s1"});
    pool.driver->rename(volume("c1", "s1"), "s2");
    pool.driver->rename(volume("c1"), "c3");
    CHECK(pool.driver->list_snapshots(volume("c3")) == std::vector<std::string>{"s2"});

    const auto staged = pool.driver->stage_clone(volume("c3"), volume("c3", "s2"), {});
    pool.driver->exchange(staged);
    pool.driver->discard(staged);
    CHECK(read_file(pool / "containers/c3/file") == "old");
    write_file(pool / "containers/c3/file", "newer");
    pool.driver->remove(volume("c3", "s2"));
    pool.driver->remove(volume("c3"));
    CHECK(pool.subvolumes().empty());
}

TEST_CASE("what an instance nests in its volume is cloned, restored and removed with it") {
    Pool pool;
    pool.add(volume("c1"));
    fs::create_directories(pool / "containers/c1/rootfs/var");
    const auto inner = Dir::open((pool / "containers/c1/rootfs/var").string());
    btrfs::create(inner, "a", 0755);
    btrfs::create(inner.dir("a"), "b", 0755);
    write_file(pool / "containers/c1/rootfs/var/a/b/file", "deep");
    btrfs::set_read_only(inner.dir("a/b"), true);

    pool.clone(volume("c1", "s1"), volume("c1"));
    CHECK(read_file(pool / "containers-snapshots/c1/s1/rootfs/var/a/b/file") == "deep");
    pool.clone(volume("c2"), volume("c1", "s1"));
    CHECK(read_file(pool / "containers/c2/rootfs/var/a/b/file") == "deep");
    CHECK(btrfs::read_only(Dir::open((pool / "containers/c2/rootfs/var/a/b").string())));
    CHECK_FALSE(btrfs::read_only(Dir::open((pool / "containers/c2/rootfs/var/a").string())));
    write_file(pool / "containers/c2/rootfs/var/a/more", "x");
    CHECK_FALSE(fs::exists(pool / "containers/c1/rootfs/var/a/more"));

    pool.driver->remove(volume("c1"));
    pool.driver->remove(volume("c1", "s1"));
    pool.driver->remove(volume("c2"));
    CHECK(pool.subvolumes().empty());
}

TEST_CASE("a link in place of a nested subvolume leads a clone nowhere") {
    Pool pool;
    pool.add(volume("c1"));
    pool.add(volume("c2"));
    fs::create_directories(pool / "containers/c1/rootfs/x");
    btrfs::create(Dir::open((pool / "containers/c1/rootfs/x").string()), "a", 0755);
    // Found by its number, it is not where its path leads to: the folder was moved and a link put in its place.
    fs::rename(pool / "containers/c1/rootfs/x", pool / "containers/c1/rootfs/y");
    fs::create_symlink("/", pool / "containers/c1/rootfs/x");
    pool.clone(volume("c3"), volume("c1"));
    CHECK(fs::is_symlink(pool / "containers/c3/rootfs/x"));
    CHECK(btrfs::is_subvolume(Dir::open((pool / "containers/c3/rootfs/y/a").string())));
}

TEST_CASE("leftovers of interrupted work are swept, closed and nested ones too") {
    Pool pool;
    pool.add(volume("c1"));
    pool.driver->stage(volume("c2"));
    auto staged = pool.driver->stage_clone(volume("c1", "s1"), volume("c1"), {});
    btrfs::set_read_only(pool.driver->open_staged(staged), true);
    pool.driver->set_aside(volume("c1"));
    pool.make();
    pool.driver->mount_pool();
    pool.driver->sweep();
    CHECK(pool.subvolumes().empty());
    CHECK(fs::is_empty(pool / "containers"));
    CHECK(fs::is_empty(pool / "containers-snapshots"));
}

TEST_CASE("the size of a volume is enforced, counted, and kept by what takes its place") {
    Pool pool;
    pool.add(volume("c1"));
    auto* quotas = pool.driver->quotas();
    REQUIRE(quotas != nullptr);
    CHECK(quotas->usage(volume("c1")) == -1);
    quotas->set_quota(volume("c1"), 10 << 20);
    const auto fill = [&](const std::string& name) {
        return run({"dd", "if=/dev/zero", "of=" + (pool / ("containers/" + name)).string(), "bs=1M", "count=20",
                    "conv=fsync"})
            .code;
    };
    CHECK(fill("c1/big") != 0);
    fs::remove(pool / "containers/c1/big");
    run_checked({"sync", "-f", (pool / "").string()});
    pool.clone(volume("c1", "s1"), volume("c1"));
    const auto staged = pool.driver->stage_clone(volume("c1"), volume("c1", "s1"), {});
    pool.driver->exchange(staged);
    pool.driver->discard(staged);
    CHECK(fill("c1/big") != 0);
    fs::remove(pool / "containers/c1/big");
    quotas->set_quota(volume("c1"), 0);
    CHECK(fill("c1/big") == 0);
    run_checked({"sync", "-f", (pool / "").string()}); // counted when it is committed
    CHECK(quotas->usage(volume("c1")) > 15 << 20);
    pool.clone(volume("c2"), volume("c1"));
    run_checked({"sync", "-f", (pool / "").string()});
    CHECK(quotas->usage(volume("c2")) < 1 << 20);
}

TEST_CASE("a loop pool grows while it is mounted, and an interrupted growth is finished at the next mount") {
    Pool pool;
    pool.config["size"] = "384MiB";
    pool.driver->update_pool(pool.config);
    CHECK(pool.driver->resources().space.total == 384u << 20);
    pool.config["size"] = "300MiB"; // as LXD: recorded, without effect
    pool.driver->update_pool(pool.config);
    CHECK(pool.driver->resources().space.total == 384u << 20);
    fs::resize_file(pool.disk(), 512u << 20);
    pool.make();
    pool.driver->mount_pool();
    CHECK(pool.driver->resources().space.total == 512u << 20);
    pool.config["size"] = "1000000GiB";
    CHECK_THROWS_AS(pool.driver->update_pool(pool.config), Error);
    CHECK(fs::file_size(pool.disk()) == 512u << 20);
}

TEST_CASE("a loop file is not begun where there is no space for it, and growth stops before the disk is full") {
    TempDir temp;
    LoopMount disk{temp / "small", 400u << 20, {"mkfs.ext4", "-q"}};
    const auto state = Dir::open_or_make((disk / "lxd").string());
    Logger log;
    api::StringMap config{{"size", "1GiB"}};
    const auto driver = [&] {
        return BtrfsDriver{PoolContext{.name = "p", .config = config, .state_dir = state, .log = log}};
    };
    try {
        driver().prepare_config(config);
        FAIL("there is no such space");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::NoSpace);
    }
    CHECK(fs::is_empty(disk / "lxd/disks"));
    config = {{"size", "200MiB"}};
    driver().prepare_config(config);
    driver().create_pool(config);
    auto wanted = config;
    wanted["size"] = "2GiB";
    CHECK_THROWS_AS(driver().update_pool(wanted), Error);
    CHECK(fs::file_size(disk / "lxd/disks/p.img") == 200u << 20);
    driver().delete_pool();
    CHECK(no_loop_of(disk / "lxd/disks/p.img"));
}

TEST_CASE("mount options are taken at once, and bad ones change nothing") {
    Pool pool;
    const auto line = [&] {
        for (const auto& one : text::split(mounts(), '\n'))
            if (one.find((pool / "").parent_path().string() + " ") != std::string::npos) return one;
        return std::string{};
    };
    CHECK(line().find("user_subvol_rm_allowed") != std::string::npos);
    pool.config["btrfs.mount_options"] = "user_subvol_rm_allowed,noatime,compress=zstd";
    pool.driver->update_pool(pool.config);
    CHECK(line().find("noatime") != std::string::npos);
    CHECK(line().find("compress=zstd") != std::string::npos);
    pool.config["btrfs.mount_options"] = "no_such_option";
    CHECK_THROWS_AS(pool.driver->update_pool(pool.config), Error);
    CHECK(line().find("compress=zstd") != std::string::npos);
}

TEST_CASE("a pool on a device keeps what else the device had from being overwritten") {
    TempDir temp;
    const auto file = temp / "device.img";
    run_checked({"truncate", "-s", "256M", file.string()});
    const UniqueFd held{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
    const auto device = LoopDevice::attach(held);
    CHECK(LoopDevice::find(held)->path() == device.path());
    run_checked({"mkfs.ext4", "-q", "-F", device.path()});
    const auto text = error_of([&] { Pool pool{{{"source", device.path()}}}; });
    CHECK(text.find("Failed to format block device: Failed to run: mkfs.btrfs -L p " + device.path()) == 0);
    run_checked({"wipefs", "-qa", device.path()});
    {
        Pool pool{{{"source", device.path()}, {"size", "1GiB"}}};
        CHECK(pool.config.at("volatile.initial_source") == device.path());
        CHECK(pool.config.count("size") == 0);
        pool.add(volume("c1"));
        pool.make();
        pool.driver->mount_pool();
        CHECK(pool.driver->exists(volume("c1")));
    }
    CHECK(count(mounts(), device.path() + " ") == 0);
}

TEST_CASE("a subvolume of a mounted filesystem is a pool, an existing one or a new one") {
    TempDir temp;
    LoopMount disk{temp / "disk", 256u << 20, {"mkfs.btrfs", "-q"}};
    run_checked({"btrfs", "subvolume", "create", (disk / "old").string()});
    fs::create_directories(disk / "plain");
    for (const char* name : {"old", "new"}) {
        Pool pool{{{"source", (disk / name).string()}}};
        pool.add(volume("c1"));
        CHECK(btrfs::is_subvolume(Dir::open((disk / name / "containers/c1").string())));
        pool.make();
        pool.driver->mount_pool();
        CHECK(count(mounts(), (pool / "").parent_path().string() + " ") == 1);
    }
    CHECK(fs::is_empty(disk / "old"));
    CHECK(fs::is_empty(disk / "new"));
    const std::string elsewhere = "Provided path does not reside on a btrfs filesystem";
    CHECK(error_of([&] { Pool pool{{{"source", (disk / "plain").string()}}}; }) == elsewhere);
    CHECK(error_of([&] { Pool pool{{{"source", temp.path().string()}}}; }) == elsewhere);
    CHECK(error_of([&] { Pool pool{{{"source", "relative"}}}; }) == "Source path \"relative\" isn't absolute");
    fs::create_directories(disk / "old/containers/somebody");
    CHECK(error_of([&] {
              Pool pool{{{"source", (disk / "old").string()}}};
          }).find("is not empty") != std::string::npos);
    CHECK(fs::exists(disk / "old/containers/somebody"));
}
