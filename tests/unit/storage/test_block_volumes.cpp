// SPDX-License-Identifier: Apache-2.0
// Block volumes: files in directories, devices of lvm, zfs and ceph.
#include "unit/storage/driver_fixture.hpp"

#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/block_content.hpp"
#include "storage/drivers/ceph/ceph_driver.hpp"
#include "storage/drivers/lvm/lvm_driver.hpp"
#include "storage/drivers/zfs/zfs_driver.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using test::Calls;

namespace {

VolumeId block(const char* snapshot = "", const char* size = "32MiB") {
    VolumeId id{.place = VolumePlace::Custom, .name = "default_b", .snapshot = snapshot, .config = {{"size", size}}};
    id.block = true;
    return id;
}

constexpr const char* kLvs = "lvs --noheadings --units b --nosuffix --separator ; -o "
                             "lv_name,lv_size,origin,data_percent,lv_tags vg";

struct Lvm : test::DriverFixture<LvmDriver> {
    Lvm() { tools->answer("vgs --noheadings --units b --nosuffix -o vg_extent_size", "  4194304\n"); }
    void pool(const char* thin) { make_mounted({{"source", "vg"}, {"lvm.vg_name", "vg"}, {"lvm.use_thinpool", thin}}); }
};

const std::string kHas = "zfs list -H -o name -t all ";
const std::string kSnapshots = "zfs list -H -o name -s creation -t snapshot -d 1 ";
const std::string kOrigin = "zfs get -H -p -o value origin ";

struct Zfs : test::DriverFixture<ZfsDriver> {
    Zfs() {
        host->modules.insert("zfs");
        tools->answer("zfs list -H -r", "z\n");
        make_mounted({{"source", "z"}, {"zfs.pool_name", "z"}});
        tools->fail(kSnapshots);
        tools->answer(kOrigin, "-\n");
        tools->answer("zfs get -H -p -o value volsize", "33554432\n");
    }
};

const std::string kRbd = "rbd --id admin --cluster ceph --pool o ";

struct Ceph : test::DriverFixture<CephDriver> {
    Ceph() {
        make_mounted({{"source", "o"}, {"ceph.osd.pool_name", "o"}});
        tools->answer(kRbd + "--format json showmapped", "[]");
        tools->answer(kRbd + "map", "/dev/rbd0\n");
        tools->answer(kRbd + "--format json info", R"({"size": 33554432})");
    }
};

} // namespace

TEST_CASE("bytes are copied, and what is zero on both sides is not written") {
    const test::TempDir temp;
    const auto dir = Dir::open(temp.path().string());
    const auto from = dir.open_file("from", O_RDWR | O_CREAT, 0600), to = dir.open_file("to", O_RDWR | O_CREAT, 0600);
    REQUIRE(::ftruncate(from.get(), 9 << 20) == 0);
    REQUIRE(::pwrite(from.get(), "end", 3, 8 << 20) == 3);
    REQUIRE(::pwrite(to.get(), "old", 3, 2 << 20) == 3);
    copy_block(from.get(), to.get(), {});
    struct stat status {};
    REQUIRE(::fstat(to.get(), &status) == 0);
    CHECK(status.st_size == 9 << 20);
    CHECK(status.st_blocks * 512 < 4 << 20);
    CHECK(dir.read("from", 10 << 20) == dir.read("to", 10 << 20));
    CHECK(block_size(to.get()) == 9 << 20);
}

TEST_CASE("bytes are copied out of a pipe, and a copy can be stopped") {
    const test::TempDir temp;
    const auto to = Dir::open(temp.path().string()).open_file("to", O_RDWR | O_CREAT, 0600);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reading{ends[0]};
    {
        const std::jthread writer{[fd = ends[1]] {
            for (int i = 0; i < 300; ++i)
                CHECK(::write(fd, std::string(10000, 'x').data(), 10000) == 10000);
            ::close(fd);
        }};
        copy_block(reading.get(), to.get(), {});
    }
    CHECK(block_size(to.get()) == 3000000);
    std::stop_source stop;
    stop.request_stop();
    CHECK_THROWS_AS(copy_block(reading.get(), to.get(), stop.get_token()), Error);
}

