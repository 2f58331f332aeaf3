// SPDX-License-Identifier: Apache-2.0
#include "unit/storage/driver_fixture.hpp"

#include "storage/drivers/lvm/lvm_driver.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using test::Calls;

namespace {

constexpr const char* kList = "lvs --noheadings --units b --nosuffix --separator ; -o "
                              "lv_name,lv_size,origin,data_percent,lv_tags vg";

struct Fixture : test::DriverFixture<LvmDriver> {
    Fixture() {
        tools->answer("vgs --noheadings --units b --nosuffix -o vg_extent_size", "  4194304\n");
        tools->fail("lvs --noheadings -o lv_name vg/");
    }
    void thin(api::StringMap more = {}) {
        more.insert({{"source", "vg"}, {"lvm.vg_name", "vg"}, {"lvm.thinpool_name", "LXDThinPool"}});
        make_mounted(std::move(more));
    }
    void thick() { make_mounted({{"source", "vg"}, {"lvm.vg_name", "vg"}, {"lvm.use_thinpool", "false"}}); }
    void there(const std::string& object) { tools->answer("lvs --noheadings -o lv_name vg/" + object, "x"); }
    void listed(const char* lines) { tools->answer(kList, lines); }
};

const VolumeId kC1{VolumePlace::Instance, "c-1"};
const VolumeId kSnap{VolumePlace::Instance, "c-1", "s-0"};

} // namespace

TEST_CASE("logical volumes have LXD's names") {
    CHECK(lvm_name(kC1) == "containers_c--1");
    CHECK(lvm_name(kSnap) == "containers_c--1-s--0");
    CHECK(lvm_name({VolumePlace::Custom, "default_vol"}) == "custom_default_vol");
    CHECK(lvm_name({VolumePlace::Image, std::string(64, 'f')}) == "images_" + std::string(64, 'f'));
    for (const auto& id : {kC1, kSnap}) {
        const auto back = lvm_volume(id.place, lvm_name(id));
        REQUIRE(back);
        CHECK(back->name == id.name);
        CHECK(back->snapshot == id.snapshot);
    }
    CHECK_FALSE(lvm_volume(VolumePlace::Instance, "custom_x"));
    CHECK_FALSE(lvm_volume(VolumePlace::Instance, "containers_"));
    CHECK_FALSE(lvm_volume(VolumePlace::Instance, "containers_a-b-c"));
}

TEST_CASE_FIXTURE(Fixture, "lvm: names that could be options or paths never reach a program") {
    thin();
    for (const char* bad : {"-f", "--help", "", "..", ".x", "a/b", "a b", "a\nb", "a@b", "a;b", "a,b", "$(x)"}) {
        CHECK_THROWS_AS(driver->stage({VolumePlace::Instance, bad}), Error);
        CHECK_THROWS_AS(driver->set_aside({VolumePlace::Instance, bad}), Error);
        CHECK_THROWS_AS(driver->rename({VolumePlace::Instance, "c", "s"}, bad), Error);
        if (*bad != 0) CHECK_THROWS_AS(driver->exists({VolumePlace::Instance, "c", bad}), Error);
    }
    for (const auto& line : tools->take())
        CHECK(line == "lvs --noheadings -o lv_name vg/containers_c-s");
    api::StringMap config{{"lvm.vg_name", "-x"}};
    CHECK_THROWS_AS(driver->prepare_config(config), Error);
    config = {{"source", "a b"}};
    CHECK_THROWS_AS(driver->prepare_config(config), Error);
    CHECK(calls().empty());
}

TEST_CASE_FIXTURE(Fixture, "lvm: without the tool a pool is refused with LXD's text") {
    tools->missing["lvm"] = true;
    make({});
    api::StringMap config;
    CHECK(failure([&] { driver->prepare_config(config); }) == "Required tool \"lvm\" is missing");
    CHECK(failure([&] { driver->mount_pool(); }) == "Required tool \"lvm\" is missing");
    CHECK(calls().empty());
}

