// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "storage/file_copy.hpp"
#include "support/loop_mount.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::test;
namespace fs = std::filesystem;

namespace {

std::uint64_t used(const fs::path& path) {
    ::sync();
    struct statvfs info {};
    REQUIRE(::statvfs(path.c_str(), &info) == 0);
    return (info.f_blocks - info.f_bfree) * info.f_frsize;
}

} // namespace

TEST_CASE("a copy shares the blocks of its source where the filesystem can") {
    for (const auto& mkfs :
         std::vector<std::vector<std::string>>{{"mkfs.xfs", "-q", "-m", "reflink=1"}, {"mkfs.btrfs", "-q"}}) {
        CAPTURE(mkfs.front());
        const TempDir temp;
        const LoopMount disk{temp / "disk", 512u << 20, mkfs};
        write_file(disk / "from/big", std::string(64u << 20, 'x'));
        const auto before = used(disk.path());
        const auto from = Dir::open((disk / "from").string()), to = Dir::open_or_make((disk / "to").string());
        storage::copy_tree(from, to, {});
        CHECK(used(disk.path()) < before + (8u << 20));
        CHECK(read_file(disk / "to/big") == read_file(disk / "from/big"));
        write_file(disk / "to/big", "other");
        CHECK(fs::file_size(disk / "from/big") == 64u << 20);
    }
}

TEST_CASE("a copy to another filesystem is whole") {
    const TempDir temp;
    const LoopMount xfs{temp / "xfs", 512u << 20, {"mkfs.xfs", "-q"}};
    const LoopMount ext4{temp / "ext4", 256u << 20, {"mkfs.ext4", "-q"}};
    for (int i = 0; i < 300; ++i)
        write_file(xfs / ("from/d" + std::to_string(i % 30) + "/f" + std::to_string(i)), std::to_string(i));
    write_file(xfs / "from/big", std::string(20u << 20, 'y'));
    storage::copy_tree(Dir::open((xfs / "from").string()), Dir::open_or_make((ext4 / "to").string()), {});
    CHECK(run({"diff", "-r", (xfs / "from").string(), (ext4 / "to").string()}).code == 0);
}
