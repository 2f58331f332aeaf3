// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <lxdcore/error.hpp>

#include "db/database.hpp"
#include "support/temp_dir.hpp"
#include "util/process.hpp"

using namespace lxdcore;
using db::Database;
using db::Transaction;

namespace {

const std::vector<db::Migration> schema{{1, "CREATE TABLE things (name INTEGER PRIMARY KEY)"}};
constexpr const char* directory_variable = "LXDCORE_TEST_FAILING_DISK";

void add(Database& database, int name) {
    database.write([&](Transaction& tx) { tx.insert("INSERT INTO things VALUES (:name)", {{":name", name}}); });
}

std::int64_t count(Database& database) {
    return database.read_value([](Transaction& tx) {
        auto rows = tx.query("SELECT count(*) FROM things");
        rows.next();
        return rows.int64(0);
    });
}

} // namespace

// Run by the next case under a tracer that makes fdatasync fail from some call on.
TEST_CASE("child: writes until the disk fails" * doctest::skip()) {
    const char* directory = std::getenv(directory_variable);
    REQUIRE(directory != nullptr);
    auto database = Database::open(std::filesystem::path{directory} / "a.db", schema);
    int acknowledged = 0;
    bool failed = false;
    while (!failed && acknowledged < 1000) {
        try {
            add(*database, acknowledged);
            ++acknowledged;
        } catch (const Error& error) {
            failed = true;
            CHECK(error.code() == ErrorCode::Unavailable);
        }
    }
    CHECK(failed);
    for (int i = 0; i < 3; ++i)
        CHECK_THROWS_AS(add(*database, 5000 + i), Error);
    CHECK(count(*database) >= acknowledged);
    std::ofstream{std::filesystem::path{directory} / "acknowledged"} << acknowledged;
}

TEST_CASE("after a failed fsync nothing more is written, reading goes on, and what was answered is kept") {
    test::TempDir dir;
    RunOptions options;
    options.env = {std::string{directory_variable} + "=" + dir.path().string(), "PATH=/usr/bin:/bin",
                   "ASAN_OPTIONS=detect_leaks=0"}; // which cannot work under strace
    const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
    for (const int when : {20, 21, 33}) {
        CAPTURE(when);
        std::filesystem::remove_all(dir.path());
        std::filesystem::create_directory(dir.path());
        RunResult result;
        try {
            result = run({"strace", "-f", "-o", "/dev/null", "-e",
                          "inject=fdatasync,fsync:error=EIO:when=" + std::to_string(when) + "+", self, "--no-skip",
                          "-tc=child: writes until the disk fails"},
                         options);
        } catch (const Error&) {
            MESSAGE("no strace: nothing injected");
            return;
        }
        CAPTURE(result.out);
        CAPTURE(result.err);
        REQUIRE(result.code == 0);
        const int acknowledged = std::stoi(test::read_file(dir / "acknowledged"));
        CHECK(acknowledged > 0);
        auto database = Database::open(dir / "a.db", schema);
        CHECK(count(*database) >= acknowledged);
        CHECK_NOTHROW(add(*database, 9000));
    }
}
