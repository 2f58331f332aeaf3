// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/dir/dir_driver.hpp"
#include "storage/volume_mounts.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;

namespace {

/// Directories, and the calls that a driver of block devices would get.
class BlockDriver final : public StorageDriver {
public:
    explicit BlockDriver(const Dir& top) : top_{top} {}
    bool mounts_volumes() const noexcept override { return true; }
    void mount_volume(const VolumeId& volume) override {
        if (fail) throw Error{ErrorCode::Internal, "no device"};
        top_.make_dir(volume.name).make_dir("content");
        ++mounts;
    }
    void unmount_volume(const VolumeId& volume) override {
        if (volume.name == "busy") throw Error{ErrorCode::Internal, "busy"};
        ++unmounts;
        std::erase_if(left, [&](const VolumeId& one) { return one.name == volume.name; });
    }
    std::vector<VolumeId> mounted_volumes() const override { return left; }
    Dir open(const VolumeId& volume) const override { return top_.dir(volume.name); }

    void prepare_config(api::StringMap&) const override {}
    void create_pool(api::StringMap&) override {}
    void delete_pool() override {}
    void mount_pool() override {}
    void update_pool(const api::StringMap&) override {}
    api::StoragePoolResources resources() const override { return {}; }
    Staged stage(const VolumeId& as) override { return {as, "s"}; }
    Staged stage_copy(const VolumeId& as, const Dir&, const std::vector<std::string>&, std::stop_token,
                      std::atomic<std::int64_t>*) override {
        return {as, "s"};
    }
    Staged stage_clone(const VolumeId& as, const VolumeId&, std::stop_token) override { return {as, "s"}; }
    Dir open_staged(const Staged& staged) const override { return top_.dir(staged.name); }
    void publish(const Staged&) override {}
    void exchange(const Staged&) override {}
    void discard(const Staged&) noexcept override {}
    bool exists(const VolumeId& volume) const override { return top_.exists(volume.name); }
    std::vector<std::string> list(VolumePlace) const override { return {}; }
    std::vector<std::string> list_snapshots(const VolumeId&) const override { return {}; }
    void rename(const VolumeId&, const std::string&) override {}
    std::optional<Staged> set_aside(const VolumeId&) override { return {}; }
    void sweep() override {}

    int mounts = 0, unmounts = 0;
    std::vector<VolumeId> left; ///< mounted by nobody here
    bool fail = false;

private:
    const Dir& top_;
};

struct Fixture {
    test::TempDir temp;
    Dir top = Dir::open(temp.path().string());
    std::shared_ptr<BlockDriver> driver = std::make_shared<BlockDriver>(top);
    VolumeMounts mounts;
    VolumeId volume{VolumePlace::Custom, "v"};
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a volume is mounted for its first user and unmounted after its last") {
    {
        const auto first = mounts.open(driver, volume);
        const auto second = mounts.open(driver, volume);
        CHECK(driver->mounts == 1);
        CHECK(mounts.in_use(volume));
    }
    CHECK(driver->unmounts == 1);
    CHECK_FALSE(mounts.in_use(volume));
    mounts.hold(driver, volume).reset();
    CHECK(driver->mounts == 2);
    CHECK(driver->unmounts == 2);
}

TEST_CASE_FIXTURE(Fixture, "a volume that cannot be mounted is not counted as used") {
    driver->fail = true;
    CHECK_THROWS_AS(mounts.open(driver, volume), Error);
    CHECK_FALSE(mounts.in_use(volume));
    driver->fail = false;
    mounts.open(driver, volume);
    CHECK(driver->mounts == 1);
    CHECK(driver->unmounts == 1);
}

TEST_CASE_FIXTURE(Fixture, "what an earlier process left mounted goes, but not what is used or busy") {
    driver->left = {volume, {VolumePlace::Custom, "other"}, {VolumePlace::Custom, "busy"}};
    const auto used = mounts.hold(driver, volume);
    mounts.unmount_others(*driver);
    CHECK(driver->unmounts == 1);
    REQUIRE(driver->left.size() == 2);
    CHECK(driver->left[0].name == "v");
    CHECK(driver->left[1].name == "busy");
}
