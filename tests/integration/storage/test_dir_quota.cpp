// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include <lxdcore/error.hpp>

#include "integration/storage/quota_kernel.hpp"
#include "storage/drivers/dir/dir_driver.hpp"
#include "storage/drivers/dir/project_quota.hpp"
#include "support/loop_mount.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using namespace lxdcore::test;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kRow = 7;
constexpr std::uint32_t kProject = 10007;

VolumeId volume(const std::string& name, std::int64_t row = 0, const std::string& snapshot = {}) {
    return {.place = VolumePlace::Custom, .name = name, .snapshot = snapshot, .row = row};
}

/// A pool that is a whole filesystem, and its driver.
struct Pool {
    TempDir temp;
    LoopMount disk;
    Dir state;
    Logger log;
    DirDriver driver;

    explicit Pool(const std::vector<std::string>& mkfs, const std::string& options = {})
        : disk{temp / "disk", 512u << 20, mkfs, options}, state{Dir::open_or_make((disk / "lxd").string())},
          driver{{.name = "p", .config = {}, .state_dir = state, .log = log}} {}
    fs::path operator/(const std::string& name) const { return disk / "lxd/storage-pools/p" / name; }
    void make(const VolumeId& id) { driver.publish(driver.stage(id)); }
    void create() {
        api::StringMap config;
        driver.create_pool(config);
    }
    QuotaOps& quotas() {
        REQUIRE(driver.quotas() != nullptr);
        return *driver.quotas();
    }
};

const std::vector<std::string> kXfs{"mkfs.xfs", "-q", "-m", "reflink=1"};
const std::vector<std::string> kExt4{"mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"};

/// Nothing where the kernel was built without quotas of this filesystem.
std::unique_ptr<Pool> real_pool(const std::vector<std::string>& mkfs) {
    try {
        return std::make_unique<Pool>(mkfs, mkfs == kXfs ? "pquota" : "prjquota");
    } catch (const Error& error) {
        MESSAGE("not on this kernel: " << std::string{mkfs.front()}
                                       << " with project quotas: " << std::string{error.what()});
        return nullptr;
    }
}

/// On ext4 and xfs with quotas; where the kernel has none, on xfs with the calls for limits answered by the test.
void with_quotas(const std::function<void(Pool&)>& body) {
    bool any = false;
    for (const auto& mkfs : {kExt4, kXfs}) {
        const auto pool = real_pool(mkfs);
        if (!pool) continue;
        any = true;
        CAPTURE(mkfs.front());
        pool->create();
        body(*pool);
    }
    if (any) return;
#ifdef __SANITIZE_THREAD__
    MESSAGE("not with TSan: it does not see that a thread in quotactl(2) waits for the one that answers");
    return;
#endif
    Pool pool{kXfs};
    QuotaKernel kernel{pool.disk.path()};
    kernel.serve([&] {
        pool.create();
        body(pool);
    });
}

void fill(const fs::path& dir, int files, std::size_t size) {
    for (int i = 0; i < files; ++i)
        write_file(dir / ("d" + std::to_string(i % 5)) / ("f" + std::to_string(i)), std::string(size, 'x'));
}

int count_without(const fs::path& tree, std::uint32_t project) {
    int wrong = project_number(tree) == project ? 0 : 1;
    for (const auto& entry : fs::recursive_directory_iterator{tree})
        if ((entry.is_directory() || entry.is_regular_file()) && !entry.is_symlink() &&
            project_number(entry.path()) != project)
            ++wrong;
    return wrong;
}

} // namespace

