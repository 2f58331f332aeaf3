// SPDX-License-Identifier: Apache-2.0
#include "db/sql_console.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "support/memory_db.hpp"

using namespace lxdcore;
using nlohmann::json;

TEST_CASE("results look like those of LXD's sql") {
    auto global = test::memory_global();
    CHECK(db::run_console(*global, "SELECT * FROM projects") ==
          json::parse(R"({"Results":[{"type":"select","columns":["id","name","description"],
                          "rows":[[1,"default","Default LXD project"]],"rows_affected":0}]})"));
    CHECK(db::run_console(*global, "SELECT 1 AS a, NULL AS b, 1.5 AS c; SELECT * FROM config") ==
          json::parse(R"({"Results":[
              {"type":"select","columns":["a","b","c"],"rows":[[1,null,1.5]],"rows_affected":0},
              {"type":"select","columns":["id","key","value"],"rows":null,"rows_affected":0}]})"));
    CHECK(db::run_console(*global, "UPDATE projects SET name = 'x;--' WHERE id = 1; ") ==
          json::parse(R"({"Results":[{"type":"exec","columns":null,"rows":null,"rows_affected":1}]})"));
    CHECK(db::run_console(*global, "SELECT name FROM projects")["Results"][0]["rows"][0][0] == "x;--");
}

TEST_CASE("dates are shown as LXD shows them") {
    auto global = test::memory_global();
    db::run_console(*global, "UPDATE schema SET updated_at = '2023-11-14 22:13:20.500000000+00:00'");
    CHECK(db::run_console(*global, "SELECT updated_at FROM schema")["Results"][0]["rows"][0][0] ==
          "2023-11-14T22:13:20.5Z");
    db::run_console(*global, "UPDATE schema SET updated_at = '2023-11-14 22:13:20+00:00'");
    CHECK(db::run_console(*global, "SELECT updated_at FROM schema")["Results"][0]["rows"][0][0] ==
          "2023-11-14T22:13:20Z");
}

TEST_CASE("wrong queries give the texts of LXD") {
    auto global = test::memory_global();
    CHECK_THROWS_WITH_AS(db::run_console(*global, " "), "No query provided", Error);
    CHECK_THROWS_WITH_AS(db::run_console(*global, "SELECT bad"), "Failed to execute query: no such column: bad", Error);
    CHECK_THROWS_WITH_AS(db::run_console(*global, "INSERT INTO config (key) VALUES (1"),
                         "Failed to exec query: incomplete input", Error);
}

TEST_CASE("statements are kept together: what fails undoes what came before") {
    auto global = test::memory_global();
    CHECK_THROWS_AS(db::run_console(*global, "INSERT INTO config (key) VALUES ('a'); SELECT bad"), Error);
    CHECK(db::run_console(*global, "SELECT count(*) FROM config")["Results"][0]["rows"][0][0] == 0);
}

TEST_CASE("a dump can be read back, a schema has no rows") {
    auto local = test::memory_local();
    db::run_console(*local, "INSERT INTO config (key, value) VALUES ('user.x', 'it''s')");
    const std::string dump = db::run_console(*local, ".dump")["text"];
    CHECK(dump.find("INSERT INTO config VALUES(1,'user.x','it''s');\n") != std::string::npos);
    const std::string schema = db::run_console(*local, ".schema")["text"];
    CHECK(schema.find("CREATE TABLE config (") != std::string::npos);
    CHECK(schema.find("INSERT") == std::string::npos);
    CHECK(db::run_console(*local, ".tables")["text"].get<std::string>().find("raft_nodes\n") != std::string::npos);
}
