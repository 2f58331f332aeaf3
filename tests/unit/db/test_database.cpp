// SPDX-License-Identifier: Apache-2.0
#include "db/database.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <lxdcore/error.hpp>

#include "db/intents.hpp"
#include "support/temp_dir.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using db::Database;
using db::Transaction;
namespace fs = std::filesystem;

namespace {

const std::vector<db::Migration> first{{1, "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);"
                                           "CREATE TABLE parts (thing_id INTEGER REFERENCES things (id))"}};

std::vector<db::Migration> second() {
    auto all = first;
    all.push_back({2, "ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 7"});
    return all;
}

void add(Database& database, const std::string& name) {
    database.write([&](Transaction& tx) { tx.insert("INSERT INTO things (name) VALUES (:name)", {{":name", name}}); });
}

std::int64_t count(Database& database) {
    return database.read_value([](Transaction& tx) {
        auto rows = tx.query("SELECT count(*) FROM things");
        rows.next();
        return rows.int64(0);
    });
}

std::string pragma(Database& database, const std::string& name) {
    return database.write_value([&](Transaction& tx) {
        auto rows = tx.query("PRAGMA " + name);
        rows.next();
        return rows.text(0);
    });
}

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("no error");
    return ErrorCode::Internal;
}

std::string hash(const fs::path& path) { return text::sha256_hex(test::read_file(path)); }

} // namespace

TEST_CASE("what is durable is configured: WAL, full synchronisation, foreign keys, a file for its owner only") {
    test::TempDir dir;
    auto database = Database::open(dir / "a.db", first);
    CHECK(pragma(*database, "journal_mode") == "wal");
    CHECK(pragma(*database, "synchronous") == "2");
    CHECK(pragma(*database, "foreign_keys") == "1");
    CHECK(pragma(*database, "busy_timeout") == "5000");
    for (const std::string file : {"a.db", "a.db-wal", "a.db-shm"}) {
        CHECK((fs::status(dir / file).permissions() & fs::perms::mask) ==
              (fs::perms::owner_read | fs::perms::owner_write));
    }
}

TEST_CASE("a relaxed write is committed without waiting for the disk, and the next one waits again") {
    const test::TempDir dir;
    const auto database = Database::open(fs::path{dir.path()} / "x.db", first);
    std::string during;
    const auto relaxed = [&](Transaction& tx) {
        tx.insert("INSERT INTO things (name) VALUES ('relaxed')");
        auto rows = tx.query("PRAGMA synchronous");
        rows.next();
        during = rows.text(0);
    };
    database->write_relaxed(relaxed);
    CHECK(during == "1");
    CHECK(count(*database) == 1);
    CHECK(pragma(*database, "synchronous") == "2");
    CHECK_THROWS(database->write_relaxed(relaxed)); // the name is taken
    CHECK(pragma(*database, "synchronous") == "2");
}

TEST_CASE("every write is counted before it returns, a read is not") {
    const test::TempDir dir;
    for (const auto& path : {fs::path{dir.path()} / "x.db", fs::path{":memory:"}}) {
        CAPTURE(path);
        const auto database = Database::open(path, first);
        const auto before = database->commits();
        CHECK(count(*database) == 0);
        CHECK(database->commits() == before);
        database->write([](Transaction& tx) { tx.insert("INSERT INTO things (name) VALUES ('a')"); });
        const auto after = database->commits();
        CHECK(after > before);
        database->write_relaxed([](Transaction& tx) { tx.insert("INSERT INTO things (name) VALUES ('b')"); });
        CHECK(database->commits() > after);
    }
}

TEST_CASE("a transaction is kept as a whole or not at all") {
    for (const bool memory : {true, false}) {
        CAPTURE(memory);
        test::TempDir dir;
        auto database = Database::open(memory ? fs::path{":memory:"} : dir / "a.db", first);
        add(*database, "one");
        CHECK_THROWS_AS(database->write([](Transaction& tx) {
            tx.insert("INSERT INTO things (name) VALUES ('two')");
            throw Error{ErrorCode::Internal, "no"};
        }),
                        Error);
        CHECK(count(*database) == 1);
        CHECK(code_of([&] { add(*database, "one"); }) == ErrorCode::AlreadyExists);
        CHECK_THROWS_AS(database->write([](Transaction& tx) { tx.exec("INSERT INTO parts VALUES (77)"); }), Error);
        CHECK_THROWS_AS(database->read([](Transaction& tx) { tx.query("SELECT bad").next(); }), Error);
        add(*database, "two");
        CHECK(count(*database) == 2);
    }
}