TEST_CASE_FIXTURE(Fixture, "lvm: bad sources and combinations are refused with LXD's texts") {
    make({});
    const auto text = [&](api::StringMap config) { return failure([&] { driver->prepare_config(config); }); };
    CHECK(text({{"source", "/tmp"}}) == "Custom loop file locations are not supported");
    CHECK(text({{"source", "vg"}, {"lvm.vg_name", "other"}}) ==
          "Invalid combination of source and lvm.vg_name properties");
    CHECK(text({{"lvm.use_thinpool", "false"}, {"lvm.thinpool_name", "x"}}) ==
          "The key lvm.use_thinpool cannot be set to false when lvm.thinpool_name is set");
    CHECK(text({{"lvm.use_thinpool", "0"}, {"lvm.thinpool_metadata_size", "1GiB"}}) ==
          "The key lvm.use_thinpool cannot be set to false when lvm.thinpool_metadata_size is set");
    tools->fail("vgs --noheadings -o vg_tags vg");
    CHECK(text({{"source", "vg"}}) == "The requested volume group \"vg\" does not exist");
    tools->answer("vgs --noheadings -o vg_tags vg", "lxd_pool\n");
    CHECK(text({{"source", "vg"}}) == "Volume group \"vg\" is already used by LXD");
    tools->answer("lvs --noheadings -o lv_name vg", "  LXDThinPool\n  data\n");
    CHECK(text({{"source", "vg"}}) == "Volume group \"vg\" is not empty");
    CHECK(text({{"source", "vg"}, {"lvm.vg.force_reuse", "true"}}) == "none");
}

TEST_CASE_FIXTURE(Fixture, "lvm: a pool in a file is made and removed") {
    make({{"source", (temp / "disks/p.img").string()}, {"size", "5GiB"}, {"lvm.vg_name", "p"}});
    tools->fail("vgs --noheadings -o vg_name p");
    tools->fail("lvs --noheadings -o lv_attr p/LXDThinPool");
    tools->answer("losetup --find", "/dev/loop7\n");
    auto config = api::StringMap{{"source", (temp / "disks/p.img").string()}, {"size", "5GiB"}, {"lvm.vg_name", "p"}};
    driver->create_pool(config);
    CHECK(calls() == Calls{"losetup --noheadings --output NAME --associated $/disks/p.img",
                           "losetup --find --show --direct-io=on $/disks/p.img", "vgs --noheadings -o vg_name p",
                           "pvcreate /dev/loop7", "vgcreate p /dev/loop7", "lvs --noheadings -o lv_attr p/LXDThinPool",
                           "lvcreate --yes --wipesignatures y --thinpool p/LXDThinPool --extents 100%FREE",
                           "vgchange --addtag lxd_pool p"});
    CHECK(std::filesystem::file_size(temp / "disks/p.img") == 5ull << 30);
    tools->answer("vgs --noheadings -o vg_name p", "p");
    tools->answer("losetup --noheadings", "/dev/loop7\n");
    tools->answer("lvs --noheadings --units b", "LXDThinPool;5;;0;\nimages_f;5;;1;\nlxdcore-old-1;5;;;\n");
    driver->delete_pool();
    CHECK(calls() == Calls{"vgs --noheadings -o vg_name p",
                           "lvs --noheadings --units b --nosuffix --separator ; -o "
                           "lv_name,lv_size,origin,data_percent,lv_tags p",
                           "lvremove -f p/images_f", "lvremove -f p/lxdcore-old-1", "lvremove -f p/LXDThinPool",
                           "vgremove -f p", "losetup --noheadings --output NAME --associated $/disks/p.img",
                           "losetup --detach /dev/loop7"});
    CHECK_FALSE(std::filesystem::exists(temp / "disks/p.img"));
    CHECK_FALSE(std::filesystem::exists(temp / "storage-pools/p"));
}

TEST_CASE_FIXTURE(Fixture, "lvm: a group that cannot be made leaves no device and no file") {
    api::StringMap config{{"source", (temp / "disks/p.img").string()}, {"size", "5GiB"}, {"lvm.vg_name", "p"}};
    make(config);
    tools->fail("vgs --noheadings -o vg_name p");
    tools->answer("losetup --noheadings", "/dev/loop7\n");
    CHECK(calls_failing("vgcreate", [&] { driver->create_pool(config); }) ==
          Calls{"losetup --noheadings --output NAME --associated $/disks/p.img", "vgs --noheadings -o vg_name p",
                "pvcreate /dev/loop7", "vgcreate p /dev/loop7", "pvremove -f /dev/loop7",
                "losetup --noheadings --output NAME --associated $/disks/p.img", "losetup --detach /dev/loop7"});
    CHECK_FALSE(std::filesystem::exists(temp / "disks/p.img"));
}

