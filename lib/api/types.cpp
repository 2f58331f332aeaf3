// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/status.hpp>
#include <lxdcore/api/types.hpp>

#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

namespace lxdcore::api {

namespace {

using std::chrono::nanoseconds;
constexpr std::string_view kZero = "0001-01-01T00:00:00Z";

/// Walks an RFC 3339 text; every step throws on what does not fit.
class TimeReader {
public:
    explicit TimeReader(std::string_view text) : whole_{text}, rest_{text} {}

    int number(std::size_t digits) {
        int value = 0;
        if (rest_.size() < digits) fail();
        for (std::size_t i = 0; i < digits; ++i) {
            if (rest_[i] < '0' || rest_[i] > '9') fail();
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(digits);
        return value;
    }
    void expect(char c) {
        if (!accept(c)) fail();
    }
    bool accept(char c) {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    nanoseconds fraction() {
        if (!accept('.')) return nanoseconds{0};
        std::int64_t value = 0;
        std::int64_t unit = 1'000'000'000;
        std::size_t digits = 0;
        while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
            if (unit > 1) {
                unit /= 10;
                value += unit * (rest_.front() - '0');
            }
            rest_.remove_prefix(1);
            ++digits;
        }
        if (digits == 0) fail();
        return nanoseconds{value};
    }
    std::chrono::minutes offset() {
        if (accept('Z')) return std::chrono::minutes{0};
        const bool minus = accept('-');
        if (!minus) expect('+');
        const int hours = number(2);
        expect(':');
        const int minutes = number(2);
        if (hours > 23 || minutes > 59) fail();
        const std::chrono::minutes sum{hours * 60 + minutes};
        return minus ? -sum : sum;
    }
    void end() const {
        if (!rest_.empty()) fail();
    }
    [[noreturn]] void fail() const {
        throw Error{ErrorCode::InvalidArgument, fmt::format("\"{}\" is not an RFC 3339 time", whole_)};
    }

private:
    std::string_view whole_;
    std::string_view rest_;
};

} // namespace

std::string_view name(Status status) noexcept {
    switch (status) {
    case Status::OperationCreated:
        return "Operation created";
    case Status::Started:
        return "Started";
    case Status::Stopped:
        return "Stopped";
    case Status::Running:
        return "Running";
    case Status::Cancelling:
        return "Cancelling";
    case Status::Pending:
        return "Pending";
    case Status::Starting:
        return "Starting";
    case Status::Stopping:
        return "Stopping";
    case Status::Aborting:
        return "Aborting";
    case Status::Freezing:
        return "Freezing";
    case Status::Frozen:
        return "Frozen";
    case Status::Thawed:
        return "Thawed";
    case Status::Error:
        return "Error";
    case Status::Ready:
        return "Ready";
    case Status::Success:
        return "Success";
    case Status::Failure:
        return "Failure";
    case Status::Cancelled:
        return "Cancelled";
    }
    return "";
}

Time Time::now() { return Time{std::chrono::time_point_cast<nanoseconds>(std::chrono::system_clock::now())}; }

Time Time::from_unix(std::int64_t seconds) {
    // Beyond these a signed 64-bit count of nanoseconds overflows.
    constexpr std::int64_t limit = 9'223'372'036;
    if (seconds > limit || seconds < -limit)
        throw Error{ErrorCode::InvalidArgument, fmt::format("time {} is out of range", seconds)};
    return Time{Point{std::chrono::seconds{seconds}}};
}

Time Time::parse(const std::string& rfc3339) {
    if (rfc3339 == kZero) return {};
    TimeReader in{rfc3339};
    const int year = in.number(4);
    in.expect('-');
    const int month = in.number(2);
    in.expect('-');
    const int day = in.number(2);
    in.expect('T');
    const int hour = in.number(2);
    in.expect(':');
    const int minute = in.number(2);
    in.expect(':');
    const int second = in.number(2);
    const auto fraction = in.fraction();
    const auto offset = in.offset();
    in.end();
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    // The range of 64-bit nanoseconds, with a year of margin on both sides.
    if (!date.ok() || hour > 23 || minute > 59 || second > 59 || year < 1678 || year > 2261) in.fail();
    return Time{Point{std::chrono::sys_days{date}} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
                std::chrono::seconds{second} + fraction - offset};
}

/// Digit by digit: a long list has thousands of these.
std::string Time::str() const {
    if (!at) return std::string{kZero};
    const auto days = std::chrono::floor<std::chrono::days>(*at);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss clock{*at - days};
    std::string text = "0000-00-00T00:00:00";
    const auto put = [&text](std::size_t end, std::int64_t value) {
        for (; value != 0; value /= 10)
            text[--end] = static_cast<char>('0' + value % 10);
    };
    put(4, static_cast<int>(date.year()));
    put(7, static_cast<unsigned>(date.month()));
    put(10, static_cast<unsigned>(date.day()));
    put(13, clock.hours().count());
    put(16, clock.minutes().count());
    put(19, clock.seconds().count());
    if (const auto rest = clock.subseconds().count(); rest != 0) {
        text += ".000000000";
        put(text.size(), rest);
        text.erase(text.find_last_not_of('0') + 1);
    }
    return text += 'Z';
}

std::int64_t Time::unix_seconds() const {
    return at ? std::chrono::floor<std::chrono::seconds>(*at).time_since_epoch().count() : 0;
}

void to_json(nlohmann::json& json, const Time& value) { json = value.str(); }

void from_json(const nlohmann::json& json, Time& value) {
    if (!json.is_string()) throw Error{ErrorCode::InvalidArgument, "expected a time in RFC 3339 form"};
    value = Time::parse(json.get_ref<const std::string&>());
}

} // namespace lxdcore::api
