// SPDX-License-Identifier: Apache-2.0
#include "util/dir.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <lxdcore/error.hpp>

#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

using test::read_file;

void put(const std::string& path, const std::string& text) { std::ofstream{path} << text; }

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("no error");
    return ErrorCode::Internal;
}

/// A tree to stay in, and a directory beside it that must not change.
struct Confined {
    test::TempDir scratch;
    Dir dir;
    Confined() : dir{make(scratch)} {}
    static Dir make(const test::TempDir& scratch) {
        fs::create_directory(scratch / "in");
        fs::create_directory(scratch / "out");
        put((scratch / "out/secret").string(), "secret");
        return Dir::open((scratch / "in").string());
    }
    std::string in(const std::string& name) const { return (scratch / ("in/" + name)).string(); }
    std::string out(const std::string& name) const { return (scratch / ("out/" + name)).string(); }
    void check_outside() const {
        CHECK(read_file(out("secret")) == "secret");
        CHECK(std::distance(fs::directory_iterator{out("")}, fs::directory_iterator{}) == 1);
    }
};

} // namespace

TEST_CASE("a path that leaves its directory is refused in every call") {
    Confined test;
    fs::create_directory(test.in("sub"));
    fs::create_symlink(test.out(""), test.in("absolute"));
    fs::create_symlink("../out", test.in("relative"));
    for (const std::string bad : {"../out/secret", "sub/../../out/secret", "absolute/secret", "relative/secret"}) {
        CAPTURE(bad);
        CHECK(code_of([&] { test.dir.read(bad); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.write(bad, "x"); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.open_file(bad, O_RDONLY); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.open_file(bad, O_WRONLY | O_CREAT); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.stat(bad); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.remove(bad); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.remove_tree(bad); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.rename(bad, "x"); }) == ErrorCode::InvalidArgument);
        CHECK(code_of([&] { test.dir.symlink("x", bad); }) == ErrorCode::InvalidArgument);
        CHECK_THROWS_AS(test.dir.make_dir(bad), Error);
    }
    CHECK(code_of([&] { test.dir.read(test.out("secret")); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.dir(".."); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.remove_tree(".."); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.remove_tree("."); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.write("", "x"); }) == ErrorCode::InvalidArgument);
    test.check_outside();
}

TEST_CASE("a link is refused even where its target is inside") {
    Confined test;
    test.dir.write("real", "x");
    test.dir.symlink("real", "link");
    CHECK(code_of([&] { test.dir.read("link"); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.open_file("link", O_RDONLY); }) == ErrorCode::InvalidArgument);
    CHECK(test.dir.exists("link"));
    CHECK(S_ISLNK(test.dir.stat("link").st_mode));
}

TEST_CASE("a magic link is never followed") {
    const Dir proc = Dir::open("/proc");
    CHECK_THROWS_AS(proc.open_file("self/exe", O_RDONLY), Error);
    CHECK_THROWS_AS(proc.dir("self/root", Links::InRoot), Error);
    CHECK_THROWS_AS(proc.dir("thread-self/cwd", Links::InRoot), Error);
}

TEST_CASE("a guest's links are followed as if the directory were the root") {
    Confined test;
    fs::create_directories(test.in("etc/deep"));
    put(test.in("etc/secret"), "guest's own");
    fs::create_symlink("/etc", test.in("absolute"));
    fs::create_symlink("../../../../../../etc", test.in("etc/deep/escape"));
    const auto read = [&](const std::string& name) {
        const UniqueFd fd = test.dir.open_file(name, O_RDONLY, 0, Links::InRoot);
        char buffer[64];
        return std::string(buffer, static_cast<std::size_t>(::read(fd.get(), buffer, sizeof buffer)));
    };
    CHECK(read("absolute/secret") == "guest's own");
    CHECK(read("etc/deep/escape/secret") == "guest's own");
    CHECK(read("../../etc/secret") == "guest's own");
    CHECK(code_of([&] { read("../out/secret"); }) == ErrorCode::NotFound);
}

TEST_CASE("read() takes only a regular file with one name") {
    Confined test;
    put(test.in("plain"), "text");
    fs::create_hard_link(test.out("secret"), test.in("hard"));
    REQUIRE(::mkfifo(test.in("fifo").c_str(), 0600) == 0);
    fs::create_directory(test.in("directory"));
    CHECK(test.dir.read("plain") == "text");
    CHECK(code_of([&] { test.dir.read("hard"); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.read("fifo"); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.read("directory"); }) == ErrorCode::InvalidArgument);
    CHECK(code_of([&] { test.dir.read("absent"); }) == ErrorCode::NotFound);
    CHECK_FALSE(test.dir.read_if_exists("absent").has_value());
    CHECK(code_of([&] { test.dir.read(std::string{"a\0b", 3}); }) != ErrorCode::NotFound);
    if (::geteuid() == 0 && ::mknod(test.in("device").c_str(), S_IFCHR | 0600, (1 << 8) | 5) == 0) {
        CHECK(code_of([&] { test.dir.read("device"); }) == ErrorCode::InvalidArgument);
    }
}

