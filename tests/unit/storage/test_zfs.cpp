// SPDX-License-Identifier: Apache-2.0
#include "unit/storage/driver_fixture.hpp"

#include "storage/drivers/zfs/zfs_driver.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using test::Calls;

namespace {

const std::string kHas = "zfs list -H -o name -t all ";
const std::string kSnapshots = "zfs list -H -o name -s creation -t snapshot -d 1 ";
const std::string kMake = "zfs create -o mountpoint=legacy -o canmount=noauto ";
const std::string kClone = "zfs clone -o mountpoint=legacy -o canmount=noauto ";
const std::string kOrigin = "zfs get -H -p -o value origin ";
const std::string kTimes = "zfs get -H -p -o value atime,relatime ";

const VolumeId kC1{VolumePlace::Instance, "c1"};
const VolumeId kSnap{VolumePlace::Instance, "c1", "s0"};

struct Fixture : test::DriverFixture<ZfsDriver> {
    Fixture() {
        host->modules.insert("zfs");
        tools->answer("zfs list -H -r", "z\n");
        make({{"source", "z"}, {"zfs.pool_name", "z"}});
        driver->mount_pool();
        tools->take();
        tools->fail(kHas + "z/containers/", "dataset does not exist");
        tools->fail(kSnapshots);
        tools->answer("zfs get -H -p -o value origin", "-\n");
    }
    void with(api::StringMap more) {
        more.insert({{"source", "z"}, {"zfs.pool_name", "z"}});
        make(std::move(more));
    }
    void there(const std::string& object) { tools->answer(kHas + object, "x"); }
    void snapshots(const std::string& dataset, const char* names) { tools->answer(kSnapshots + dataset, names); }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "zfs: names that could be options, paths or snapshots never reach a program") {
    for (const char* bad : {"-f", "--help", "", "..", ".x", "a/b", "a b", "a\nb", "a@b", "a,b", "a%b", "$(x)"}) {
        CHECK_THROWS_AS(driver->stage({VolumePlace::Instance, bad}), Error);
        CHECK_THROWS_AS(driver->set_aside({VolumePlace::Instance, bad}), Error);
        CHECK_THROWS_AS(driver->rename(kC1, bad), Error);
        if (*bad != 0) CHECK_THROWS_AS(driver->exists({VolumePlace::Instance, "c", bad}), Error);
        api::StringMap config{{"source", bad}};
        if (*bad != 0 && std::string{bad} != "a/b") CHECK_THROWS_AS(driver->prepare_config(config), Error);
    }
    CHECK(calls().empty());
}

TEST_CASE_FIXTURE(Fixture, "zfs: without the module or the tools a pool is refused with LXD's texts") {
    api::StringMap config;
    const auto text = [&] { return failure([&] { driver->prepare_config(config); }); };
    tools->missing["zfs"] = true;
    CHECK(text() == "Required tool 'zfs' is missing");
    CHECK(calls().empty());
    host->modules.clear();
    tools->fail("modprobe -b zfs", "modprobe: FATAL: Module zfs not found");
    CHECK(text() ==
          "Error loading \"zfs\" module: Failed to run: modprobe -b zfs: exit status 1 (modprobe: FATAL: Module "
          "zfs not found)");
    tools->missing["modprobe"] = true;
    CHECK(text() ==
          "Error loading \"zfs\" module: Failed to run: modprobe -b zfs: exec: \"modprobe\": executable file not "
          "found in $PATH");
}

TEST_CASE_FIXTURE(Fixture, "zfs: bad sources and combinations are refused with LXD's texts") {
    const auto text = [&](api::StringMap config) { return failure([&] { driver->prepare_config(config); }); };
    CHECK(text({{"source", "/tmp"}}) == "Custom loop file locations are not supported");
    CHECK(text({{"zfs.pool_name", "z/x"}}) == "zfs.pool_name can't point to a dataset when source isn't set");
    CHECK(text({{"source", "z"}, {"zfs.pool_name", "y"}}) == "The source must match zfs.pool_name if specified");
    tools->answer("zfs list -H -r -o name z/x", "z/x\nz/x/y\n");
    CHECK(text({{"source", "z/x"}}) ==
          "Provided ZFS pool (or dataset) isn't empty, run \"sudo zfs list z/x\" to see existing entries");
    with({});
    CHECK(failure([&] { driver->update_pool({{"zfs.pool_name", "y"}}); }) == "zfs.pool_name cannot be modified");
}

TEST_CASE_FIXTURE(Fixture, "zfs: a pool in a file is made with LXD's datasets, and removed") {
    api::StringMap config{{"source", (temp / "disks/p.img").string()}, {"size", "5GiB"}, {"zfs.pool_name", "p"}};
    make(config);
    tools->fail("zpool list");
    tools->answer("zfs list -H -r -o name -t filesystem p", "p\np/containers\n");
    driver->create_pool(config);
    CHECK(calls() ==
          Calls{"zpool list -H -o name p", "zpool create -m none -O compression=on p $/disks/p.img",
                "zfs set relatime=on mountpoint=legacy setuid=on exec=on devices=on acltype=posixacl xattr=sa p",
                "zfs list -H -r -o name -t filesystem p", kMake + "p/deleted", kMake + "p/buckets",
                kMake + "p/deleted/buckets", kMake + "p/deleted/containers", kMake + "p/custom",
                kMake + "p/deleted/custom", kMake + "p/images", kMake + "p/deleted/images",
                kMake + "p/virtual-machines", kMake + "p/deleted/virtual-machines"});
    CHECK(std::filesystem::file_size(temp / "disks/p.img") == 5ull << 30);
    tools->answer("zfs list -H -r -o name p", "p\np/containers\np/containers/c\n");
    CHECK(failure([&] { driver->delete_pool(); }) == "ZFS pool has leftover datasets: containers/c");
    calls();
    tools->answer("zfs list -H -r -o name p", "p\np/containers\np/images\np/images/f\np/deleted/images/x\n");
    driver->delete_pool();
    CHECK(calls() == Calls{kHas + "p", "zfs list -H -r -o name p", "zpool destroy p"});
    CHECK_FALSE(std::filesystem::exists(temp / "disks/p.img"));
    CHECK_FALSE(std::filesystem::exists(temp / "storage-pools/p"));
}

TEST_CASE_FIXTURE(Fixture, "zfs: a pool whose datasets cannot be made is destroyed again") {
    api::StringMap config{{"source", (temp / "disks/p.img").string()}, {"size", "5GiB"}, {"zfs.pool_name", "p"}};
    make(config);
    tools->fail("zpool list");
    const auto done = calls_failing("zfs create", [&] { driver->create_pool(config); });
    CHECK(done.back() == "zpool destroy p");
    CHECK_FALSE(std::filesystem::exists(temp / "disks/p.img"));
}

TEST_CASE_FIXTURE(Fixture, "zfs: on a device and in a dataset the source becomes what is found again") {
    api::StringMap config{{"source", "/dev/sdz"}, {"zfs.pool_name", "p"}};
    make(config);
    tools->fail("zpool list");
    driver->create_pool(config);
    CHECK(calls()[1] == "zpool create -f -m none -O compression=on p /dev/sdz");
    CHECK(config.at("source") == "p");
    config = {{"source", "z/x"}, {"zfs.pool_name", "z/x"}};
    make(config);
    tools->fail(kHas + "z/x");
    driver->create_pool(config);
    CHECK(calls()[2] == "zfs create -o mountpoint=legacy z/x");
    tools->forget(kHas + "z/x");
    tools->answer("zfs list -H -r -o name z/x", "z/x\n");
    driver->delete_pool();
    CHECK(calls().back() == "zfs destroy -r z/x");
}

TEST_CASE_FIXTURE(Fixture, "zfs: a pool that is not imported is imported") {
    make({{"source", (temp / "disks/p.img").string()}, {"zfs.pool_name", "p"}});
    tools->fail(kHas + "p");
    CHECK(failure([&] { driver->mount_pool(); }) == "ZFS zpool exists but dataset is missing");
    CHECK(calls()[1] == "zpool import -f -d $/disks p");
    make({{"source", "p"}, {"zfs.pool_name", "p"}});
    tools->fail("zpool list");
    tools->fail("zpool import", "no such pool");
    CHECK(failure([&] { driver->mount_pool(); }) == "Failed to run: zpool import p: exit status 1 (no such pool)");
}

TEST_CASE_FIXTURE(Fixture, "zfs: a volume is a dataset that gets its name last") {
    with({{"volume.zfs.blocksize", "64KiB"}});
    tools->answer(kTimes, "off\non\n");
    driver->publish(driver->stage(kC1));
    CHECK(calls() == Calls{kSnapshots + "z/containers/c1",
                           "zfs create -o mountpoint=legacy -o canmount=noauto -o recordsize=65536 "
                           "z/deleted/containers/lxdcore-new-#1",
                           kTimes + "z/deleted/containers/lxdcore-new-#1",
                           "mount -t zfs -o noatime z/deleted/containers/lxdcore-new-#1 aside", "umount aside",
                           "zfs rename z/deleted/containers/lxdcore-new-#1 z/containers/c1"});
    there("z/containers/c1");
    driver->mount_volume(kC1);
    CHECK(calls().back() == "mount -t zfs -o noatime z/containers/c1 p/containers/c1");
    driver->unmount_volume(kC1);
    CHECK(calls() == Calls{"umount c1"});
}

TEST_CASE_FIXTURE(Fixture, "zfs: an image is kept as a snapshot, and instances are clones of it") {
    const VolumeId image{VolumePlace::Image, "f"};
    driver->publish({image, "z/deleted/images/lxdcore-new-1"});
    CHECK(calls() == Calls{"zfs snapshot z/deleted/images/lxdcore-new-1@readonly",
                           "zfs rename z/deleted/images/lxdcore-new-1 z/images/f"});
    driver->publish(driver->stage_clone(kC1, image, {}));
    CHECK(calls() == Calls{kHas + "z/images/f", kSnapshots + "z/containers/c1",
                           kClone + "z/images/f@readonly z/deleted/containers/lxdcore-new-#1",
                           "zfs rename z/deleted/containers/lxdcore-new-#1 z/containers/c1"});
}

TEST_CASE_FIXTURE(Fixture, "zfs: a copy is a clone, or a stream where that is wished") {
    there("z/containers/c1");
    const VolumeId copy{VolumePlace::Instance, "c2"};
    driver->stage_clone(copy, kC1, {});
    CHECK(calls() == Calls{kHas + "z/containers/c1", kSnapshots + "z/containers/c2",
                           "zfs snapshot z/containers/c1@copy-#1",
                           kClone + "z/containers/c1@copy-#1 z/deleted/containers/lxdcore-new-#2"});
    const std::string receive = " | zfs receive -u -o mountpoint=legacy -o canmount=noauto "
                                "z/deleted/containers/lxdcore-new-#2";
    with({{"zfs.clone_copy", "false"}});
    driver->stage_clone(copy, kC1, {});
    CHECK(calls() == Calls{kHas + "z/containers/c1", kSnapshots + "z/containers/c2",
                           "zfs snapshot z/containers/c1@copy-#1", "zfs send z/containers/c1@copy-#1" + receive,
                           "zfs destroy z/deleted/containers/lxdcore-new-#2@copy-#1",
                           "zfs destroy z/containers/c1@copy-#1"});
    with({{"zfs.clone_copy", "rebase"}});
    tools->answer(kOrigin + "z/containers/c1", "z/images/f@readonly\n");
    driver->stage_clone(copy, kC1, {});
    CHECK(calls()[4] == "zfs send -i z/images/f@readonly z/containers/c1@copy-#1" + receive);
}

TEST_CASE_FIXTURE(Fixture, "zfs: a snapshot is made under a name of its own and renamed") {
    there("z/containers/c1");
    const auto staged = driver->stage_clone(kSnap, kC1, {});
    driver->publish(staged);
    driver->discard(driver->stage_clone(kSnap, kC1, {}));
    CHECK(calls() == Calls{kHas + "z/containers/c1", "zfs snapshot z/containers/c1@lxdcore-new-#1",
                           "zfs rename z/containers/c1@lxdcore-new-#1 z/containers/c1@snapshot-s0",
                           kHas + "z/containers/c1", "zfs snapshot z/containers/c1@lxdcore-new-#2",
                           kHas + "z/containers/c1@lxdcore-new-#2", "zfs destroy -r z/containers/c1@lxdcore-new-#2"});
    there("z/containers/c1@snapshot-s0");
    driver->mount_volume(kSnap);
    CHECK(calls().back() == "mount -t zfs -o ro z/containers/c1@snapshot-s0 p/containers-snapshots/c1/s0");
}

TEST_CASE_FIXTURE(Fixture, "zfs: a restored volume keeps the history of the old one") {
    there("z/containers/c1");
    snapshots("z/containers/c1", "z/containers/c1@snapshot-s0\n");
    const auto staged = driver->stage_clone(kC1, kSnap, {});
    CHECK(calls() == Calls{kHas + "z/containers/c1@snapshot-s0", kSnapshots + "z/containers/c1",
                           kClone + "z/containers/c1@snapshot-s0 z/deleted/containers/lxdcore-new-#1"});
    tools->answer(kOrigin + staged.name, "z/containers/c1@snapshot-s0\n");
    tools->answer(kOrigin + "z/deleted/containers/lxdcore-take-", "z/images/f@readonly\n");
    driver->exchange(staged);
    CHECK(calls() == Calls{kSnapshots + "z/containers/c1", kOrigin + "z/deleted/containers/lxdcore-new-#1",
                           "zfs rename z/deleted/containers/lxdcore-new-#1 z/deleted/containers/lxdcore-take-#2.c1",
                           kOrigin + "z/deleted/containers/lxdcore-take-#2.c1", kHas + "z/containers/c1",
                           "zfs rename z/containers/c1 z/deleted/containers/lxdcore-new-#1",
                           "zfs rename z/deleted/containers/lxdcore-take-#2.c1 z/containers/c1"});
    tools->answer(kOrigin + staged.name, "-\n");
    CHECK(failure([&] { driver->exchange(staged); }) == "z/containers/c1 has snapshots that would be lost");
}

TEST_CASE_FIXTURE(Fixture, "zfs: all of the history that is shared goes to what takes the place, and no more") {
    there("z/containers/c1");
    snapshots("z/containers/c1", "z/containers/c1@snapshot-s0\n");
    const Staged staged{kC1, "z/deleted/containers/lxdcore-new-1"};
    tools->answer(kOrigin + staged.name, "z/containers/c1@snapshot-s0\n");
    const auto take = kOrigin + "z/deleted/containers/lxdcore-take-";
    tools->answer_once(take, "z/deleted/containers/lxdcore-new-2@snapshot-s0\n");
    tools->answer_once(take, "z/containers/c1@snapshot-s0\n");
    tools->answer_once(take, "z/images/f@readonly\n");
    driver->exchange(staged);
    const auto done = calls();
    CHECK(std::count(done.begin(), done.end(), "zfs promote z/deleted/containers/lxdcore-take-#1.c1") == 2);
    CHECK(done[8] == kHas + "z/containers/c1");
    CHECK(done[9] == "zfs rename z/containers/c1 z/deleted/containers/lxdcore-new-1");
}

TEST_CASE_FIXTURE(Fixture, "zfs: newer snapshots forbid a restore unless they may go") {
    there("z/containers/c1");
    snapshots("z/containers/c1", "z/containers/c1@snapshot-s0\nz/containers/c1@snapshot-s1\n");
    CHECK(failure([&] { driver->stage_clone(kC1, kSnap, {}); }) ==
          "Snapshot \"s0\" cannot be restored due to subsequent snapshot(s). Set zfs.remove_snapshots to override");
    with({{"volume.zfs.remove_snapshots", "true"}});
    driver->stage_clone(kC1, kSnap, {});
    CHECK(calls().back() == kClone + "z/containers/c1@snapshot-s0 z/deleted/containers/lxdcore-new-#1");
}

TEST_CASE_FIXTURE(Fixture, "zfs: an exchange that was interrupted is finished, wherever that was") {
    const std::string below = "zfs list -H -r -o name -t filesystem,volume z/deleted";
    const std::string take = "z/deleted/containers/lxdcore-take-1.c1";
    const Calls tail{below, "zfs list -H -r -o name -t snapshot z"};
    const auto swept = [&] {
        driver->sweep();
        auto done = calls();
        REQUIRE(done.size() > 3);
        CHECK(Calls(done.end() - 2, done.end()) == tail);
        done.resize(done.size() - 2);
        return done;
    };
    tools->answer("zfs list -H -r -o name -t snapshot z", "");
    tools->answer(below, ("z/deleted\nz/deleted/containers\n" + take + "\n").c_str());
    there("z/containers/c1");
    CHECK(swept() == Calls{below, kOrigin + take, kHas + "z/containers/c1",
                           "zfs rename z/containers/c1 z/deleted/containers/lxdcore-old-#1",
                           "zfs rename " + take + " z/containers/c1"});
    tools->forget(kHas + "z/containers/c1"); // the old one has lost its name already
    CHECK(swept() == Calls{below, kOrigin + take, kHas + "z/containers/c1", "zfs rename " + take + " z/containers/c1"});
}

TEST_CASE_FIXTURE(Fixture, "zfs: leftovers go at the next start, snapshots of copies with their last clone") {
    tools->answer("zfs list -H -r -o name -t filesystem,volume z/deleted",
                  "z/deleted\nz/deleted/containers/lxdcore-new-1\nz/deleted/containers/lxdcore-old-1\n");
    tools->answer("zfs list -H -r -o name -t snapshot z",
                  "z/containers/c1@copy-1\nz/containers/c1@snapshot-s\nz/images/f@readonly\n");
    there("z/containers/c1@copy-1");
    tools->answer("zfs destroy -r z/containers/c1@copy-1",
                  RunResult{.code = 1, .out = {}, .err = "cannot destroy: snapshot has dependent clones"});
    driver->sweep();
    const auto done = calls();
    CHECK(Calls(done.begin() + 2, done.end()) ==
          Calls{kHas + "z/deleted/containers/lxdcore-new-1", kOrigin + "z/deleted/containers/lxdcore-new-1",
                "zfs destroy -r z/deleted/containers/lxdcore-new-1", kHas + "z/deleted/containers/lxdcore-old-1",
                kOrigin + "z/deleted/containers/lxdcore-old-1", "zfs destroy -r z/deleted/containers/lxdcore-old-1",
                "zfs list -H -r -o name -t snapshot z", kHas + "z/containers/c1@copy-1",
                "zfs destroy -r z/containers/c1@copy-1"});
}

TEST_CASE_FIXTURE(Fixture, "zfs: an image that was set aside goes with its last clone") {
    const std::string old = "z/deleted/images/lxdcore-old-1";
    tools->answer(kOrigin + "z/deleted/containers/lxdcore-old-2", (old + "@readonly\n").c_str());
    driver->discard({kC1, "z/deleted/containers/lxdcore-old-2"});
    CHECK(calls() == Calls{kHas + "z/deleted/containers/lxdcore-old-2", kOrigin + "z/deleted/containers/lxdcore-old-2",
                           "zfs destroy -r z/deleted/containers/lxdcore-old-2", kHas + old, kOrigin + old,
                           "zfs destroy -r " + old});
}

TEST_CASE_FIXTURE(Fixture, "zfs: a snapshot from elsewhere is made part of the volume's history") {
    there("z/containers/c1");
    host->content("z/containers/c1").write("now", "x");
    const auto staged = driver->stage(kSnap);
    driver->open_staged(staged).write("then", "y");
    calls();
    driver->publish(staged);
    const auto S = std::string{"z/deleted/containers/lxdcore-new-#1"};
    const auto T = std::string{"z/deleted/containers/lxdcore-new-#2"};
    const auto take = std::string{"z/deleted/containers/lxdcore-take-#3.c1"};
    const auto old = std::string{"z/deleted/containers/lxdcore-old-#4"};
    CHECK(calls() == Calls{"umount aside",
                           kSnapshots + S,
                           "zfs snapshot " + S + "@snapshot-s0",
                           kClone + S + "@snapshot-s0 " + T,
                           kTimes + T,
                           "mount -t zfs -o  " + T + " aside",
                           kHas + "z/containers/c1",
                           kTimes + "z/containers/c1",
                           "mount -t zfs -o  z/containers/c1 aside",
                           "umount aside",
                           "zfs rename " + T + " " + take,
                           kOrigin + take,
                           kHas + "z/containers/c1",
                           "zfs rename z/containers/c1 " + old,
                           "zfs rename " + take + " z/containers/c1",
                           kHas + old,
                           kOrigin + old,
                           "zfs destroy -r " + old,
                           kHas + S,
                           kOrigin + S,
                           "zfs destroy -r " + S});
}

TEST_CASE_FIXTURE(Fixture, "zfs: names change in one step, with everything below them") {
    there("z/containers/c1");
    driver->rename(kC1, "d");
    there("z/containers/c1@snapshot-s0");
    driver->rename(kSnap, "s1");
    CHECK(calls() == Calls{kHas + "z/containers/c1", "zfs rename z/containers/c1 z/containers/d",
                           kHas + "z/containers/c1@snapshot-s0",
                           "zfs rename z/containers/c1@snapshot-s0 z/containers/c1@snapshot-s1"});
    tools->forget(kHas + "z/containers/c1");
    there("z/containers/d");
    driver->rename(kC1, "d"); // again, after an interruption
    CHECK(calls() == Calls{kHas + "z/containers/c1", kHas + "z/containers/d"});
}

TEST_CASE_FIXTURE(Fixture, "zfs: what is set aside is out of sight") {
    CHECK_FALSE(driver->set_aside(kC1));
    there("z/containers/c1");
    there("z/containers/c1@snapshot-s0");
    driver->set_aside(kSnap);
    driver->set_aside(kC1);
    auto done = calls();
    CHECK(done[2] == "zfs rename z/containers/c1@snapshot-s0 z/containers/c1@lxdcore-old-#1");
    CHECK(done[4] == "zfs rename z/containers/c1 z/deleted/containers/lxdcore-old-#2");
}

TEST_CASE_FIXTURE(Fixture, "zfs: sizes are quotas, and reservations where that is wished") {
    driver->quotas()->set_quota(kC1, 1 << 30);
    driver->quotas()->set_quota(kC1, 0);
    CHECK(calls() == Calls{"zfs set quota=1073741824 z/containers/c1", "zfs set quota=none z/containers/c1"});
    with({{"volume.zfs.use_refquota", "true"}, {"volume.zfs.reserve_space", "true"}});
    driver->quotas()->set_quota(kC1, 1 << 30);
    CHECK(calls() ==
          Calls{"zfs set refquota=1073741824 z/containers/c1", "zfs set refreservation=1073741824 z/containers/c1"});
    tools->answer("zfs get -H -p -o value referenced z/containers/c1", "77\n");
    CHECK(driver->quotas()->usage(kC1) == 77);
    tools->answer("zfs get -H -p -o value used,available z", "10\n90\n");
    CHECK(driver->resources().space.total == 100);
}

TEST_CASE_FIXTURE(Fixture, "zfs: volumes and snapshots are listed by their names") {
    tools->answer("zfs list -H -o name -t filesystem -d 1 z/containers",
                  "z/containers\nz/containers/b\nz/containers/a\n");
    CHECK(driver->list(VolumePlace::Instance) == std::vector<std::string>{"a", "b"});
    snapshots("z/containers/c1", "z/containers/c1@snapshot-z\nz/containers/c1@copy-1\nz/containers/c1@snapshot-a\n");
    CHECK(driver->list_snapshots(kC1) == std::vector<std::string>{"z", "a"});
}

TEST_CASE_FIXTURE(Fixture, "zfs: volumes are streams of the backend") {
    there("z/containers/c1");
    {
        const auto base = driver->send_receive()->source(kSnap);
        const auto source = driver->send_receive()->source(kC1);
        REQUIRE(source->parts().size() == 1);
        source->send("/", base.get(), 1, {});
    }
    CHECK(calls() == Calls{"zfs snapshot z/containers/c1@lxdcore-new-#1",
                           "zfs send --compressed -i z/containers/c1@snapshot-s0 z/containers/c1@lxdcore-new-#1",
                           kHas + "z/containers/c1@lxdcore-new-#1", "zfs destroy -r z/containers/c1@lxdcore-new-#1"});
    const std::string receive = "zfs receive -u -o mountpoint=legacy -o canmount=noauto "
                                "z/deleted/containers/lxdcore-new-#1";
    {
        const auto sink = driver->send_receive()->sink(kC1);
        sink->receive({"/"}, 0, {});
        tools->answer(kSnapshots + "z/deleted/containers/lxdcore-new-", "z/deleted/containers/lxdcore-new-1@x\n");
        sink->finish();
    }
    CHECK(calls() == Calls{receive, kSnapshots + "z/deleted/containers/lxdcore-new-#1",
                           "zfs destroy z/deleted/containers/lxdcore-new-1@x"});
    CHECK(calls_failing("zfs receive", [&] { driver->send_receive()->sink(kC1)->receive({"/"}, 0, {}); }) ==
          Calls{receive, kHas + "z/deleted/containers/lxdcore-new-#1", kOrigin + "z/deleted/containers/lxdcore-new-#1",
                "zfs destroy -r z/deleted/containers/lxdcore-new-#1"});
}