TEST_CASE("a taken name can be caught inside the transaction, which goes on") {
    auto database = Database::open(":memory:", first);
    add(*database, "one");
    database->write([](Transaction& tx) {
        CHECK(code_of([&] { tx.insert("INSERT INTO things (name) VALUES ('one')"); }) == ErrorCode::AlreadyExists);
        tx.insert("INSERT INTO things (name) VALUES ('two')");
    });
    CHECK(count(*database) == 2);
}

TEST_CASE("values come back as they went in") {
    auto database = Database::open(":memory:", first);
    const std::string hostile = "'; DROP TABLE things; --\n\"é";
    database->read([&](Transaction& tx) {
        auto rows = tx.query("SELECT :text, :number, :nothing, 1.5",
                             {{":text", hostile}, {":number", std::int64_t{1} << 62}, {":nothing", nullptr}});
        REQUIRE(rows.next());
        CHECK(rows.text(0) == hostile);
        CHECK(rows.int64(1) == std::int64_t{1} << 62);
        CHECK(rows.is_null(2));
        CHECK(std::get<double>(rows.value(3)) == 1.5);
        CHECK_FALSE(rows.next());
    });
}

TEST_CASE("two results of one statement can be read at once") {
    auto database = Database::open(":memory:", first);
    add(*database, "a");
    add(*database, "b");
    int pairs = 0;
    database->read([&](Transaction& tx) {
        for (auto outer = tx.query("SELECT name FROM things"); outer.next();) {
            for (auto inner = tx.query("SELECT name FROM things"); inner.next();)
                ++pairs;
        }
    });
    CHECK(pairs == 4);
}

TEST_CASE("readers do not wait for a writer and see only what is committed") {
    test::TempDir dir;
    auto database = Database::open(dir / "a.db", first);
    database->write([&](Transaction& tx) {
        tx.insert("INSERT INTO things (name) VALUES ('one')");
        CHECK(count(*database) == 0);
    });
    CHECK(count(*database) == 1);
}

TEST_CASE("a transaction inside another is an error instead of a dead lock") {
    test::TempDir dir;
    for (const auto& path : {fs::path{":memory:"}, dir / "a.db"}) {
        auto database = Database::open(path, first);
        CHECK_THROWS_AS(database->write([&](Transaction&) { add(*database, "x"); }), Error);
        CHECK_NOTHROW(add(*database, "y"));
    }
}

TEST_CASE("many threads write and read without an error") {
    test::TempDir dir;
    for (const auto& path : {fs::path{":memory:"}, dir / "a.db"}) {
        auto database = Database::open(path, first);
        std::atomic<int> failures = 0;
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                try {
                    for (int i = 0; i < 20; ++i) {
                        add(*database, std::to_string(t) + "-" + std::to_string(i));
                        count(*database);
                    }
                } catch (const Error&) {
                    ++failures;
                }
            });
        }
        for (auto& thread : threads)
            thread.join();
        CHECK(failures == 0);
        CHECK(count(*database) == 160);
    }
}

TEST_CASE("what was written is there when the file is opened again") {
    test::TempDir dir;
    add(*Database::open(dir / "a.db", first), "one");
    CHECK(count(*Database::open(dir / "a.db", first)) == 1);
}

TEST_CASE("an upgrade keeps a complete copy of the database from before it") {
    test::TempDir dir;
    add(*Database::open(dir / "a.db", first), "one");
    CHECK_FALSE(fs::exists(dir / "a.db.bak"));
    auto database = Database::open(dir / "a.db", second());
    const auto size = database->read_value([](Transaction& tx) {
        auto rows = tx.query("SELECT size FROM things");
        rows.next();
        return rows.int64(0);
    });
    CHECK(size == 7);
    CHECK(count(*Database::open(dir / "a.db.bak", first)) == 1);
}

