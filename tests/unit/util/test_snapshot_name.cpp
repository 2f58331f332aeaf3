// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <ctime>

#include <lxdcore/error.hpp>

#include "util/go_time.hpp"
#include "util/snapshot_name.hpp"

using namespace lxdcore;

namespace {

std::chrono::system_clock::time_point local(int year, int month, int day, int hour, int minute, int second) {
    std::tm time{};
    time.tm_year = year - 1900;
    time.tm_mon = month - 1;
    time.tm_mday = day;
    time.tm_hour = hour;
    time.tm_min = minute;
    time.tm_sec = second;
    time.tm_isdst = -1;
    return std::chrono::system_clock::from_time_t(std::mktime(&time));
}

const auto kNow = local(2026, 3, 7, 14, 5, 9);

} // namespace

TEST_CASE("snapshots are numbered from the largest number that there is") {
    CHECK(next_snapshot_name("", kNow, {}) == "snap0");
    CHECK(next_snapshot_name("", kNow, {"snap0", "snap7", "snap3", "other9", "snapx", "snap"}) == "snap8");
    CHECK(next_snapshot_name("a-%d-z", kNow, {"a-4-z", "a-9-y"}) == "a-5-z");
    CHECK(next_snapshot_name("%d", kNow, {"99999999999999999999"}) == "0");
}

TEST_CASE("a fixed name that is taken gets a number") {
    CHECK(next_snapshot_name("daily", kNow, {}) == "daily");
    CHECK(next_snapshot_name("daily", kNow, {"daily"}) == "daily-0");
    CHECK(next_snapshot_name("daily", kNow, {"daily", "daily-0"}) == "daily-1");
}

TEST_CASE("a pattern shows the date and nothing else") {
    CHECK(next_snapshot_name("{{ creation_date|date:'2006-01-02_15-04-05' }}", kNow, {}) == "2026-03-07_14-05-09");
    CHECK(next_snapshot_name("x{{creation_date|date:\"06-1-2\"}}-%d", kNow, {"x26-3-7-0"}) == "x26-3-7-1");
    CHECK_THROWS_AS(next_snapshot_name("%d%d", kNow, {}), Error);
    CHECK_THROWS_AS(next_snapshot_name("{% include '/etc/passwd' %}", kNow, {}), Error);
    CHECK_THROWS_AS(next_snapshot_name("{{ 'x'|date:'2006' }}", kNow, {}), Error);
    CHECK_THROWS_AS(next_snapshot_name("{{ file('/etc/passwd') }}", kNow, {}), Error);
}

TEST_CASE("times are written by Go's layouts") {
    CHECK(go_time(kNow, "Mon Jan _2 15:04:05 2006") == "Sat Mar  7 14:05:09 2026");
    CHECK(go_time(kNow, "Monday January 2 3:04PM") == "Saturday March 7 2:05PM");
    CHECK(go_time(kNow, "002 no digits") == "066 no digits");
}