TEST_CASE("the file of a block volume grows and does not shrink") {
    const test::TempDir temp;
    const auto dir = Dir::open(temp.path().string());
    make_block_image(dir, 10000);
    CHECK(std::filesystem::file_size(temp / "root.img") == 16384);
    make_block_image(dir, 20000);
    CHECK(std::filesystem::file_size(temp / "root.img") == 24576);
    CHECK_THROWS_AS(make_block_image(dir, 10000), Error);
}

TEST_CASE("block volumes of lvm have LXD's names, apart from those of filesystems") {
    CHECK(lvm_name(block()) == "custom_default_b.block");
    CHECK(lvm_name(block("s-1")) == "custom_default_b-s--1.block");
    for (const auto& id : {block(), block("s-1")}) {
        const auto back = lvm_volume(VolumePlace::Custom, lvm_name(id));
        REQUIRE(back);
        CHECK(back->block);
        CHECK(back->name == id.name);
        CHECK(back->snapshot == id.snapshot);
    }
    CHECK_FALSE(lvm_volume(VolumePlace::Instance, "containers_a.block")->block);
}

TEST_CASE_FIXTURE(Lvm, "lvm: a block volume is a device without a filesystem, which shows nobody what was there") {
    pool("true");
    const auto staged = driver->stage(block());
    (void)driver->open_staged_block(staged);
    driver->publish(staged);
    CHECK(calls() == Calls{"vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --thin --virtualsize 33554432b "
                           "vg/LXDThinPool",
                           "lvchange --yes --activate y --ignoreactivationskip vg/lxdcore-new-#1",
                           "open /dev/vg/lxdcore-new-#1",
                           "lvchange --activate n --ignoreactivationskip vg/lxdcore-new-#1",
                           "lvrename vg lxdcore-new-#1 custom_default_b.block"});
    pool("false");
    driver->stage(block());
    CHECK(calls() == Calls{"vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 33554432b vg",
                           "lvchange --yes --activate y --ignoreactivationskip vg/lxdcore-new-#1",
                           "zero /dev/vg/lxdcore-new-#1 from 0"});
}

TEST_CASE_FIXTURE(Lvm, "lvm: a block volume is read, restored and copied without a filesystem being looked for") {
    pool("false");
    host->filesystem = "xfs"; // by whoever uses it
    tools->answer(kLvs, "custom_default_b.block;33554432;;;\n");
    driver->mount_volume(block());
    (void)driver->open_block(block());
    driver->unmount_volume(block());
    CHECK(calls() == Calls{"lvs --noheadings -o lv_name vg/custom_default_b.block",
                           "lvchange --yes --activate y --ignoreactivationskip vg/custom_default_b.block",
                           "lvchange --yes --activate y --ignoreactivationskip vg/custom_default_b.block",
                           "open /dev/vg/custom_default_b.block",
                           "lvchange --activate n --ignoreactivationskip vg/custom_default_b.block"});
    driver->publish(driver->stage_clone(block("s1"), block(), {}));
    CHECK(calls() == Calls{kLvs,
                           "lvcreate --name lxdcore-new-#1 --snapshot --setactivationskip n --permission rw --size "
                           "33554432b --addtag lxdcore.size=33554432 vg/custom_default_b.block",
                           "lvchange --activate n --ignoreactivationskip vg/lxdcore-new-#1",
                           "lvchange --permission r vg/lxdcore-new-#1",
                           "lvrename vg lxdcore-new-#1 custom_default_b-s1.block"});
    tools->answer(kLvs, "custom_default_b-s1.block;33554432;custom_default_b.block;;\ncustom_default_b;1;;;\n");
    driver->exchange(driver->stage_clone(block(), block("s1"), {}));
    const auto done = calls();
    CHECK(std::none_of(done.begin(), done.end(), [](const auto& line) { return line.find("xfs") != line.npos; }));
    CHECK(done[3] == "copy /dev/vg/custom_default_b-s1.block /dev/vg/lxdcore-new-#1 33554432");
    CHECK(driver->list_snapshots(block()) == std::vector<std::string>{"s1"});
    CHECK(driver->list_snapshots({VolumePlace::Custom, "default_b"}).empty());
    CHECK(driver->list(VolumePlace::Custom) == std::vector<std::string>{"default_b"});
    tools->answer(kLvs, "custom_default_b.block;33554432;;;\n");
    CHECK(driver->list_blocks() == std::vector<std::string>{"default_b"});
}

