// SPDX-License-Identifier: Apache-2.0
#include "unit/storage/driver_fixture.hpp"

#include "storage/drivers/cephfs/cephfs_driver.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using test::Calls;

namespace {

const std::string kCeph = "ceph --name client.admin --cluster ceph ";
const Calls kAsked{kCeph + "--format json mon dump", kCeph + "auth get-key client.admin"};
const std::string kOptions = "name=admin,secret=s3cret,mds_namespace=fs ";
const VolumeId kVolume{VolumePlace::Custom, "default_v"};

struct Fixture : test::DriverFixture<CephfsDriver> {
    Fixture() {
        tools->answer(kCeph + "--format json mon dump", R"({"mons": [
            {"public_addrs": {"addrvec": [{"type": "v2", "addr": "10.0.0.1:3300"}, {"type": "v1", "addr": "10.0.0.1:6789"}]}},
            {"public_addrs": {"addrvec": [{"type": "v1", "addr": "10.0.0.2:6789"}]}}]})");
        tools->answer(kCeph + "auth get-key", "s3cret\n");
        make({{"source", "fs/a/b"}, {"cephfs.path", "fs/a/b"}});
    }
    std::vector<std::string> volumes() const { return state.dir("storage-pools/p/custom").list(); }
};

Calls then(Calls first, const Calls& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "cephfs: a pool is refused with LXD's texts") {
    const auto text = [&](api::StringMap config) { return failure([&] { driver->prepare_config(config); }); };
    CHECK(text({}) == "Missing required source name/path");
    CHECK(text({{"source", "fs"}, {"cephfs.path", "other"}}) == "cephfs.path must match the source");
    for (const char* bad : {"-x", "fs/../x", "fs/-x", "fs/.x", "a b", "fs/a,b", "/fs"})
        CHECK(text({{"source", bad}}) != "none");
    CHECK(text({{"source", "fs"}, {"cephfs.user.name", "--x"}}) != "none");
    CHECK(calls().empty());
    tools->fail(kCeph + "fs get fs");
    CHECK(text({{"source", "fs"}}) == "The requested 'fs' CEPHFS doesn't exist");
    tools->missing["ceph"] = true;
    CHECK(text({}) == "Required tool 'ceph' is missing");
}

TEST_CASE_FIXTURE(Fixture, "cephfs: a pool is a directory that was empty, mounted at LXD's place") {
    api::StringMap config{{"source", "fs/a/b"}, {"cephfs.path", "fs/a/b"}};
    const std::string addresses = "10.0.0.1:6789,10.0.0.2:6789:";
    driver->create_pool(config);
    CHECK(calls() == then(then(then(kAsked, {"mount -t ceph -o " + kOptions + addresses + "/ aside"}), kAsked),
                          {"mount -t ceph -o " + kOptions + addresses + "/a/b p"}));
    CHECK(host->content(addresses + "/").exists("a/b"));
    driver->mount_pool(); // again
    CHECK(calls().empty());
    driver->delete_pool();
    CHECK(calls() == Calls{"umount p"});
    CHECK_FALSE(std::filesystem::exists(temp / "storage-pools/p"));
    host->content(addresses + "/").dir("a/b").write("something", "x");
    CHECK(failure([&] { driver->create_pool(config); }) == "Only empty CEPHFS paths can be used as a LXD storage pool");
}

TEST_CASE_FIXTURE(Fixture, "cephfs: the secret of the user is in no log and no error") {
    std::string logged;
    const Logger loud{[&](const LogRecord& record) {
        for (const auto& [key, value] : record.context)
            logged += value;
    }};
    const auto programs = std::make_shared<test::FakeTools>(loud);
    programs->answer(kCeph + "auth get-key", "s3cret\n");
    CephfsDriver other{PoolContext{"p", {{"source", "fs"}}, state, loud},
                       Backend{programs, std::make_shared<test::FakeHost>(programs)}};
    CHECK(failure([&] { other.mount_pool(); }) == "No Ceph monitor found");
    programs->answer(kCeph + "--format json mon dump",
                     R"({"mons": [{"public_addrs": {"addrvec": [{"type": "v2", "addr": "10.0.0.1:3300"}]}}]})");
    other.mount_pool();
    CHECK(programs->take().back() ==
          "mount -t ceph -o name=admin,secret=s3cret,mds_namespace=fs,ms_mode=prefer-crc 10.0.0.1:3300:/ p");
    CHECK(logged.find("auth get-key") != std::string::npos);
    CHECK(logged.find("s3cret") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "cephfs: custom volumes only") {
    driver->mount_pool();
    CHECK(failure([&] {
              driver->stage({VolumePlace::Instance, "c"});
          }) == "Storage pool does not support instance type");
    CHECK_THROWS_AS(driver->stage({VolumePlace::Custom, "a/b"}), Error);
}

TEST_CASE_FIXTURE(Fixture, "cephfs: volumes are made, copied, exchanged, renamed and removed by names") {
    driver->mount_pool();
    auto staged = driver->stage(kVolume);
    driver->open_staged(staged).write("x", "1");
    driver->publish(staged);
    CHECK(volumes() == std::vector<std::string>{"default_v"});
    const VolumeId snapshot{VolumePlace::Custom, "default_v", "s0"};
    driver->publish(driver->stage_clone(snapshot, kVolume, {}));
    CHECK_THROWS_AS(driver->publish(driver->stage_clone(snapshot, kVolume, {})), Error); // never replaces
    driver->open(kVolume).write("x", "2");
    staged = driver->stage_clone(kVolume, snapshot, {});
    driver->exchange(staged);
    CHECK(driver->open(kVolume).read("x") == "1");
    CHECK(driver->open_staged(staged).read("x") == "2");
    driver->discard(staged);
    driver->rename(kVolume, "default_w");
    driver->rename(kVolume, "default_w"); // again, after an interruption
    CHECK(driver->list_snapshots({VolumePlace::Custom, "default_w"}) == std::vector<std::string>{"s0"});
    driver->remove({VolumePlace::Custom, "default_w"});
    CHECK(volumes().empty());
}

TEST_CASE_FIXTURE(Fixture, "cephfs: an exchange that was interrupted is finished, wherever that was") {
    driver->mount_pool();
    const auto custom = state.dir("storage-pools/p/custom");
    const std::string take = ".take-0123456789abcdef01234567-default_v";
    custom.make_dir(take).write("x", "new");
    custom.make_dir("default_v").write("x", "old");
    driver->sweep();
    CHECK(volumes() == std::vector<std::string>{"default_v"});
    CHECK(driver->open(kVolume).read("x") == "new");
    custom.rename("default_v", take);
    driver->sweep();
    CHECK(driver->open(kVolume).read("x") == "new");
}

TEST_CASE_FIXTURE(Fixture, "cephfs: sizes are attributes of the directory") {
    driver->mount_pool();
    driver->publish(driver->stage(kVolume));
    calls();
    driver->quotas()->set_quota(kVolume, 1 << 30);
    CHECK(calls() == Calls{"attribute ceph.quota.max_bytes=1073741824 p/custom/default_v"});
    CHECK(driver->quotas()->usage(kVolume) == 42);
}
