// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <ctime>
#include <set>

#include <doctest/doctest.h>

#include <lxdcore/api/types.hpp>
#include <lxdcore/error.hpp>

#include "util/cron.hpp"
#include "util/minute_timer.hpp"

using namespace lxdcore;

namespace {

/// The tests speak of one zone; the process has no other threads yet.
struct Zone {
    explicit Zone(const char* name) {
        ::setenv("TZ", name, 1); // NOLINT(concurrency-mt-unsafe)
        ::tzset();
    }
    ~Zone() {
        ::unsetenv("TZ"); // NOLINT(concurrency-mt-unsafe)
        ::tzset();
    }
    Zone(const Zone&) = delete;
    Zone& operator=(const Zone&) = delete;
};

Schedule::Time at(const std::string& text) {
    return std::chrono::time_point_cast<Schedule::Time::duration>(*api::Time::parse(text).at);
}

std::string next(const std::string& schedule, const std::string& after) {
    const auto time = Schedule::parse(schedule).next(at(after));
    return time ? api::Time::from_unix(std::chrono::system_clock::to_time_t(*time)).str() : "never";
}

std::string refusal(const std::string& text) {
    try {
        Schedule::parse(text);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

} // namespace

TEST_CASE("the next time of a schedule is the first full minute that fits") {
    const Zone zone{"UTC"};
    CHECK(next("* * * * *", "2024-02-28T23:59:00Z") == "2024-02-29T00:00:00Z");
    CHECK(next("* * * * *", "2024-02-28T23:59:59.5Z") == "2024-02-29T00:00:00Z");
    CHECK(next("30 4 * * *", "2024-05-01T04:30:00Z") == "2024-05-02T04:30:00Z");
    CHECK(next("*/20 3-4 * * *", "2024-05-01T03:41:00Z") == "2024-05-01T04:00:00Z");
    CHECK(next("5/25 * * * *", "2024-05-01T03:06:00Z") == "2024-05-01T03:30:00Z");
    CHECK(next("0 0 29 feb *", "2024-03-01T00:00:00Z") == "2028-02-29T00:00:00Z");
    CHECK(next("0 0 31 2 *", "2024-03-01T00:00:00Z") == "never");
    CHECK(next("0 0 * * mon-wed", "2024-05-01T00:00:00Z") == "2024-05-06T00:00:00Z"); // a Wednesday
}

TEST_CASE("day and weekday both have to fit only where one is a star") {
    const Zone zone{"UTC"};
    CHECK(next("0 0 13 * fri", "2024-05-01T00:00:00Z") == "2024-05-03T00:00:00Z");
    CHECK(next("0 0 13 * *", "2024-05-01T00:00:00Z") == "2024-05-13T00:00:00Z");
    CHECK(next("0 0 ? * 5", "2024-05-01T00:00:00Z") == "2024-05-03T00:00:00Z");
    CHECK(next("0 0 */2 * 0", "2024-05-01T00:00:00Z") == "2024-05-03T00:00:00Z"); // */2 is no star
}

TEST_CASE("a schedule follows the clock on the wall over changes of the hour") {
    const Zone zone{"CET-1CEST,M3.5.0,M10.5.0/3"};
    CHECK(next("0 12 * * *", "2024-03-30T12:00:00Z") == "2024-03-31T10:00:00Z");
    CHECK(next("0 12 * * *", "2024-10-26T12:00:00Z") == "2024-10-27T11:00:00Z");
    CHECK(next("30 0 * * *", "2024-03-30T23:00:00Z") == "2024-03-30T23:30:00Z");
    CHECK(Schedule::parse("30 14 * * *").matches(at("2024-07-01T12:30:59Z")));
}

TEST_CASE("names stand for times of each subject's own") {
    const Zone zone{"UTC"};
    const auto daily = Schedule::parse("@daily", 7);
    const auto first = daily.next(at("2024-05-01T00:00:00Z"));
    REQUIRE(first);
    CHECK(daily.next(*first) == *first + std::chrono::hours{24});
    CHECK(Schedule::parse("@MIDNIGHT", 7).next(at("2024-05-01T00:00:00Z")) == first);
    std::set<std::optional<Schedule::Time>> times;
    for (std::uint64_t subject = 0; subject < 100; ++subject)
        times.insert(Schedule::parse("@daily", subject).next(at("2024-05-01T00:00:00Z")));
    CHECK(times.size() > 50);
    CHECK(Schedule::parse("@yearly", 7).next(at("2024-05-01T00:00:00Z")) > at("2025-01-01T00:00:00Z"));
}

TEST_CASE("several schedules may follow each other") {
    const Zone zone{"UTC"};
    CHECK(next("0 5 * * *, 0 3 * * *", "2024-05-01T00:00:00Z") == "2024-05-01T03:00:00Z");
    const auto startup = Schedule::parse("@startup, @hourly");
    CHECK(startup.at_startup());
    CHECK(startup.next(at("2024-05-01T00:00:00Z")));
    CHECK_FALSE(Schedule::parse("@never").next(at("2024-05-01T00:00:00Z")));
    CHECK(Schedule::parse("@never").has_lifecycle_names());
    CHECK(refusal("@hourly,@daily") == refusal("x"));
}

TEST_CASE("a clock that jumped is caught up with once, and one that went back is not") {
    const Zone zone{"UTC"};
    const auto schedule = Schedule::parse("0 3 * * *");
    CHECK_FALSE(schedule.due(at("2024-05-01T03:00:00Z"), at("2024-05-02T02:59:59Z")));
    CHECK(schedule.due(at("2024-05-01T03:00:00Z"), at("2024-05-02T03:00:00Z")));
    CHECK(schedule.due(at("2024-05-01T03:00:00Z"), at("2034-05-02T03:00:00Z")));
    CHECK_FALSE(schedule.due(at("2034-05-01T03:00:00Z"), at("2024-05-02T03:00:00Z")));
}

TEST_CASE("what is no schedule is refused with the usual words") {
    CHECK(refusal("99 * * * *") == "Error parsing schedule: end of range (99) above maximum (59): 99");
    CHECK(refusal("* * 0 * *") == "Error parsing schedule: beginning of range (0) below minimum (1): 0");
    CHECK(refusal("5-1 * * * *") == "Error parsing schedule: beginning of range (5) beyond end of range (1): 5-1");
    CHECK(refusal("1-2-3 * * * *") == "Error parsing schedule: too many hyphens: 1-2-3");
    CHECK(refusal("1/2/3 * * * *") == "Error parsing schedule: too many slashes: 1/2/3");
    CHECK(refusal("*/0 * * * *") == "Error parsing schedule: step of range should be a positive number: */0");
    CHECK(refusal("* * * * * *").starts_with("Schedule must be of the form"));
    CHECK(refusal("@every 1h").starts_with("Schedule must be of the form"));
    CHECK(refusal("").starts_with("Schedule must be of the form"));
    CHECK(refusal("*-5 */99999999999 ? jan sun").empty());
}

TEST_CASE("a timer waits for the next minute of the clock and never longer") {
    using namespace std::chrono_literals;
    CHECK(MinuteTimer::until_next(at("2024-05-01T03:00:00Z")) == 60s);
    CHECK(MinuteTimer::until_next(at("2024-05-01T03:00:59.5Z")) == 500ms);
    CHECK(MinuteTimer::until_next(at("2024-05-01T03:00:30Z")) == 30s);
}

TEST_CASE("a timer ends while it waits") {
    MinuteTimer timer{[](auto, auto) {}};
}
