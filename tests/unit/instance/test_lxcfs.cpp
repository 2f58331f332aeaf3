// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include <lxdcore/error.hpp>

#include "instance/lxc/lxc_config.hpp"
#include "instance/lxc/lxcfs.hpp"
#include "support/golden.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

TEST_CASE("lxcfs is found where it is mounted as a whole, its usual place first") {
    const std::string proc = "22 27 0:21 / /proc rw,relatime - proc proc rw\n";
    const std::string file = "90 22 0:50 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw,allow_other\n";
    const std::string odd = "91 27 0:51 / /run/lxcfs rw,nosuid shared:5 - fuse.lxcfs lxcfs rw,allow_other\n";
    const std::string usual = "92 27 0:52 / /var/lib/lxcfs rw,nosuid shared:6 - fuse.lxcfs lxcfs rw,allow_other\n";
    CHECK(lxcfs_mount("").empty());
    CHECK(lxcfs_mount(proc).empty());
    CHECK(lxcfs_mount(proc + file).empty());
    CHECK(lxcfs_mount(odd + proc) == "/run/lxcfs");
    CHECK(lxcfs_mount(proc + usual + file + odd) == "/var/lib/lxcfs");
}

TEST_CASE("the files of lxcfs lie over those of the kernel in lxc.conf") {
    test::TempDir dir;
    for (const char* name : {"cpuinfo", "meminfo", "uptime"})
        test::write_file(dir / "proc" / name, "");
    test::write_file(dir / "sys/devices/system/cpu/online", "");
    const auto text = [&] {
        LxcConfigInput in;
        in.mounts = lxcfs_mounts(dir.path().string());
        std::sort(in.mounts.begin(), in.mounts.end(), [](const auto& a, const auto& b) { return a.target < b.target; });
        auto out = lxc_config(in);
        for (auto at = out.find(dir.path().string()); at != std::string::npos; at = out.find(dir.path().string()))
            out.replace(at, dir.path().string().size(), "$");
        return out;
    };
    test::Golden::open("lxc/lxcfs.conf").check(text());
    test::write_file(dir / "sys/devices/system/cpu/uevent", ""); // the whole directory is its own
    CHECK(text().find("$/sys/devices/system/cpu sys/devices/system/cpu none bind,optional 0 0") != std::string::npos);
    CHECK(text().find("cpu/online") == std::string::npos);
    CHECK_THROWS_AS(lxcfs_mounts((dir / "nosuch").string()), Error);
}
