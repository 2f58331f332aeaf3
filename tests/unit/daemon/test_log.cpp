// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "admin/commands.hpp"
#include "logging.hpp"

using namespace lxdcore;

TEST_CASE("a log record is one line, whatever its values hold") {
    const LogRecord record{
        LogLevel::Warning, "Rejecting \"x\"", {{"ip", "10.0.0.1:5"}, {"name", "a\nlevel=error\x01"}}};
    CHECK(daemon::log_line(record, "T") ==
          "time=\"T\" level=warning msg=\"Rejecting \\\"x\\\"\" ip=10.0.0.1:5 name=\"a\\nlevel=error\\x01\"");
}

TEST_CASE("query results are printed as a table") {
    const nlohmann::json result = {
        {"type", "select"}, {"columns", {"a", "b", "long_name"}}, {"rows", {{1, nullptr, "x"}, {2.5, "é", "y"}}}};
    CHECK(daemon::format_table(result) == "+-----+-------+-----------+\n"
                                          "|  a  |   b   | long_name |\n"
                                          "+-----+-------+-----------+\n"
                                          "| 1   | <nil> | x         |\n"
                                          "| 2.5 | é     | y         |\n"
                                          "+-----+-------+-----------+\n");
}