TEST_CASE("a volume is counted from its first byte on") {
    with_quotas([](Pool& pool) {
        pool.make(volume("v", kRow));
        const auto empty = pool.quotas().usage(volume("v", kRow));
        CHECK(empty < 100'000);
        fill(pool / "custom/v", 10, 100'000);
        ::sync();
        CHECK(pool.quotas().usage(volume("v", kRow)) >= 1'000'000);
        CHECK(pool.quotas().usage(volume("v", kRow)) < 1'500'000);
        CHECK(count_without(pool / "custom/v", kProject) == 0);
    });
}

TEST_CASE("a clone counts for itself, a snapshot for nobody") {
    with_quotas([](Pool& pool) {
        pool.make(volume("v", kRow));
        fill(pool / "custom/v", 10, 100'000);
        pool.driver.publish(pool.driver.stage_clone(volume("w", 8), volume("v"), {}));
        pool.driver.publish(pool.driver.stage_clone(volume("v", 0, "s"), volume("v"), {}));
        CHECK(count_without(pool / "custom/w", 10008) == 0);
        CHECK(count_without(pool / "custom/v", kProject) == 0);
        CHECK(count_without(pool / "custom-snapshots/v/s", 0) == 0);
        ::sync();
        CHECK(pool.quotas().usage(volume("w", 8)) >= 1'000'000);
        CHECK(pool.quotas().usage(volume("v", kRow)) < 1'500'000);
    });
}

TEST_CASE("a quota on a volume that has content counts all that is in it") {
    with_quotas([](Pool& pool) {
        pool.make(volume("v"));
        const auto top = pool / "custom/v";
        fill(top, 50, 10'000);
        REQUIRE(::mkfifo((top / "d1/pipe").c_str(), 0600) == 0);
        REQUIRE(::mknod((top / "d1/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
        fs::create_symlink("/etc", top / "d1/link");
        fs::create_hard_link(top / "d1/f1", top / "d2/other");
        CHECK(pool.quotas().usage(volume("v", kRow)) == -1);
        pool.quotas().set_quota(volume("v", kRow), 20 << 20);
        CHECK(count_without(top, kProject) == 0);
        ::sync();
        CHECK(pool.quotas().usage(volume("v", kRow)) >= 490'000);
        // Nothing that lies there is cut off from being moved in the volume.
        for (const char* name : {"pipe", "null", "link", "f1"})
            fs::rename(top / "d1" / name, top / "d2" / (std::string{name} + ".moved"));
        pool.quotas().set_quota(volume("v", kRow), 0);
        CHECK(count_without(top, kProject) == 0);
    });
}

TEST_CASE("a kernel without calls for special files counts all that takes blocks") {
    Pool pool{kXfs};
    QuotaKernel kernel{pool.disk.path()};
    kernel.old = true;
    kernel.serve([&] {
        pool.create();
        pool.make(volume("v"));
        const auto top = pool / "custom/v";
        fill(top, 50, 10'000);
        REQUIRE(::mkfifo((top / "d1/pipe").c_str(), 0600) == 0);
        fs::create_symlink("/etc/passwd", top / "d1/link");
        pool.quotas().set_quota(volume("v", kRow), 20 << 20);
        REQUIRE(fs::remove(top / "d1/pipe"));
        CHECK(count_without(top, kProject) == 0);
    });
}

TEST_CASE("R46: what takes the place of a counted volume is counted, and names change as before") {
    with_quotas([](Pool& pool) {
        pool.make(volume("v", kRow));
        fill(pool / "custom/v", 5, 1000);
        pool.driver.publish(pool.driver.stage_clone(volume("v", 0, "s"), volume("v"), {}));
        const auto staged = pool.driver.stage_clone(volume("v"), volume("v", 0, "s"), {});
        pool.driver.exchange(staged);
        CHECK(count_without(pool / "custom/v", kProject) == 0);
        CHECK(fs::exists(pool / "custom/v/d1/f1"));
        pool.driver.discard(staged);
        pool.driver.rename(volume("v"), "w");
        CHECK(count_without(pool / "custom/w", kProject) == 0);
        CHECK(fs::exists(pool / "custom-snapshots/w/s/d1/f1"));
        CHECK(pool.quotas().usage(volume("w", kRow)) >= 0);
    });
}

TEST_CASE("a limit ends with its volume") {
    Pool pool{kXfs};
    QuotaKernel kernel{pool.disk.path()};
    kernel.serve([&] {
        pool.create();
        pool.make(volume("v", kRow));
        pool.quotas().set_quota(volume("v", kRow), 10'000'001);
        CHECK(kernel.limits.at(kProject) == 10'000'384); // whole blocks of 1 KiB
        pool.driver.remove(volume("v"));
        CHECK(kernel.limits.at(kProject) == 0);
        kernel.limits[kProject] = 5; // an interrupted removal; the number is given again
        pool.make(volume("w", kRow));
        CHECK(kernel.limits.at(kProject) == 0);
    });
}

TEST_CASE("a pool inside a project of the administrator's keeps its one limit") {
    Pool pool{kXfs};
    project_quota::assign(Dir::open(pool.disk.path().string()), 42);
    QuotaKernel kernel{pool.disk.path()};
    kernel.serve([&] {
        fs::create_directories(pool.disk / "lxd");
        pool.create();
        CHECK(pool.driver.quotas() == nullptr);
        pool.make(volume("v", kRow));
        CHECK(project_number(pool / "custom/v") == 42);
    });
}

TEST_CASE("a filesystem without project quotas is a pool without quotas") {
    for (const auto& mkfs :
         std::vector<std::vector<std::string>>{{"mkfs.ext4", "-q"}, {"mkfs.xfs", "-q"}, {"mkfs.btrfs", "-q"}}) {
        CAPTURE(mkfs.front());
        Pool pool{mkfs};
        pool.create();
        pool.make(volume("v", kRow));
        CHECK(pool.driver.quotas() == nullptr);
    }
}

TEST_CASE("a limit holds against the guest, and the error says so") {
    for (const auto& mkfs : {kExt4, kXfs}) {
        const auto pool = real_pool(mkfs);
        if (!pool) continue;
        pool->create();
        pool->make(volume("v", kRow));
        const auto top = pool->disk / "lxd/storage-pools/p/custom/v";
        REQUIRE(::chown(top.c_str(), 100'000, 100'000) == 0);
        for (const auto& dir : {pool->temp.path(), pool->disk.path()})
            REQUIRE(::chmod(dir.c_str(), 0711) == 0);
        REQUIRE(::chmod((*pool / "custom").c_str(), 0711) == 0);
        pool->quotas().set_quota(volume("v", kRow), 4 << 20);
        const auto write = [&](const char* name) {
            return run({"setpriv", "--reuid=100000", "--regid=100000", "--clear-groups", "dd", "if=/dev/zero",
                        "of=" + (top / name).string(), "bs=1M", "count=8", "conv=fsync"});
        };
        const auto refused = write("a");
        CHECK(refused.code != 0);
        const bool named = refused.err.find("quota") != std::string::npos ||
                           refused.err.find("No space left") != std::string::npos; // as xfs says for projects
        CHECK(named);
        CHECK(pool->quotas().usage(volume("v", kRow)) <= 4 << 20);
        pool->quotas().set_quota(volume("v", kRow), 32 << 20);
        CHECK(write("b").code == 0);
    }
}

TEST_CASE("R38: numbers are given to nothing outside while the tree changes under the walk") {
    with_quotas([](Pool& pool) {
        pool.make(volume("v"));
        const auto top = pool / "custom/v";
        const auto outside = pool.disk / "outside";
        fill(outside, 20, 10);
        fill(top, 200, 10);
        REQUIRE(::mkfifo((top / "pipe").c_str(), 0600) == 0);
        fs::create_directory_symlink(outside, top / "link-dir");
        fs::create_symlink(outside / "d1/f1", top / "link-file");
        write_file(top / "file", "x");
        std::atomic<bool> stop{false};
        const auto exchange = [&](const char* a, const char* b) {
            ::renameat2(AT_FDCWD, (top / a).c_str(), AT_FDCWD, (top / b).c_str(), RENAME_EXCHANGE);
        };
        std::thread guest{[&] {
            for (int i = 0; !stop; ++i) {
                exchange("d1", "link-dir");
                exchange("file", "link-file");
                exchange("d2", "pipe");
                exchange("file", "d3");
                exchange("d4/f4", "pipe");
                const auto made = top / ("d0/new" + std::to_string(i % 50));
                std::error_code ignored;
                fs::create_directories(made, ignored);
                fs::rename(made, top / ("moved" + std::to_string(i % 50)), ignored);
            }
        }};
        for (int round = 1; round <= 20; ++round) {
            try {
                pool.quotas().set_quota(volume("v", kRow + round), 1 << 30);
            } catch (const Error&) { // a name that became something else in between; the last round tells
            }
        }
        stop = true;
        guest.join();
        CHECK(count_without(outside, 0) == 0);
        pool.quotas().set_quota(volume("v", kRow), 1 << 30);
        CHECK(count_without(top, kProject) == 0);
        CHECK(count_without(outside, 0) == 0);
    });
}
