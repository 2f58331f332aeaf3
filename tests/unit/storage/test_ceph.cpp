// SPDX-License-Identifier: Apache-2.0
#include "unit/storage/driver_fixture.hpp"

#include "storage/drivers/ceph/ceph_driver.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using test::Calls;

namespace {

const std::string kRbd = "rbd --id admin --cluster ceph --pool o ";
const std::string kCeph = "ceph --name client.admin --cluster ceph ";
const std::string kShown = kRbd + "--format json showmapped";
const std::string kDelete = kCeph + "osd pool delete o o --yes-i-really-really-mean-it";

const VolumeId kC1{VolumePlace::Instance, "c1"};
const VolumeId kSnap{VolumePlace::Instance, "c1", "s0"};

struct Fixture : test::DriverFixture<CephDriver> {
    Fixture() {
        with({});
        driver->mount_pool();
        tools->take();
        tools->answer(kShown, "[]");
        tools->answer(kRbd + "map", "/dev/rbd0\n");
        tools->answer(kRbd + "--format json info", R"({"size": 10737418240})");
        tools->fail(kRbd + "info container_");
    }
    void with(api::StringMap more) {
        more.insert({{"source", "o"}, {"ceph.osd.pool_name", "o"}});
        make(std::move(more));
    }
    void there(const std::string& object) { tools->answer(kRbd + "info " + object, "x"); }
    void snapshots(const std::string& image, const char* json) {
        tools->answer(kRbd + "--format json snap ls " + image, json);
    }
};

Calls mapped(const std::string& object) { return {kShown, kRbd + "map " + object}; }

Calls join(std::initializer_list<Calls> parts) {
    Calls all;
    for (const auto& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "ceph: names that could be options, pools or snapshots never reach a program") {
    for (const char* bad : {"-f", "--help", "", "..", ".x", "a/b", "a b", "a\nb", "a@b", "a,b", "$(x)"}) {
        CHECK_THROWS_AS(driver->stage({VolumePlace::Instance, bad}), Error);
        CHECK_THROWS_AS(driver->set_aside({VolumePlace::Instance, bad}), Error);
        CHECK_THROWS_AS(driver->rename(kC1, bad), Error);
        if (*bad == 0) continue;
        CHECK_THROWS_AS(driver->exists({VolumePlace::Instance, "c", bad}), Error);
        for (const char* key : {"source", "ceph.cluster_name", "ceph.user.name", "ceph.osd.data_pool_name"}) {
            api::StringMap config{{key, bad}};
            CHECK_THROWS_AS(driver->prepare_config(config), Error);
        }
    }
    CHECK(calls().empty());
}

TEST_CASE_FIXTURE(Fixture, "ceph: a pool is refused with LXD's texts") {
    const auto text = [&](api::StringMap config) { return failure([&] { driver->prepare_config(config); }); };
    CHECK(text({{"source", "a"}, {"ceph.osd.pool_name", "b"}}) ==
          "The \"source\" and \"ceph.osd.pool_name\" property must not differ for Ceph OSD storage pools");
    tools->missing["rbd"] = true;
    CHECK(text({}) == "Required tool 'rbd' is missing");
    tools->missing["ceph"] = true;
    CHECK(text({}) == "Required tool 'ceph' is missing");
    CHECK(calls().empty());
}

TEST_CASE_FIXTURE(Fixture, "ceph: a pool is made with its mark, and deleted if it was ours alone") {
    api::StringMap config;
    driver->prepare_config(config);
    CHECK(config.at("source") == "p");
    config = {{"source", "o"}, {"ceph.osd.pool_name", "o"}};
    tools->fail(kCeph + "osd pool get");
    tools->fail(kRbd + "info lxd_o");
    driver->create_pool(config);
    CHECK(config.at("volatile.pool.pristine") == "true");
    CHECK(calls() == Calls{kCeph + "osd pool get o size", kCeph + "osd pool create o 32", kRbd + "pool init o",
                           kRbd + "info lxd_o", kRbd + "--image-feature layering --size 0B create lxd_o"});
    tools->forget(kCeph + "osd pool get");
    driver->delete_pool();
    CHECK(calls() == Calls{kCeph + "osd pool get o size", kDelete});
    CHECK_FALSE(std::filesystem::exists(temp / "storage-pools/p"));
}

TEST_CASE_FIXTURE(Fixture, "ceph: a pool that cannot be marked is deleted again") {
    api::StringMap config{{"source", "o"}, {"ceph.osd.pool_name", "o"}};
    tools->fail(kCeph + "osd pool get");
    tools->fail(kRbd + "info lxd_o");
    CHECK(calls_failing(kRbd + "--image-feature", [&] { driver->create_pool(config); }).back() == kDelete);
}

TEST_CASE_FIXTURE(Fixture, "ceph: the pool of another LXD is taken only by force, and stays") {
    api::StringMap config{{"source", "o"}, {"ceph.osd.pool_name", "o"}};
    CHECK(failure([&] { driver->create_pool(config); }) ==
          "Pool 'o' in cluster 'ceph' seems to be in use by another LXD instance. Use 'ceph.osd.force_reuse=true' to "
          "force");
    config["ceph.osd.force_reuse"] = "true";
    driver->create_pool(config);
    CHECK(config.at("volatile.pool.pristine") == "false");
    calls();
    tools->answer(kRbd + "ls", "lxd_o\n");
    driver->delete_pool();
    CHECK(calls() == Calls{kCeph + "osd pool get o size", kRbd + "ls", kRbd + "info lxd_o", kRbd + "rm lxd_o"});
}

TEST_CASE_FIXTURE(Fixture, "ceph: a volume is an image with a filesystem that gets its name last") {
    with(
        {{"ceph.osd.data_pool_name", "ec"}, {"ceph.rbd.features", "layering,exclusive-lock"}, {"volume.size", "2GiB"}});
    driver->publish(driver->stage(kC1));
    CHECK(calls() ==
          join({{kRbd +
                 "--image-feature layering --image-feature exclusive-lock --data-pool ec --size 2147483648B create "
                 "lxdcore-new-#1"},
                mapped("lxdcore-new-#1"),
                {"mkfs.ext4 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/rbd0"},
                mapped("lxdcore-new-#1"),
                {"mount -t ext4 -o discard /dev/rbd0 aside", "umount aside", kRbd + "unmap lxdcore-new-#1",
                 kRbd + "unmap lxdcore-new-#1", kRbd + "rename lxdcore-new-#1 container_c1"}}));
    there("container_c1");
    tools->answer(kShown, R"([{"pool": "o", "name": "container_c1", "snap": "-", "device": "/dev/rbd7"}])");
    driver->mount_volume(kC1);
    driver->unmount_volume(kC1);
    CHECK(calls() == Calls{kRbd + "info container_c1", kShown, "mount -t ext4 -o discard /dev/rbd7 p/containers/c1",
                           "umount c1", kRbd + "unmap container_c1"});
}

TEST_CASE_FIXTURE(Fixture, "ceph: a volume whose filesystem cannot be made is removed") {
    there("lxdcore-new-");
    const auto done = calls_failing("mkfs.ext4", [&] { driver->stage(kC1); });
    CHECK(done.back() == kRbd + "rm lxdcore-new-#1");
}

TEST_CASE_FIXTURE(Fixture, "ceph: an image is kept as a protected snapshot, and instances are clones of it") {
    const VolumeId image{VolumePlace::Image, "f"};
    driver->publish({image, "lxdcore-new-1"});
    CHECK(calls() == Calls{kRbd + "snap create lxdcore-new-1@readonly", kRbd + "snap protect lxdcore-new-1@readonly",
                           kRbd + "unmap lxdcore-new-1", kRbd + "rename lxdcore-new-1 image_f_ext4"});
    host->filesystem = "xfs";
    driver->stage_clone(kC1, image, {});
    CHECK(calls() == join({{kRbd + "info image_f_ext4", kRbd + "snap protect image_f_ext4@readonly",
                            kRbd + "--image-feature layering clone o/image_f_ext4@readonly o/lxdcore-new-#1"},
                           mapped("lxdcore-new-#1"),
                           {"mount -t xfs -o nouuid /dev/rbd0 aside", "xfs_admin -U generate /dev/rbd0",
                            kRbd + "unmap lxdcore-new-#1"}}));
}

TEST_CASE_FIXTURE(Fixture, "ceph: a copy is a clone, or a full one where that is wished") {
    there("container_c1");
    const VolumeId copy{VolumePlace::Instance, "c2"};
    driver->stage_clone(copy, kC1, {});
    auto done = calls();
    CHECK(done[1] == kRbd + "snap create container_c1@zombie_snapshot_#1");
    CHECK(done[2] == kRbd + "snap protect container_c1@zombie_snapshot_#1");
    CHECK(done[3] == kRbd + "--image-feature layering clone o/container_c1@zombie_snapshot_#1 o/lxdcore-new-#2");
    with({{"ceph.rbd.clone_copy", "false"}});
    driver->stage_clone(copy, kC1, {});
    done = calls();
    CHECK(done[2] == kRbd + "cp o/container_c1@zombie_snapshot_#1 o/lxdcore-new-#2");
    CHECK(done[5] == kRbd + "snap rm container_c1@zombie_snapshot_#1");
}

TEST_CASE_FIXTURE(Fixture, "ceph: a snapshot of what is mounted is taken while nothing is written") {
    there("container_c1");
    driver->mount_volume(kC1);
    calls();
    driver->publish(driver->stage_clone(kSnap, kC1, {}));
    CHECK(calls() == Calls{kRbd + "info container_c1", "freeze p/containers/c1",
                           kRbd + "snap create container_c1@lxdcore-new-#1", "thaw p/containers/c1",
                           kRbd + "snap rename container_c1@lxdcore-new-#1 container_c1@snapshot_s0"});
    const auto done = calls_failing(kRbd + "snap create", [&] { driver->stage_clone(kSnap, kC1, {}); });
    CHECK(done.back() == "thaw p/containers/c1");
}

TEST_CASE_FIXTURE(Fixture, "ceph: without snapshots names change places; an interruption goes forward") {
    there("container_c1");
    driver->exchange({kC1, "lxdcore-new-1"});
    CHECK(calls() == Calls{kRbd + "--format json snap ls container_c1", kRbd + "unmap lxdcore-new-1",
                           kRbd + "rename lxdcore-new-1 lxdcore-take-#1.container_c1", kRbd + "unmap container_c1",
                           kRbd + "rename container_c1 lxdcore-new-1", kRbd + "unmap lxdcore-take-#1.container_c1",
                           kRbd + "rename lxdcore-take-#1.container_c1 container_c1"});
    tools->answer(kRbd + "ls", "lxdcore-take-1.container_c1\n");
    driver->sweep();
    auto done = calls();
    CHECK(done[2] == kRbd + "unmap container_c1");
    CHECK(done[3] == kRbd + "rename container_c1 lxdcore-old-#1");
    CHECK(done[5] == kRbd + "rename lxdcore-take-1.container_c1 container_c1");
    tools->forget(kRbd + "info container_c1");
    driver->sweep();
    done = calls();
    CHECK(done[3] == kRbd + "rename lxdcore-take-1.container_c1 container_c1");
}

TEST_CASE_FIXTURE(Fixture, "ceph: with snapshots the content changes, and what was there is kept until then") {
    there("container_c1");
    snapshots("container_c1", R"([{"name": "snapshot_s0"}])");
    const auto change = [&] { driver->exchange({kC1, "lxdcore-new-1"}); };
    change();
    CHECK(calls() ==
          join({{kRbd + "--format json snap ls container_c1", kRbd + "snap create container_c1@lxdcore-keep-#1",
                 kRbd + "--format json info lxdcore-new-1", kRbd + "--format json info container_c1"},
                mapped("container_c1"),
                mapped("lxdcore-new-1"),
                {"copy /dev/rbd0 /dev/rbd0", kRbd + "unmap lxdcore-new-1", kRbd + "unmap container_c1",
                 kRbd + "unmap container_c1@lxdcore-keep-#1", kRbd + "snap unprotect container_c1@lxdcore-keep-#1",
                 kRbd + "snap rm container_c1@lxdcore-keep-#1"}}));
    const auto done = calls_failing(kRbd + "map lxdcore-new-1", change);
    CHECK(done[done.size() - 4] == kRbd + "snap rollback container_c1@lxdcore-keep-#1");
    CHECK(done.back() == kRbd + "snap rm container_c1@lxdcore-keep-#1");
}

TEST_CASE_FIXTURE(Fixture, "ceph: content that was not changed to the end goes back at the next start") {
    tools->answer(kRbd + "ls", "container_c1\n");
    snapshots("container_c1", R"([{"name": "snapshot_s0"}, {"name": "lxdcore-keep-1"}])");
    driver->sweep();
    CHECK(calls() ==
          Calls{kRbd + "ls", kRbd + "ls", kRbd + "--format json snap ls container_c1", kRbd + "unmap container_c1",
                kRbd + "snap rollback container_c1@lxdcore-keep-1", kRbd + "unmap container_c1@lxdcore-keep-1",
                kRbd + "snap unprotect container_c1@lxdcore-keep-1", kRbd + "snap rm container_c1@lxdcore-keep-1"});
}

TEST_CASE_FIXTURE(Fixture, "ceph: a snapshot from elsewhere is made of its content, and what was there comes back") {
    there("container_c1");
    driver->publish({kSnap, "lxdcore-new-1"});
    const auto done = calls();
    CHECK(done[0] == kRbd + "snap create container_c1@lxdcore-keep-#1");
    const auto at = std::find(done.begin(), done.end(), kRbd + "snap create container_c1@snapshot_s0");
    REQUIRE(at != done.end());
    CHECK(at[2] == kRbd + "snap rollback container_c1@lxdcore-keep-#1");
    CHECK(at[5] == kRbd + "snap rm container_c1@lxdcore-keep-#1");
}

TEST_CASE_FIXTURE(Fixture, "ceph: what has clones becomes a zombie and goes with the last of them") {
    there("lxdcore-old-1");
    snapshots("lxdcore-old-1", R"([{"name": "readonly"}])");
    tools->answer(kRbd + "children lxdcore-old-1@readonly", "o/container_c1\n");
    driver->discard({{VolumePlace::Image, "f"}, "lxdcore-old-1"});
    CHECK(calls().back() == kRbd + "rename lxdcore-old-1 zombie_#1");
    tools->answer(kRbd + "--format json info lxdcore-old-2",
                  R"({"size": 5, "parent": {"pool": "o", "image": "zombie_1", "snapshot": "readonly"}})");
    snapshots("zombie_1", R"([{"name": "readonly"}])");
    driver->discard({kC1, "lxdcore-old-2"});
    CHECK(calls() == Calls{kRbd + "info lxdcore-old-2", kRbd + "--format json snap ls lxdcore-old-2",
                           kRbd + "--format json info lxdcore-old-2", kRbd + "unmap lxdcore-old-2",
                           kRbd + "rm lxdcore-old-2", kRbd + "info zombie_1", kRbd + "--format json snap ls zombie_1",
                           kRbd + "children zombie_1@readonly", kRbd + "--format json info zombie_1",
                           kRbd + "unmap zombie_1@readonly", kRbd + "snap unprotect zombie_1@readonly",
                           kRbd + "snap rm zombie_1@readonly", kRbd + "unmap zombie_1", kRbd + "rm zombie_1"});
}

TEST_CASE_FIXTURE(Fixture, "ceph: names change in one step, snapshots with their image") {
    there("container_c1");
    driver->rename(kC1, "d");
    there("container_c1@snapshot_s0");
    driver->rename(kSnap, "s1");
    CHECK(calls() == Calls{kRbd + "info container_c1", kRbd + "unmap container_c1",
                           kRbd + "rename container_c1 container_d", kRbd + "info container_c1@snapshot_s0",
                           kRbd + "snap rename container_c1@snapshot_s0 container_c1@snapshot_s1"});
}

TEST_CASE_FIXTURE(Fixture, "ceph: a volume grows and shrinks with its filesystem") {
    driver->quotas()->set_quota(kC1, 20ll << 30);
    CHECK(calls() == join({{kRbd + "--format json info container_c1"},
                           mapped("container_c1"),
                           {kRbd + "resize --size 21474836480B container_c1"},
                           mapped("container_c1"),
                           {"mount -t ext4 -o discard /dev/rbd0 aside", "resize2fs /dev/rbd0", "umount aside"}}));
    driver->quotas()->set_quota(kC1, 5ll << 30);
    const auto done = calls();
    CHECK(done[4] == "resize2fs /dev/rbd0 5242880K");
    CHECK(done[5] == kRbd + "resize --allow-shrink --size 5368709120B container_c1");
    host->filesystem = "xfs";
    CHECK(failure([&] { driver->quotas()->set_quota(kC1, 5ll << 30); }) ==
          "Filesystem \"xfs\" cannot be shrunk: Cannot be shrunk");
    tools->answer(kRbd + "--format json du", R"({"images": [{"used_size": 3}, {"used_size": 4}]})");
    CHECK(driver->quotas()->usage(kC1) == 7);
    tools->answer(kCeph + "--format json df",
                  R"({"pools": [{"name": "o", "stats": {"bytes_used": 1, "max_avail": 9}}]})");
    CHECK(driver->resources().space.total == 10);
    tools->answer(kCeph + "--format json df", R"({"pools": []})");
    CHECK(failure([&] { driver->resources(); }) == "OSD pool missing in df output");
}

TEST_CASE_FIXTURE(Fixture, "ceph: volumes and snapshots are listed by their names") {
    tools->answer(kRbd + "ls", "container_b\ncontainer_a\nimage_f_ext4\nimage_f_xfs\nlxd_o\nlxdcore-new-1\n");
    CHECK(driver->list(VolumePlace::Instance) == std::vector<std::string>{"a", "b"});
    CHECK(driver->list(VolumePlace::Image) == std::vector<std::string>{"f"});
    snapshots("container_c1", R"([{"name": "snapshot_s0"}, {"name": "zombie_snapshot_1"}])");
    CHECK(driver->list_snapshots(kC1) == std::vector<std::string>{"s0"});
}
