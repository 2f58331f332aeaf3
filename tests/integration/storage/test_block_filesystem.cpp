// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/block_content.hpp"
#include "storage/drivers/mounted/filesystem.hpp"
#include "storage/tools/host.hpp"
#include "storage/tools/tools.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;

namespace {

/// A loop device on a sparse file.
class Device {
public:
    Device(Tools& tools, std::filesystem::path file, std::int64_t bytes) : tools_{tools}, file_{std::move(file)} {
        const UniqueFd fd{::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
        REQUIRE(::ftruncate(fd.get(), bytes) == 0);
        path = lines_of(tools_.run({"losetup", "--find", "--show", file_.string()})).at(0);
    }
    ~Device() { (void)tools_.ask({"losetup", "--detach", path}); }
    void resize(std::int64_t bytes) {
        REQUIRE(::truncate(file_.c_str(), bytes) == 0);
        tools_.run({"losetup", "--set-capacity", path});
    }
    std::string path;

private:
    Tools& tools_;
    std::filesystem::path file_;
};

struct Fixture {
    test::TempDir temp;
    Dir top = Dir::open(temp.path().string());
    Logger log;
    Tools tools{log};
    Host host;

    ~Fixture() {
        if (host.mounted(top, "point")) host.unmount(top, "point");
    }
    std::string identity(const Device& device) {
        return tools.run({"blkid", "--probe", "--match-tag", "UUID", "--output", "value", device.path});
    }
};

constexpr std::int64_t kMiB = 1 << 20;

} // namespace

TEST_CASE_FIXTURE(Fixture, "a filesystem on a device is made, found, mounted out of sight, and grows") {
    for (const std::string type : {"ext4", "xfs", "btrfs"}) {
        CAPTURE(type);
        Device device{tools, temp / type, 400 * kMiB};
        CHECK(host.is_block_device(device.path));
        CHECK(host.device_size(device.path) == 400 * kMiB);
        CHECK(host.filesystem_of(device.path).empty());
        filesystem::make(tools, device.path, type);
        CHECK(host.filesystem_of(device.path) == type);
        {
            const auto inside = host.mount_detached(device.path, top, type, "discard,noatime");
            for (const auto& name : top.list())
                CHECK_FALSE(name.starts_with(kScratchMount)); // no mount point is left
            inside.make_dir("a/b").write("file", "content");
            CHECK(inside.dir("a").dir("b").read("file") == "content");
        }
        const auto point = top.make_dir("point");
        host.mount(device.path, point, type, filesystem::mount_options("discard", type, false));
        CHECK(host.mounted(top, "point"));
        // The kernel wants CAP_SYS_RESOURCE for ext4; a container may be without.
        if (type != "ext4" || ::prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1) {
            const auto before = host.space(top.dir("point")).total;
            device.resize(600 * kMiB);
            filesystem::grow(tools, device.path, type, top.dir("point"));
            CHECK(host.space(top.dir("point")).total > before);
        }
        host.unmount(top, "point");
        host.unmount(top, "point"); // nothing is fine
        CHECK_FALSE(host.mounted(top, "point"));
        CHECK(host.mount_detached(device.path, top, type, "").dir("a").dir("b").read("file") == "content");
        top.remove("point");
    }
}

TEST_CASE_FIXTURE(Fixture, "a filesystem shrinks where it can, and keeps its content") {
    for (const std::string type : {"ext4", "btrfs"}) {
        CAPTURE(type);
        Device device{tools, temp / type, 600 * kMiB};
        filesystem::make(tools, device.path, type);
        host.mount_detached(device.path, top, type, "").write("file", "content");
        if (filesystem::shrinks_mounted(type)) {
            host.mount(device.path, top.make_dir("point"), type, "");
            const auto mounted = top.dir("point");
            filesystem::shrink(tools, device.path, type, 400 * kMiB, &mounted);
        } else {
            filesystem::shrink(tools, device.path, type, 400 * kMiB, nullptr);
        }
        if (host.mounted(top, "point")) host.unmount(top, "point");
        device.resize(400 * kMiB);
        CHECK(host.mount_detached(device.path, top, type, "").read("file") == "content");
    }
    Device device{tools, temp / "xfs", 400 * kMiB};
    filesystem::make(tools, device.path, "xfs");
    CHECK_THROWS_WITH_AS(filesystem::shrink(tools, device.path, "xfs", 300 * kMiB, nullptr),
                         "Filesystem \"xfs\" cannot be shrunk: Cannot be shrunk", Error);
}

TEST_CASE_FIXTURE(Fixture, "a copy of a mounted and frozen filesystem gets an identity of its own beside it") {
    for (const std::string type : {"ext4", "xfs"}) {
        CAPTURE(type);
        Device device{tools, temp / type, 400 * kMiB};
        Device copy{tools, temp / (type + "-copy"), 400 * kMiB};
        filesystem::make(tools, device.path, type);
        host.mount(device.path, top.make_dir("point"), type, "");
        {
            const auto mounted = top.dir("point");
            mounted.write("file", "content");
            host.freeze(mounted);
            host.copy_device(device.path, copy.path, kAllOfIt, {});
            host.thaw(mounted);
        }
        CHECK(identity(copy) == identity(device));
        if (type == "xfs") host.mount_detached(copy.path, top, type, "nouuid"); // replays its log
        filesystem::renew_identity(tools, copy.path, type);
        CHECK((identity(copy) != identity(device)) == (type == "xfs"));
        CHECK(host.mount_detached(copy.path, top, type, "").read("file") == "content");
        const auto snapshot = host.mount_detached(copy.path, top, type, filesystem::mount_options("", type, true));
        CHECK(snapshot.read("file") == "content");
        CHECK_THROWS_AS(snapshot.write("other", "x"), Error);
        host.unmount(top, "point");
        top.remove("point");
    }
}
