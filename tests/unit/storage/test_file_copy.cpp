// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/file_copy.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

struct Trees {
    test::TempDir temp;
    fs::path from = temp / "from", to = temp / "to";
    Trees() {
        fs::create_directory(from);
        fs::create_directory(to);
    }
    void copy(const storage::CopyOptions& options = {}) {
        storage::copy_tree(Dir::open(from.string()), Dir::open(to.string()), options);
    }
};

} // namespace

TEST_CASE_FIXTURE(Trees, "a copy has content, modes, times, links and extended attributes") {
    test::write_file(from / "a/b/file", "content");
    REQUIRE(::chmod((from / "a/b/file").c_str(), 04711) == 0);
    REQUIRE(::setxattr((from / "a/b/file").c_str(), "user.k", "v", 1, 0) == 0);
    const timespec times[2] = {{1000, 5}, {2000, 7}};
    REQUIRE(::utimensat(AT_FDCWD, (from / "a/b/file").c_str(), times, 0) == 0);
    fs::create_symlink("/nowhere/at/all", from / "link");
    REQUIRE(::mkfifo((from / "pipe").c_str(), 0600) == 0);
    copy();
    struct stat status {};
    REQUIRE(::lstat((to / "a/b/file").c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 04711));
    CHECK(status.st_mtim.tv_sec == 2000);
    CHECK(status.st_mtim.tv_nsec == 7);
    CHECK(test::read_file(to / "a/b/file") == "content");
    char value = 0;
    CHECK(::getxattr((to / "a/b/file").c_str(), "user.k", &value, 1) == 1);
    CHECK(fs::read_symlink(to / "link") == "/nowhere/at/all");
    CHECK(fs::is_fifo(to / "pipe"));
}

TEST_CASE_FIXTURE(Trees, "names of one file stay names of one file") {
    test::write_file(from / "x/one", "1");
    fs::create_directory(from / "y");
    fs::create_hard_link(from / "x/one", from / "y/two");
    fs::create_hard_link(from / "x/one", from / "three");
    copy();
    CHECK(fs::hard_link_count(to / "three") == 3);
    CHECK(fs::equivalent(to / "x/one", to / "y/two"));
}

TEST_CASE_FIXTURE(Trees, "holes stay holes") {
    test::write_file(from / "sparse", "head");
    fs::resize_file(from / "sparse", 64 << 20);
    copy();
    struct stat status {};
    REQUIRE(::stat((to / "sparse").c_str(), &status) == 0);
    CHECK(status.st_size == 64 << 20);
    CHECK(status.st_blocks * 512 < 1 << 20);
    CHECK(test::read_file(to / "sparse").starts_with("head"));
}

TEST_CASE_FIXTURE(Trees, "many directories are copied by several threads") {
    for (int i = 0; i < 300; ++i)
        test::write_file(from / std::to_string(i) / "d" / "f", std::to_string(i));
    copy({.threads = 4});
    for (int i = 0; i < 300; ++i)
        CHECK(test::read_file(to / std::to_string(i) / "d" / "f") == std::to_string(i));
}

TEST_CASE_FIXTURE(Trees, "a copy that is cancelled ends with Cancelled") {
    test::write_file(from / "f", "x");
    std::stop_source stop;
    stop.request_stop();
    try {
        copy({.stop = stop.get_token()});
        FAIL("not cancelled");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::Cancelled);
    }
}

TEST_CASE_FIXTURE(Trees, "a source whose directories become links never leads out of the tree") {
    const auto outside = temp / "outside";
    test::write_file(outside / "secret", "secret");
    test::write_file(from / "d/secret", "public");
    std::atomic<bool> done{false};
    std::thread swapper{[&] {
        fs::create_directory_symlink(outside, temp / "l");
        std::error_code ignored;
        while (!done) {
            fs::rename(from / "d", temp / "kept", ignored);
            fs::rename(temp / "l", from / "d", ignored);
            fs::rename(from / "d", temp / "l", ignored);
            fs::rename(temp / "kept", from / "d", ignored);
        }
    }};
    for (int i = 0; i < 200; ++i) {
        fs::remove_all(to);
        fs::create_directory(to);
        try {
            copy();
        } catch (const Error&) { // a name that changed under the copy
        }
        const auto copied = to / "d" / "secret";
        if (!fs::is_symlink(to / "d") && fs::exists(copied)) CHECK(test::read_file(copied) != "secret");
    }
    done = true;
    swapper.join();
    CHECK(test::read_file(outside / "secret") == "secret");
}

TEST_CASE_FIXTURE(Trees, "of an older copy what looks the same is kept, and nothing else") {
    const auto older = temp / "older";
    fs::create_directory(older);
    const timespec times[2] = {{1000, 5}, {2000, 7}};
    for (const auto* name : {"d/same", "d/longer", "d/mode", "d/attribute", "d/link", "d/later", "d/touched"}) {
        test::write_file(from / name, "content");
        test::write_file(older / name, std::string{name} == "d/longer" ? "content!" : "content");
        if (std::string{name} == "d/link") {
            fs::remove(older / name);
            fs::create_symlink(from / "d/same", older / name);
        }
        REQUIRE(::utimensat(AT_FDCWD, (from / name).c_str(), times, 0) == 0);
        if (std::string{name} != "d/later")
            REQUIRE(::utimensat(AT_FDCWD, (older / name).c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
    }
    REQUIRE(::chmod((older / "d/mode").c_str(), 0600) == 0);
    REQUIRE(::chmod((from / "d/mode").c_str(), 0640) == 0);
    REQUIRE(::setxattr((from / "d/attribute").c_str(), "user.k", "v", 1, 0) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds{50}); // the clock of files is a coarse one
    for (const auto* name : {"d/same", "d/touched"})
        REQUIRE(::chmod((older / name).c_str(), 0644) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    test::write_file(from / "d/touched", "content");
    REQUIRE(::utimensat(AT_FDCWD, (from / "d/touched").c_str(), times, 0) == 0);
    const auto old = Dir::open(older.string());
    copy({.older = &old});
    const auto kept = [&](const char* name) {
        struct stat a {
        }, b{};
        REQUIRE(::stat((older / name).c_str(), &a) == 0);
        REQUIRE(::stat((to / name).c_str(), &b) == 0);
        CHECK(test::read_file(to / name) == "content");
        return a.st_ino == b.st_ino;
    };
    CHECK(kept("d/same"));
    for (const auto* name : {"d/longer", "d/mode", "d/attribute", "d/link", "d/later", "d/touched"})
        CHECK_FALSE(kept(name));
}
