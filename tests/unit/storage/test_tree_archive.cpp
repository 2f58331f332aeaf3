// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/tree_archive.hpp"
#include "support/temp_dir.hpp"
#include "util/process.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

struct Tree {
    test::TempDir temp;
    fs::path from = temp / "from", to = temp / "to";
    std::string bytes;
    Tree() {
        fs::create_directory(from);
        fs::create_directory(to);
    }
    void pack(const storage::ArchiveOptions& options) {
        TarWriter tar{[this](const char* data, std::size_t size) { bytes.append(data, size); }};
        storage::archive_tree(Dir::open(from.string()), tar, options);
        tar.finish();
        test::write_file(temp / "a.tar", bytes);
        run_checked({"tar", "--extract", "--xattrs", "--xattrs-include=*", "--file", (temp / "a.tar").string(),
                     "--directory", to.string()});
    }
    std::string listing() const { return run_checked({"tar", "--list", "--file", (temp / "a.tar").string()}); }
};

} // namespace

TEST_CASE_FIXTURE(Tree, "an archive has content, modes, times, links and extended attributes of a tree") {
    test::write_file(from / "a/b/file", "content");
    REQUIRE(::chmod((from / "a/b/file").c_str(), 04711) == 0);
    REQUIRE(::setxattr((from / "a/b/file").c_str(), "user.k", "v", 1, 0) == 0);
    const timespec times[2] = {{1000, 5}, {2000, 7}};
    REQUIRE(::utimensat(AT_FDCWD, (from / "a/b/file").c_str(), times, 0) == 0);
    fs::create_symlink("/nowhere/at/all", from / "link");
    fs::create_hard_link(from / "a/b/file", from / "other");
    REQUIRE(::mkfifo((from / "pipe").c_str(), 0600) == 0);
    test::write_file(from / "empty", "");
    fs::create_directory(from / "hollow");
    pack({.prefix = "backup/container"});
    const auto top = to / "backup/container";
    struct stat status {};
    REQUIRE(::lstat((top / "a/b/file").c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 04711));
    CHECK(status.st_mtim.tv_sec == 2000);
    CHECK(status.st_mtim.tv_nsec == 7);
    CHECK(test::read_file(top / "a/b/file") == "content");
    char value = 0;
    CHECK(::getxattr((top / "a/b/file").c_str(), "user.k", &value, 1) == 1);
    CHECK(fs::read_symlink(top / "link") == "/nowhere/at/all");
    CHECK(fs::equivalent(top / "other", top / "a/b/file"));
    CHECK(fs::is_fifo(top / "pipe"));
    CHECK(fs::is_directory(top / "hollow"));
    CHECK(fs::file_size(top / "empty") == 0);
}

TEST_CASE_FIXTURE(Tree, "holes are kept, also at the end and everywhere") {
    test::write_file(from / "tail", std::string(100'000, 'x'));
    fs::resize_file(from / "tail", 64 << 20);
    test::write_file(from / "nothing", "");
    fs::resize_file(from / "nothing", 10'000'001);
    pack({.prefix = ""});
    CHECK(bytes.size() < 1 << 20);
    CHECK(test::read_file(to / "tail") == test::read_file(from / "tail"));
    CHECK(test::read_file(to / "nothing") == test::read_file(from / "nothing"));
}

TEST_CASE_FIXTURE(Tree, "only what is wanted of the top is written, sockets never are") {
    test::write_file(from / "rootfs/metadata.yaml", "inner");
    test::write_file(from / "backup.yaml", "outer");
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (from / "rootfs/s").string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
    pack({.prefix = "p", .wanted = [](const std::string& name) { return name == "rootfs"; }});
    CHECK(listing() == "p/\np/rootfs/\np/rootfs/metadata.yaml\n");
}

TEST_CASE_FIXTURE(Tree, "owners are written as the caller wants them") {
    test::write_file(from / "f", "x");
    pack({.prefix = "", .map_id = [](std::int64_t id) { return id + 4242; }});
    const auto owner = ::geteuid();
    CHECK(run_checked({"tar", "--list", "--verbose", "--numeric-owner", "--file", (temp / "a.tar").string()})
              .find(" " + std::to_string(owner + 4242) + "/") != std::string::npos);
}

TEST_CASE_FIXTURE(Tree, "a tree deeper than descriptors are many is written") {
    auto deep = from;
    for (int i = 0; i < 300; ++i)
        deep /= "d";
    fs::create_directories(deep);
    test::write_file(deep / "f", "x");
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    const rlimit few{100, usual.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    TarWriter tar{[this](const char* data, std::size_t size) { bytes.append(data, size); }};
    CHECK_NOTHROW(storage::archive_tree(Dir::open(from.string()), tar, {.prefix = "p"}));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK(bytes.find("/f") != std::string::npos);
}

TEST_CASE_FIXTURE(Tree, "an archive that is cancelled ends") {
    test::write_file(from / "f", "x");
    std::stop_source stop;
    stop.request_stop();
    TarWriter tar{[](const char*, std::size_t) {}};
    CHECK_THROWS_AS(storage::archive_tree(Dir::open(from.string()), tar, {.prefix = "p", .stop = stop.get_token()}),
                    Error);
}
