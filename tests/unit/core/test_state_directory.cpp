// SPDX-License-Identifier: Apache-2.0
#include "core/state_directory.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

int mode_of(const fs::path& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 ? static_cast<int>(status.st_mode & 07777) : -1;
}

void put_database(const fs::path& state) {
    test::write_file(state / "database/local.db", "x");
    test::write_file(state / "database/global/db.bin", "x");
}

} // namespace

TEST_CASE("a second owner of a state directory is told the pid of the first") {
    test::TempDir dir;
    const StateDirectory first{dir / "state"};
    try {
        const StateDirectory second{dir / "state"};
        FAIL("locked twice");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::BadState);
        CHECK(std::string{error.what()}.find("pid " + std::to_string(::getpid()) + ")") != std::string::npos);
    }
}

TEST_CASE("the lock ends with its owner") {
    test::TempDir dir;
    { const StateDirectory first{dir / "state"}; }
    CHECK_NOTHROW(StateDirectory{dir / "state"});
}

TEST_CASE("the lock of a dead owner is waited for while its child still has it") {
    test::TempDir dir;
    const pid_t owner = ::fork();
    REQUIRE(owner >= 0);
    if (owner == 0) {
        const StateDirectory first{dir / "state"};
        if (::fork() == 0) ::usleep(200'000);
        ::_exit(0);
    }
    REQUIRE(::waitpid(owner, nullptr, 0) == owner);
    CHECK_NOTHROW(StateDirectory{dir / "state"});
}

TEST_CASE("only what must be traversable is open to others, and modes are set again at every start") {
    test::TempDir dir;
    { const StateDirectory first{dir / "state"}; }
    put_database(dir / "state");
    for (const std::string loose : {"", "database", "database/local.db", "images", "backups", "logs", "containers"}) {
        ::chmod((dir / "state" / loose).c_str(), 0777);
    }
    { const StateDirectory again{dir / "state"}; }
    CHECK(mode_of(dir / "state") == 0711);
    CHECK(mode_of(dir / "state/containers") == 0711);
    CHECK(mode_of(dir / "state/storage-pools") == 0711);
    for (const std::string closed : {"database", "database/global", "images", "backups", "backups/custom", "logs"}) {
        CAPTURE(closed);
        CHECK(mode_of(dir / "state" / closed) == 0700);
    }
    CHECK(mode_of(dir / "state/database/local.db") == 0600);
    CHECK(mode_of(dir / "state/database/global/db.bin") == 0600);
}

TEST_CASE("a directory of the layout that is a link is refused") {
    test::TempDir dir;
    fs::create_directories(dir / "state");
    fs::create_directories(dir / "elsewhere");
    ::chmod((dir / "elsewhere").c_str(), 0755);
    fs::create_directory_symlink(dir / "elsewhere", dir / "state/images");
    CHECK_THROWS_AS(StateDirectory{dir / "state"}, Error);
    CHECK(mode_of(dir / "elsewhere") == 0755);
}

TEST_CASE("images may be a link to a custom volume, which is left alone") {
    test::TempDir dir;
    fs::create_directories(dir / "state/storage-pools/p/custom/default_v");
    ::chmod((dir / "state/storage-pools/p/custom/default_v").c_str(), 0755);
    fs::create_directory_symlink(dir / "state/storage-pools/p/custom/default_v", dir / "state/images");
    CHECK_NOTHROW(StateDirectory{dir / "state"});
    CHECK(mode_of(dir / "state/storage-pools/p/custom/default_v") == 0755);
    CHECK(fs::is_symlink(dir / "state/images"));
    fs::remove(dir / "state/images");
    fs::remove(dir / "state/logs");
    fs::create_directory_symlink(dir / "state/storage-pools/p/custom/default_v", dir / "state/logs");
    CHECK_THROWS_AS(StateDirectory{dir / "state"}, Error);
}

TEST_CASE("no empty database where instances are on the disk") {
    test::TempDir dir;
    const StateDirectory state{dir / "state"};
    CHECK_NOTHROW(state.require_database_or_no_instances());
    SUBCASE("a link in containers") { fs::create_symlink("x", dir / "state/containers/c1"); }
    SUBCASE("a volume in a pool") { fs::create_directories(dir / "state/storage-pools/p/containers/c1"); }
    CHECK_THROWS_AS(state.require_database_or_no_instances(), Error);
    put_database(dir / "state");
    CHECK_NOTHROW(state.require_database_or_no_instances());
    for (const std::string lost : {"database/local.db", "database/global/db.bin"}) {
        put_database(dir / "state");
        fs::resize_file(dir / "state" / lost, 0);
        CHECK_THROWS_AS(state.require_database_or_no_instances(), Error);
        fs::remove(dir / "state" / lost);
        CHECK_THROWS_AS(state.require_database_or_no_instances(), Error);
    }
}

TEST_CASE("a relative state directory is refused") { CHECK_THROWS_AS(StateDirectory{"state"}, Error); }
