// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "util/steps.hpp"

using namespace lxdcore;

TEST_CASE("the steps of an action are one debug record in their order") {
    std::vector<LogRecord> records;
    const Logger log{[&](const LogRecord& record) { records.push_back(record); }};
    {
        Steps steps{log, "instance start", "c1"};
        steps.done("load");
        steps.done("devices");
        CHECK(records.empty());
    }
    REQUIRE(records.size() == 1);
    CHECK(records[0].level == LogLevel::Debug);
    CHECK(records[0].message == "Time of instance start");
    CHECK(records[0].context.at("object") == "c1");
    const auto& text = records[0].context.at("steps");
    CHECK(text.starts_with("load "));
    CHECK(text.find(", devices ") != std::string::npos);
}

TEST_CASE("an action that failed before its first step says nothing") {
    int records = 0;
    const Logger log{[&](const LogRecord&) { ++records; }};
    { const Steps steps{log, "instance start", "c1"}; }
    CHECK(records == 0);
}