TEST_CASE("an upgrade that fails changes nothing") {
    test::TempDir dir;
    add(*Database::open(dir / "a.db", first), "one");
    auto bad = second();
    bad.push_back({3, "CREATE TABLE more (x); INSERT INTO nowhere VALUES (1)"});
    CHECK_THROWS_AS(Database::open(dir / "a.db", bad), Error);
    auto orphans = second();
    orphans.push_back({3, "INSERT INTO parts VALUES (99)"});
    CHECK_THROWS_AS(Database::open(dir / "a.db", orphans), Error);
    auto database = Database::open(dir / "a.db", first);
    CHECK(count(*database) == 1);
    CHECK_THROWS_AS(database->read([](Transaction& tx) { tx.query("SELECT size FROM things").next(); }), Error);
}

TEST_CASE("a database of a newer version is refused and left as it is") {
    test::TempDir dir;
    add(*Database::open(dir / "a.db", second()), "one");
    const auto before = hash(dir / "a.db");
    try {
        Database::open(dir / "a.db", first);
        FAIL("opened");
    } catch (const Error& error) {
        CHECK(std::string{error.what()}.find("newer version") != std::string::npos);
        CHECK(std::string{error.what()}.find(".bak") != std::string::npos);
    }
    CHECK(hash(dir / "a.db") == before);
}

TEST_CASE("a database of another program is refused and left as it is") {
    test::TempDir dir;
    Database::open(dir / "a.db", {{1, "CREATE TABLE schema (version INTEGER)"}})->write([](Transaction& tx) {
        tx.exec("DROP TABLE lxdcore_schema");
    });
    const auto before = hash(dir / "a.db");
    CHECK_THROWS_AS(Database::open(dir / "a.db", first), Error);
    CHECK(hash(dir / "a.db") == before);
}

TEST_CASE("a damaged database is refused and left as it is") {
    test::TempDir dir;
    {
        auto database = Database::open(dir / "good.db", first);
        for (int i = 0; i < 300; ++i)
            add(*database, std::string(100, 'x') + std::to_string(i));
    }
    const auto good = test::read_file(dir / "good.db");
    REQUIRE(good.size() > 8 * 4096);
    auto page = good;
    page.replace(3 * 4096, 4096, std::string(4096, '\xa5'));
    auto header = good;
    header.replace(0, 16, std::string(16, 'x'));
    auto schema = good;
    schema.replace(100, 8, std::string(8, '\xff'));
    for (const auto& bad : {page, header, schema, good.substr(0, good.size() / 2), std::string(4096, '\0')}) {
        test::write_file(dir / "bad.db", bad);
        const auto before = hash(dir / "bad.db");
        CHECK(code_of([&] { Database::open(dir / "bad.db", first); }) == ErrorCode::Internal);
        CHECK(hash(dir / "bad.db") == before);
    }
}

TEST_CASE("an intent survives until it is ended") {
    test::TempDir dir;
    std::int64_t kept = 0;
    {
        auto local = Database::open(dir / "local.db", db::local_migrations());
        db::IntentLog log{*local};
        kept = log.begin("instance-create", "default", "c1", R"({"pool":"p"})");
        log.end(log.begin("instance-create", "default", "c2"));
        log.begin("image-import", "default", "abc");
    }
    auto local = Database::open(dir / "local.db", db::local_migrations());
    const auto pending = db::IntentLog{*local}.pending("instance-create");
    REQUIRE(pending.size() == 1);
    CHECK(pending[0].id == kept);
    CHECK(pending[0].entity == "c1");
    CHECK(pending[0].data == R"({"pool":"p"})");
}

TEST_CASE("a new global database has LXD's default project, profile and member") {
    auto global = Database::open(":memory:", db::global_migrations());
    const auto one = [&](const std::string& sql) {
        return global->read_value([&](Transaction& tx) {
            auto rows = tx.query(sql);
            return rows.next() ? rows.text(0) : std::string{"nothing"};
        });
    };
    CHECK(one("SELECT name FROM projects WHERE id = 1") == "default");
    CHECK(one("SELECT count(*) FROM projects_config WHERE value = 'true'") == "4");
    CHECK(one("SELECT name FROM profiles WHERE project_id = 1") == "default");
    CHECK(one("SELECT name FROM nodes WHERE id = 1") == "none");
    CHECK(one("SELECT version FROM schema") == "60");
    CHECK(one("SELECT count(*) FROM storage_volumes_all") == "0");
}
