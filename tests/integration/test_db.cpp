// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>

#include <lxdcore/error.hpp>

#include "db/database.hpp"
#include "support/temp_dir.hpp"
#include "util/process.hpp"
#include "util/unique_fd.hpp"

using namespace lxdcore;
using db::Database;
using db::Transaction;

namespace {

constexpr unsigned long shut_down_filesystem = 0x8004587d; // FS_IOC_SHUTDOWN
constexpr std::uint32_t without_flushing = 2;              // as if the power went: what is not on the disk is lost

const std::vector<db::Migration> schema{{1, "CREATE TABLE things (name INTEGER PRIMARY KEY)"}};

/// An ext4 of its own on a loop device.
class LoopFilesystem {
public:
    LoopFilesystem() {
        { std::ofstream image{dir_ / "image"}; }
        std::filesystem::resize_file(dir_ / "image", 64 << 20);
        run_checked({"mkfs.ext4", "-q", "-F", (dir_ / "image").string()});
        std::filesystem::create_directory(dir_ / "mnt");
        mount();
    }
    ~LoopFilesystem() { ::umount2(root().c_str(), MNT_DETACH); }
    std::string root() const { return (dir_ / "mnt").string(); }
    void mount() { run_checked({"mount", "-o", "loop", (dir_ / "image").string(), root()}); }
    void cut_power() const {
        const UniqueFd fd{::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        REQUIRE(::ioctl(fd.get(), shut_down_filesystem, &without_flushing) == 0);
    }
    void remount() {
        run_checked({"umount", root()});
        mount();
    }

private:
    test::TempDir dir_;
};

} // namespace

TEST_CASE("every acknowledged write is there after a power cut (R39)") {
    if (::geteuid() != 0) {
        MESSAGE("needs root");
        return;
    }
    LoopFilesystem filesystem;
    int next = 0;
    for (int round = 0; round < 8; ++round) {
        std::atomic<int> acknowledged = next - 1;
        int answered = 0;
        {
            auto database = Database::open(filesystem.root() + "/a.db", schema);
            std::atomic<bool> failed = false;
            std::thread writer{[&] {
                try {
                    for (;;) {
                        database->write([&](Transaction& tx) {
                            tx.insert("INSERT OR IGNORE INTO things VALUES (:name)", {{":name", next}});
                        });
                        acknowledged = next++;
                        acknowledged.notify_all();
                    }
                } catch (const Error&) { // the disk has gone
                    failed = true;
                }
            }};
            const int enough = acknowledged + 10 + 7 * round;
            for (int seen = acknowledged; seen < enough; seen = acknowledged)
                acknowledged.wait(seen);
            // Not later: while the file system goes down, the kernel may still say yes to a write that it then drops.
            answered = acknowledged;
            filesystem.cut_power();
            writer.join();
            CHECK(failed);
        }
        filesystem.remount();
        auto database = Database::open(filesystem.root() + "/a.db", schema);
        const auto kept = database->read_value([&](Transaction& tx) {
            auto rows = tx.query("SELECT count(*) FROM things WHERE name <= :last", {{":last", answered}});
            rows.next();
            return rows.int64(0);
        });
        CHECK(kept == answered + 1);
        next = answered + 1;
    }
}