TEST_CASE_FIXTURE(Lvm, "lvm: a block volume grows by zeros and does not shrink") {
    pool("false");
    tools->answer(kLvs, "custom_default_b.block;33554432;;;\n");
    driver->quotas()->set_quota(block(), 64 << 20);
    CHECK(calls() == Calls{kLvs, "vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvresize -L 67108864b -f vg/custom_default_b.block",
                           "lvchange --yes --activate y --ignoreactivationskip vg/custom_default_b.block",
                           "zero /dev/vg/custom_default_b.block from 33554432"});
    CHECK(failure([&] { driver->quotas()->set_quota(block(), 16 << 20); }) ==
          "Block volumes cannot be shrunk: Cannot be shrunk");
    for (const auto& line : calls())
        CHECK(line.find("lvresize") == std::string::npos);
}

TEST_CASE_FIXTURE(Lvm, "lvm: a block volume is renamed with its snapshots, and not the filesystem beside it") {
    pool("true");
    tools->answer(kLvs, "custom_default_b.block;5;;;\ncustom_default_b-s1.block;5;;;\ncustom_default_b-s2;5;;;\n");
    driver->rename(block(), "default_c");
    CHECK(calls() == Calls{kLvs, "lvrename vg custom_default_b-s1.block custom_default_c-s1.block",
                           "lvs --noheadings -o lv_name vg/custom_default_b.block",
                           "lvrename vg custom_default_b.block custom_default_c.block"});
}

TEST_CASE_FIXTURE(Zfs, "zfs: a block volume is a sparse volume that gets its name last") {
    const auto staged = driver->stage(block());
    (void)driver->open_staged_block(staged);
    driver->publish(staged);
    CHECK(calls() == Calls{kSnapshots + "z/custom/default_b.block",
                           "zfs create -s -V 33554432 -o volmode=dev z/deleted/custom/lxdcore-new-#1",
                           "open /dev/zvol/z/deleted/custom/lxdcore-new-#1",
                           "zfs rename z/deleted/custom/lxdcore-new-#1 z/custom/default_b.block"});
    driver->stage(block("", "10000"));
    CHECK(calls()[1] == "zfs create -s -V 16384 -o volmode=dev z/deleted/custom/lxdcore-new-#1");
}

TEST_CASE_FIXTURE(Zfs, "zfs: the device of a snapshot is shown while it is read") {
    driver->mount_volume(block("s1"));
    (void)driver->open_block(block("s1"));
    driver->unmount_volume(block("s1"));
    CHECK(calls() == Calls{kHas + "z/custom/default_b.block@snapshot-s1",
                           "zfs set snapdev=visible z/custom/default_b.block",
                           "zfs set snapdev=visible z/custom/default_b.block",
                           "open /dev/zvol/z/custom/default_b.block@snapshot-s1",
                           "zfs set snapdev=hidden z/custom/default_b.block"});
}

