// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sys/mount.h>

#include "storage/filesystem_mount.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;

TEST_CASE("options of the kernel become flags, the rest goes to the filesystem") {
    const auto options = MountOptions::parse("user_subvol_rm_allowed,noatime,compress=zstd,nodev");
    CHECK(options.flags == (MS_NOATIME | MS_NODEV));
    CHECK(options.data == "user_subvol_rm_allowed,compress=zstd");
    CHECK(MountOptions::parse("").flags == 0);
    CHECK(MountOptions::parse("defaults").data.empty());
}

TEST_CASE("a later option takes an earlier one back") {
    CHECK(MountOptions::parse("ro,rw").flags == 0);
    CHECK(MountOptions::parse("rw,ro").flags == MS_RDONLY);
    CHECK(MountOptions::parse("noexec,exec,noatime,atime").flags == 0);
}

TEST_CASE("a directory that nothing is mounted on is no mount point, and unmounting it is fine") {
    const test::TempDir temp;
    const auto dir = Dir::open(temp.path().string());
    CHECK_FALSE(is_mount_point(dir));
    CHECK(is_mount_point(Dir::open("/proc")));
    CHECK(same_directory(dir, dir.clone()));
    CHECK_FALSE(same_directory(dir, Dir::open("/proc")));
    unmount(temp.path().string());
    unmount((temp / "absent").string());
}