TEST_CASE("read() stops at its bound") {
    Confined test;
    put(test.in("big"), std::string(5000, 'x'));
    CHECK(test.dir.read("big", 5000).size() == 5000);
    CHECK(code_of([&] { test.dir.read("big", 4999); }) == ErrorCode::TooLarge);
    CHECK(Dir::open("/proc").read("meminfo").find("MemTotal") == 0);
}

TEST_CASE("a directory that is swapped for a link all the time never leads outside") {
    Confined test;
    fs::create_directory(test.in("real"));
    put(test.in("real/secret"), "inside");
    fs::create_symlink(test.out(""), test.in("link"));
    std::atomic<bool> stop = false;
    std::thread swapper{[&] {
        while (!stop)
            ::syscall(SYS_renameat2, AT_FDCWD, test.in("real").c_str(), AT_FDCWD, test.in("link").c_str(), 2);
    }};
    int inside = 0;
    for (int i = 0; i < 3000; ++i) {
        try {
            const auto text = test.dir.read("real/secret");
            if (text != "inside") FAIL("read a file from outside");
            ++inside;
        } catch (const Error&) {
        }
        try {
            test.dir.write("real/new", "x");
        } catch (const Error&) {
        }
    }
    stop = true;
    swapper.join();
    CHECK(inside > 0);
    test.check_outside();
}

TEST_CASE("write() replaces a file as a whole, with the mode asked for") {
    Confined test;
    const auto mask = ::umask(077);
    test.dir.write("file", "one", 0644);
    test.dir.write("file", "two", 0640);
    ::umask(mask);
    CHECK(test.dir.read("file") == "two");
    CHECK((test.dir.stat("file").st_mode & 07777) == 0640);
    CHECK(test.dir.list() == std::vector<std::string>{"file"});
}

TEST_CASE("write() replaces a link instead of writing through it") {
    Confined test;
    fs::create_symlink(test.out("secret"), test.in("link"));
    test.dir.write("link", "mine");
    CHECK(test.dir.read("link") == "mine");
    test.check_outside();
}

TEST_CASE("make_dir() makes what is missing and refuses a link on the way") {
    Confined test;
    CHECK((test.dir.make_dir("a/b/c", 0711).stat("").st_mode & 07777) == 0711);
    CHECK_NOTHROW(test.dir.make_dir("a/b/c"));
    fs::create_symlink(test.out(""), test.in("link"));
    CHECK(code_of([&] { test.dir.make_dir("link/new"); }) == ErrorCode::InvalidArgument);
    test.check_outside();
}

TEST_CASE("remove_tree() removes a tree and never what its links point to") {
    Confined test;
    fs::create_directories(test.in("tree/a/b"));
    put(test.in("tree/a/file"), "x");
    fs::create_symlink(test.out(""), test.in("tree/a/b/link"));
    fs::create_symlink(test.out(""), test.in("top"));
    test.dir.remove_tree("tree");
    test.dir.remove_tree("top");
    test.dir.remove_tree("absent");
    CHECK(test.dir.list().empty());
    test.check_outside();
}

TEST_CASE("remove_tree() needs few descriptors for a very deep tree") {
    Confined test;
    test.dir.make_dir("tree");
    {
        Dir here = test.dir.dir("tree");
        for (int i = 0; i < 2000; ++i)
            here = here.make_dir("d");
        here.write("file", "x");
    }
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit small{256, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
    CHECK_NOTHROW(test.dir.remove_tree("tree"));
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(test.dir.list().empty());
}

TEST_CASE("remove_tree() stops at a mount point") {
    Confined test;
    fs::create_directories(test.in("tree/mounted"));
    if (::geteuid() != 0 ||
        ::mount(test.out("").c_str(), test.in("tree/mounted").c_str(), nullptr, MS_BIND, nullptr) != 0) {
        MESSAGE("not root: nothing mounted");
        return;
    }
    CHECK_THROWS_AS(test.dir.remove_tree("tree"), Error);
    ::umount2(test.in("tree/mounted").c_str(), MNT_DETACH);
    test.check_outside();
    test.dir.remove_tree("tree");
}

TEST_CASE("remove_tree() ends while somebody keeps writing into the tree") {
    Confined test;
    test.dir.make_dir("tree/a");
    std::atomic<bool> stop = false;
    std::thread writer{[&] {
        for (int i = 0; i < 2000 && !stop; ++i)
            put(test.in("tree/a/f" + std::to_string(i)), "x");
    }};
    try {
        test.dir.remove_tree("tree");
    } catch (const Error& error) {
        CHECK(std::string{error.what()}.find("not empty") != std::string::npos);
    }
    stop = true;
    writer.join();
    test.dir.remove_tree("tree");
    CHECK_FALSE(test.dir.exists("tree"));
}

TEST_CASE("rename() never replaces, replace() does") {
    Confined test;
    test.dir.write("a", "a");
    test.dir.write("b", "b");
    CHECK(code_of([&] { test.dir.rename("a", "b"); }) == ErrorCode::AlreadyExists);
    CHECK(test.dir.read("b") == "b");
    test.dir.replace("a", "b");
    CHECK(test.dir.read("b") == "a");
    const Dir other = test.dir.make_dir("other");
    test.dir.rename_to("b", other, "c");
    CHECK(other.read("c") == "a");
    CHECK(code_of([&] { test.dir.rename("absent", "x"); }) == ErrorCode::NotFound);
}
