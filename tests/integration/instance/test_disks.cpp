// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "instance/world.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

/// Options of a mount of the container's, as its init has them.
std::vector<std::string> mount_options(int pid, const std::string& path) {
    const auto all = read_file(std::filesystem::path{"/proc"} / std::to_string(pid) / "mountinfo");
    for (const auto& line : text::split(all, '\n'))
        if (const auto words = text::split(line, ' '); words.size() > 5 && words[4] == path)
            return text::split(words[5], ',');
    return {};
}

} // namespace

TEST_CASE("mount options of a disk are the same from the start and plugged in, and not the guest's to take away") {
    World world;
    const TempDir source;
    std::filesystem::permissions(source.path(), std::filesystem::perms{0755});
    world.create("it-options");
    const auto set_disk = [&](bool there) {
        api::InstancePut whole = world.instances().get(World::ref("it-options"));
        whole.devices.clear();
        if (there)
            whole.devices["d1"] = {{"type", "disk"},
                                   {"source", source.path().string()},
                                   {"path", "/mnt/d"},
                                   {"raw.mount.options", "noexec,nosuid,nodev,noatime"}};
        World::finish(world.instances().update(World::ref("it-options"), whole, ""));
    };
    const auto holds = [&] {
        const auto options = mount_options(world.pid("it-options"), "/mnt/d");
        for (const char* option : {"noexec", "nosuid", "nodev", "noatime"}) {
            CAPTURE(option);
            CHECK(std::find(options.begin(), options.end(), option) != options.end());
        }
        CHECK(world.run("it-options", "mount -o remount,bind,exec,suid,dev /mnt/d") != 0);
        CHECK(world.run("it-options", "mount -o remount,bind,noexec,nosuid,nodev,noatime /mnt/d") == 0);
    };
    set_disk(true);
    world.start("it-options");
    holds();
    set_disk(false);
    CHECK(mount_options(world.pid("it-options"), "/mnt/d").empty());
    set_disk(true);
    holds();
}