TEST_CASE_FIXTURE(Zfs, "zfs: a block volume is restored by a clone, and copied without properties of filesystems") {
    tools->answer(kSnapshots + "z/custom/default_b.block", "z/custom/default_b.block@snapshot-s1\n");
    const auto staged = driver->stage_clone(block(), block("s1"), {});
    CHECK(calls().back() ==
          "zfs clone -o volmode=dev z/custom/default_b.block@snapshot-s1 z/deleted/custom/lxdcore-new-#1");
    tools->answer_once(kOrigin, "z/custom/default_b.block@snapshot-s1\n");
    driver->exchange(staged);
    CHECK(calls().back() == "zfs rename z/deleted/custom/lxdcore-take-#2.default_b.block z/custom/default_b.block");
    auto other = block();
    other.name = "default_c";
    make_mounted({{"source", "z"}, {"zfs.pool_name", "z"}, {"zfs.clone_copy", "false"}});
    driver->stage_clone(other, block(), {});
    const auto done = calls();
    CHECK(std::count(done.begin(), done.end(),
                     "zfs send z/custom/default_b.block@copy-#1 | zfs receive -u -o volmode=dev "
                     "z/deleted/custom/lxdcore-new-#2") == 1);
}

TEST_CASE_FIXTURE(Zfs, "zfs: a block volume grows and does not shrink, and is listed apart") {
    driver->quotas()->set_quota(block(), 64 << 20);
    CHECK(calls() == Calls{"zfs get -H -p -o value volsize z/custom/default_b.block",
                           "zfs set volsize=67108864 z/custom/default_b.block"});
    CHECK(failure([&] { driver->quotas()->set_quota(block(), 16 << 20); }) ==
          "Block volumes cannot be shrunk: Cannot be shrunk");
    tools->answer("zfs list -H -o name -t volume -d 1 z/custom", "z/custom/default_b.block\n");
    CHECK(driver->list_blocks() == std::vector<std::string>{"default_b"});
}

TEST_CASE_FIXTURE(Zfs, "zfs: what was interrupted with a block volume is finished like a filesystem") {
    const std::string take = "z/deleted/custom/lxdcore-take-1.default_b.block";
    tools->answer("zfs list -H -r -o name -t filesystem,volume z/deleted", (take + "\n").c_str());
    tools->fail(kHas + "z/custom/default_b.block");
    driver->sweep();
    const auto done = calls();
    CHECK(std::count(done.begin(), done.end(), "zfs rename " + take + " z/custom/default_b.block") == 1);
}

TEST_CASE_FIXTURE(Ceph, "ceph: a block volume is an image without a filesystem") {
    const auto staged = driver->stage(block());
    (void)driver->open_staged_block(staged);
    driver->publish(staged);
    CHECK(calls() == Calls{kRbd + "--image-feature layering --size 33554432B create lxdcore-new-#1",
                           kRbd + "--format json showmapped", kRbd + "map lxdcore-new-#1", "open /dev/rbd0",
                           kRbd + "unmap lxdcore-new-#1", kRbd + "unmap lxdcore-new-#1",
                           kRbd + "rename lxdcore-new-#1 custom_default_b.block"});
    host->filesystem = "xfs";
    auto other = block();
    other.name = "default_c";
    driver->stage_clone(other, block("s1"), {});
    CHECK(calls() == Calls{kRbd + "info custom_default_b.block@snapshot_s1",
                           kRbd + "snap protect custom_default_b.block@snapshot_s1",
                           kRbd + "--image-feature layering clone o/custom_default_b.block@snapshot_s1 "
                                  "o/lxdcore-new-#1"});
}

TEST_CASE_FIXTURE(Ceph, "ceph: a block volume grows and does not shrink, and is listed apart") {
    driver->quotas()->set_quota(block(), 64 << 20);
    CHECK(calls() == Calls{kRbd + "--format json info custom_default_b.block",
                           kRbd + "resize --size 67108864B custom_default_b.block"});
    CHECK(failure([&] { driver->quotas()->set_quota(block(), 16 << 20); }) ==
          "Block volumes cannot be shrunk: Cannot be shrunk");
    tools->answer(kRbd + "ls", "custom_default_b.block\ncustom_default_f\ncontainer_c\n");
    CHECK(driver->list_blocks() == std::vector<std::string>{"default_b"});
    CHECK(driver->list(VolumePlace::Custom) == std::vector<std::string>{"default_f"});
}