TEST_CASE_FIXTURE(Fixture, "lvm: keys of a volume go before those of its pool") {
    thin({{"volume.size", "1GiB"}, {"volume.block.filesystem", "btrfs"}, {"volume.block.mount_options", "noatime"}});
    const VolumeId own{.place = VolumePlace::Custom,
                       .name = "default_v",
                       .config = {{"size", "64MiB"}, {"block.filesystem", "xfs"}, {"block.mount_options", "discard"}}};
    host->filesystem = "xfs";
    driver->stage(own);
    CHECK(calls() == Calls{"vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --thin --virtualsize 67108864b "
                           "vg/LXDThinPool",
                           "mkfs.xfs /dev/vg/lxdcore-new-#1",
                           "lvchange --yes --activate y --ignoreactivationskip vg/lxdcore-new-#1",
                           "mount -t xfs -o discard /dev/vg/lxdcore-new-#1 aside"});
    host->filesystem = "btrfs";
    driver->stage({VolumePlace::Custom, "default_w"});
    CHECK(calls() == Calls{"vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --thin --virtualsize 1073741824b "
                           "vg/LXDThinPool",
                           "mkfs.btrfs /dev/vg/lxdcore-new-#1",
                           "lvchange --yes --activate y --ignoreactivationskip vg/lxdcore-new-#1",
                           "mount -t btrfs -o noatime /dev/vg/lxdcore-new-#1 aside"});
    make({{"source", "vg"}, {"lvm.vg_name", "vg"}, {"lvm.use_thinpool", "false"}, {"volume.lvm.stripes", "4"}});
    auto striped = own;
    striped.config["lvm.stripes"] = "2";
    driver->stage(striped);
    CHECK(calls()[1] == "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 67108864b --stripes 2 vg");
}

TEST_CASE_FIXTURE(Fixture, "lvm: volumes that are mounted are found again by another process") {
    thin();
    there("containers_c--1");
    there("containers_c--1-s--0");
    driver->mount_volume(kC1);
    driver->mount_volume(kSnap);
    const auto found = driver->mounted_volumes();
    REQUIRE(found.size() == 2);
    CHECK(found[0].name == "c-1");
    CHECK(found[1].snapshot == "s-0");
    driver->unmount_volume(kC1);
    CHECK(driver->mounted_volumes().size() == 1);
    api::StringMap config{{"block.filesystem", "xfs"}};
    driver->complete_volume(config, false);
    CHECK(config == api::StringMap{{"block.filesystem", "xfs"}, {"block.mount_options", "discard"}});
    api::StringMap block;
    driver->complete_volume(block, true);
    CHECK(block.empty());
}

TEST_CASE_FIXTURE(Fixture, "lvm: a group that is not ours alone survives its pool") {
    make({{"source", "vg"}, {"lvm.vg_name", "vg"}, {"lvm.use_thinpool", "false"}});
    listed("data;5;;;\ncontainers_c;5;;;\nlxdcore-new-1;5;containers_c;;\n");
    driver->delete_pool();
    CHECK(calls() == Calls{"vgs --noheadings -o vg_name vg", kList, "lvremove -f vg/containers_c",
                           "vgchange --deltag lxd_pool vg"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a pool is mounted by activating its group") {
    make({{"source", "vg"}, {"lvm.vg_name", "vg"}});
    driver->mount_pool();
    CHECK(calls() == Calls{"vgs --noheadings -o vg_name vg", "vgchange --activate y vg"});
    CHECK(std::filesystem::is_directory(temp / "storage-pools/p/containers-snapshots"));
    tools->fail("vgs --noheadings -o vg_name vg");
    CHECK(failure([&] { driver->mount_pool(); }) == "The requested volume group \"vg\" does not exist");
}

TEST_CASE_FIXTURE(Fixture, "lvm: a volume is made with the filesystem and the size of the pool") {
    thin({{"volume.block.filesystem", "xfs"}, {"volume.size", "3GB"}});
    const auto staged = driver->stage(kC1);
    driver->publish(staged);
    CHECK(calls() == Calls{"vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --thin --virtualsize 3003121664b "
                           "vg/LXDThinPool",
                           "mkfs.xfs /dev/vg/lxdcore-new-#1",
                           "lvchange --yes --activate y --ignoreactivationskip vg/lxdcore-new-#1",
                           "mount -t ext4 -o discard /dev/vg/lxdcore-new-#1 aside", "umount aside",
                           "lvchange --activate n --ignoreactivationskip vg/lxdcore-new-#1",
                           "lvrename vg lxdcore-new-#1 containers_c--1"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a volume whose filesystem cannot be made is removed") {
    thick();
    listed(""); // asked by what removes it
    const auto done = calls_failing("mkfs.ext4", [&] { driver->stage(kC1); });
    CHECK(done == Calls{"vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                        "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 10737418240b vg",
                        "mkfs.ext4 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/vg/lxdcore-new-#1", kList});
}

TEST_CASE_FIXTURE(Fixture, "lvm thin: an instance is a snapshot of its image with an identity of its own") {
    thin();
    host->filesystem = "xfs";
    listed("images_f;10737418240;;3;\n");
    driver->publish(driver->stage_clone(kC1, {VolumePlace::Image, "f"}, {}));
    CHECK(calls() ==
          Calls{kList, "lvcreate --name lxdcore-new-#1 --snapshot --setactivationskip n --permission rw vg/images_f",
                "mount -t xfs -o nouuid /dev/vg/lxdcore-new-#1 aside", "xfs_admin -U generate /dev/vg/lxdcore-new-#1",
                "lvrename vg lxdcore-new-#1 containers_c--1"});
    host->filesystem = "btrfs";
    driver->stage_clone(kC1, {VolumePlace::Image, "f"}, {});
    CHECK(calls().back() == "btrfstune -f -u /dev/vg/lxdcore-new-#1");
    CHECK(failure([&] { driver->stage_clone(kC1, {VolumePlace::Image, "g"}, {}); }) == "LVM volume not found");
}

TEST_CASE_FIXTURE(Fixture, "lvm thick: an instance is a copy of its image") {
    thick();
    listed("images_f;10737418240;;;\n");
    driver->publish(driver->stage_clone(kC1, {VolumePlace::Image, "f"}, {}));
    CHECK(calls() ==
          Calls{kList, "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 10737418240b vg",
                "lvcreate --name lxdcore-new-#2 --snapshot --setactivationskip n --permission rw --size 10737418240b "
                "--addtag lxdcore.size=10737418240 vg/images_f",
                "lvchange --yes --activate y --ignoreactivationskip vg/lxdcore-new-#2",
                "copy /dev/vg/lxdcore-new-#2 /dev/vg/lxdcore-new-#1 10737418240", "lvremove -f vg/lxdcore-new-#2",
                "lvrename vg lxdcore-new-#1 containers_c--1"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a snapshot is read-only once it has its name") {
    thin();
    listed("containers_c--1;10737418240;;3;\n");
    driver->publish(driver->stage_clone(kSnap, kC1, {}));
    CHECK(calls() ==
          Calls{kList,
                "lvcreate --name lxdcore-new-#1 --snapshot --setactivationskip n --permission rw vg/containers_c--1",
                "lvchange --permission r vg/lxdcore-new-#1", "lvrename vg lxdcore-new-#1 containers_c--1-s--0"});
    thick();
    driver->stage_clone(kSnap, kC1, {});
    CHECK(calls()[1] == "lvcreate --name lxdcore-new-#1 --snapshot --setactivationskip n --permission rw --size "
                        "10737418240b --addtag lxdcore.size=10737418240 vg/containers_c--1");
    there("containers_c--1-s--0");
    driver->mount_volume(kSnap);
    CHECK(calls().back() == "mount -t ext4 -o discard,ro,noload /dev/vg/containers_c--1-s--0 "
                            "p/containers-snapshots/c-1/s-0");
}

TEST_CASE_FIXTURE(Fixture, "lvm: a restored volume takes the place of the old one, which goes") {
    thin();
    listed("containers_c--1;10737418240;;3;\ncontainers_c--1-s--0;10737418240;;3;\n");
    there("containers_c--1");
    const auto staged = driver->stage_clone(kC1, kSnap, {});
    driver->exchange(staged);
    tools->answer(kList, (staged.name + ";10737418240;;3;\n").c_str());
    driver->discard(staged);
    CHECK(calls() == Calls{kList,
                           "lvcreate --name lxdcore-new-#1 --snapshot --setactivationskip n --permission rw "
                           "vg/containers_c--1-s--0",
                           "lvchange --addtag lxdcore.takes=containers_c--1 vg/lxdcore-new-#1",
                           "lvrename vg containers_c--1 lxdcore-old-#2", "lvrename vg lxdcore-new-#1 containers_c--1",
                           "lvchange --deltag lxdcore.takes=containers_c--1 vg/containers_c--1",
                           "lvrename vg lxdcore-old-#2 lxdcore-new-#1", kList, "lvremove -f vg/lxdcore-new-#1"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: an exchange that was interrupted is finished, wherever that was") {
    thin();
    const auto swept = [&](const char* before) {
        listed(before);
        driver->sweep();
        return calls();
    };
    const std::string take = "lvchange --deltag lxdcore.takes=containers_c vg/containers_c";
    there("containers_c"); // after the tag: both are there
    CHECK(swept("lxdcore-new-1;5;;;lxdcore.takes=containers_c\ncontainers_c;5;;;\n") ==
          Calls{kList, "lvs --noheadings -o lv_name vg/containers_c", "lvrename vg containers_c lxdcore-old-#1",
                "lvrename vg lxdcore-new-1 containers_c", take, kList, kList, "lvremove -f vg/lxdcore-new-1"});
    tools->forget("lvs --noheadings -o lv_name vg/containers_c"); // after the first rename
    CHECK(swept("lxdcore-new-1;5;;;lxdcore.takes=containers_c\nlxdcore-old-2;5;;;\n") ==
          Calls{kList, "lvs --noheadings -o lv_name vg/containers_c", "lvrename vg lxdcore-new-1 containers_c", take,
                kList, kList, "lvremove -f vg/lxdcore-new-1", kList, "lvremove -f vg/lxdcore-old-2"});
    // after the second one
    CHECK(swept("containers_c;5;;;lxdcore.takes=containers_c\nlxdcore-old-2;5;;;\n") ==
          Calls{kList, take, kList, kList, "lvremove -f vg/lxdcore-old-2"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a volume is renamed with its snapshots") {
    thin();
    listed("containers_c--1;5;;;\ncontainers_c--1-s--0;5;;;\ncontainers_other;5;;;\n");
    there("containers_c--1");
    driver->rename(kC1, "d");
    CHECK(calls() == Calls{kList, "lvrename vg containers_c--1-s--0 containers_d-s--0",
                           "lvs --noheadings -o lv_name vg/containers_c--1",
                           "lvrename vg containers_c--1 containers_d"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: an interrupted rename is repeated for what is left") {
    thin();
    listed("containers_d-s--0;5;;;\ncontainers_d;5;;;\n");
    there("containers_d");
    driver->rename(kC1, "d");
    CHECK(calls() == Calls{kList, "lvs --noheadings -o lv_name vg/containers_c--1",
                           "lvs --noheadings -o lv_name vg/containers_d"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a volume is set aside unmounted, then removed; absent is fine") {
    thin();
    CHECK_FALSE(driver->set_aside(kC1));
    there("containers_c--1");
    driver->mount_volume(kC1);
    calls();
    const auto trash = driver->set_aside(kC1);
    REQUIRE(trash);
    CHECK(calls() == Calls{"lvs --noheadings -o lv_name vg/containers_c--1", "umount c-1",
                           "lvrename vg containers_c--1 lxdcore-old-#1"});
    tools->answer(kList, (trash->name + ";5;;;\n").c_str());
    driver->discard(*trash);
    CHECK(calls() == Calls{kList, "lvremove -f vg/lxdcore-old-#1"});
    listed("");
    driver->discard(*trash);
    CHECK(calls() == Calls{kList});
}

TEST_CASE_FIXTURE(Fixture, "lvm thick: an origin stays until the last of its snapshots is gone") {
    thick();
    listed("lxdcore-old-1;5;;;\ncontainers_c-s;5;lxdcore-old-1;;\n");
    driver->discard({kC1, "lxdcore-old-1"});
    CHECK(calls() == Calls{kList, "lvrename vg lxdcore-old-1 lxdcore-kept-#1"});
    listed("lxdcore-kept-1;5;;;\nlxdcore-old-2;5;lxdcore-kept-1;;\n");
    driver->discard({kSnap, "lxdcore-old-2"});
    CHECK(calls() == Calls{kList, "lvremove -f vg/lxdcore-old-2", "lvremove -f vg/lxdcore-kept-1"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a volume grows with its filesystem") {
    thin();
    listed("containers_c--1;10737418240;;50.00;\n");
    driver->quotas()->set_quota(kC1, 20ll << 30);
    CHECK(calls() == Calls{kList, "vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvchange --yes --activate y --ignoreactivationskip vg/containers_c--1",
                           "lvresize -L 21474836480b -f vg/containers_c--1",
                           "lvchange --yes --activate y --ignoreactivationskip vg/containers_c--1",
                           "mount -t ext4 -o discard /dev/vg/containers_c--1 aside",
                           "resize2fs /dev/vg/containers_c--1", "umount aside"});
    CHECK(driver->quotas()->usage(kC1) == 5ll << 30);
    driver->quotas()->set_quota(kC1, 0);
    CHECK(calls() == Calls{kList});
}

TEST_CASE_FIXTURE(Fixture, "lvm: a filesystem shrinks before its volume, where it can") {
    thin();
    listed("containers_c--1;10737418240;;50.00;\n");
    const auto shrink = [&] { driver->quotas()->set_quota(kC1, 5ll << 30); };
    shrink();
    auto done = calls();
    done.erase(done.begin(), done.begin() + 3);
    CHECK(done == Calls{"e2fsck -f -y /dev/vg/containers_c--1", "resize2fs /dev/vg/containers_c--1 5242880K",
                        "lvresize -L 5368709120b -f vg/containers_c--1"});
    done = calls_failing("resize2fs", shrink);
    CHECK(done.back() == "resize2fs /dev/vg/containers_c--1 5242880K");
    host->filesystem = "xfs";
    CHECK(failure(shrink) == "Filesystem \"xfs\" cannot be shrunk: Cannot be shrunk");
    host->filesystem = "btrfs";
    calls();
    shrink();
    CHECK(calls().back() == "lvresize -L 5368709120b -f vg/containers_c--1");
    host->filesystem = "ext4";
    there("containers_c--1");
    driver->mount_volume(kC1);
    CHECK(failure(shrink) == "In use");
}

TEST_CASE_FIXTURE(Fixture, "lvm thick: what has snapshots grows unused and with them, and does not shrink") {
    thick();
    listed("containers_c--1;10737418240;;;\ncontainers_c--1-s--0;10737418240;containers_c--1;;\n");
    driver->quotas()->set_quota(kC1, 20ll << 30);
    CHECK(calls() == Calls{kList, "vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvchange --yes --activate y --ignoreactivationskip vg/containers_c--1",
                           "lvchange --activate n --ignoreactivationskip vg/containers_c--1",
                           "lvresize -L 21474836480b -f vg/containers_c--1",
                           "lvresize -L 21474836480b -f vg/containers_c--1-s--0",
                           "lvchange --yes --activate y --ignoreactivationskip vg/containers_c--1",
                           "lvchange --yes --activate y --ignoreactivationskip vg/containers_c--1",
                           "mount -t ext4 -o discard /dev/vg/containers_c--1 aside",
                           "resize2fs /dev/vg/containers_c--1", "umount aside"});
    tools->fail("lvchange --activate n", "in use");
    CHECK(failure([&] { driver->quotas()->set_quota(kC1, 20ll << 30); }) == "In use");
    calls();
    CHECK(failure([&] { driver->quotas()->set_quota(kC1, 5ll << 30); }) ==
          "Volumes with snapshots cannot be shrunk in this pool");
    CHECK(calls().size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "lvm thick: a copy of a snapshot is as large as its origin, however little it keeps") {
    thick();
    listed("containers_c--1;10737418240;;;\ncontainers_c--1-s--0;4194304;containers_c--1;;\n");
    driver->stage_clone({VolumePlace::Instance, "d"}, kSnap, {});
    CHECK(calls()[1] == "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 10737418240b vg");
}

TEST_CASE_FIXTURE(Fixture, "lvm thick: of a snapshot whose origin has grown only its own bytes are taken") {
    thick();
    listed("containers_c--1;21474836480;;;\ncontainers_c--1-s--0;21474836480;containers_c--1;;x,lxdcore.size=10485760\n"
           "custom_b.block;21474836480;;;\ncustom_b-s.block;21474836480;custom_b.block;;lxdcore.size=10485760\n");
    driver->stage_clone({VolumePlace::Instance, "d"}, kSnap, {});
    CHECK(calls() == Calls{kList, "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 10485760b vg",
                           "lvchange --yes --activate y --ignoreactivationskip vg/containers_c--1-s--0",
                           "copy /dev/vg/containers_c--1-s--0 /dev/vg/lxdcore-new-#1 10485760"});
    const VolumeId snapshot{.place = VolumePlace::Custom, .name = "b", .snapshot = "s", .block = true};
    CHECK(driver->block_bytes(snapshot, -1) == 10485760);
    calls();
    // What takes the place of the volume is as large as it, and holds nothing of others behind the end.
    driver->stage_clone({.place = VolumePlace::Custom, .name = "b", .config = {{"size", "20MiB"}}, .block = true},
                        snapshot, {});
    CHECK(calls() == Calls{kList, "vgs --noheadings --units b --nosuffix -o vg_extent_size vg",
                           "lvcreate --name lxdcore-new-#1 --yes --wipesignatures y --size 20971520b vg",
                           "lvchange --yes --activate y --ignoreactivationskip vg/custom_b-s.block",
                           "copy /dev/vg/custom_b-s.block /dev/vg/lxdcore-new-#1 10485760",
                           "zero /dev/vg/lxdcore-new-#1 from 10485760"});
}

TEST_CASE_FIXTURE(Fixture, "lvm: the pool's numbers are those of the thin pool or of the group") {
    thin();
    tools->answer("lvs --noheadings --units b --nosuffix --separator , -o lv_size,data_percent", " 1000,25.00\n");
    CHECK(driver->resources().space.total == 1000);
    CHECK(driver->resources().space.used == 250);
    thick();
    tools->answer("vgs --noheadings --units b --nosuffix --separator , -o vg_size,vg_free", " 1000,400\n");
    CHECK(driver->resources().space.used == 600);
}

TEST_CASE_FIXTURE(Fixture, "lvm: a changed pool is renamed; what is fixed is refused") {
    thin();
    auto config = driver ? api::StringMap{{"source", "vg"}, {"lvm.vg_name", "vg2"}, {"lvm.thinpool_name", "tp"}}
                         : api::StringMap{};
    driver->update_pool(config);
    CHECK(calls() == Calls{"lvrename vg LXDThinPool tp", "vgrename vg vg2"});
    config["lvm.use_thinpool"] = "false";
    CHECK(failure([&] { driver->update_pool(config); }) == "lvm.use_thinpool cannot be changed");
    config.erase("lvm.use_thinpool");
    config["volume.lvm.stripes"] = "2";
    CHECK(failure([&] { driver->update_pool(config); }) == "volume.lvm.stripes cannot be changed when using thin pool");
}

TEST_CASE_FIXTURE(Fixture, "lvm: volumes and snapshots are listed by their names") {
    thin();
    listed("LXDThinPool;5;;1;\ncontainers_c--1;5;;;\ncontainers_c--1-s--0;5;;;\nimages_f;5;;;\nlxdcore-new-1;5;;;\n");
    CHECK(driver->list(VolumePlace::Instance) == std::vector<std::string>{"c-1"});
    CHECK(driver->list(VolumePlace::Image) == std::vector<std::string>{"f"});
    CHECK(driver->list_snapshots(kC1) == std::vector<std::string>{"s-0"});
}
