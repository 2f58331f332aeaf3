// SPDX-License-Identifier: Apache-2.0
#include "util/cron.hpp"

#include <algorithm>
#include <ctime>
#include <span>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr int kFarthestDays = 5 * 366;

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    throw Error{ErrorCode::InvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}

[[noreturn]] void refuse_form() {
    refuse("Schedule must be of the form: <minute> <hour> <day-of-month> <month> <day-of-week>");
}

struct Field {
    std::int64_t low, high;
    std::span<const std::string_view> words;
};
constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kDays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr Field kMinute{0, 59, {}}, kHour{0, 23, {}}, kDay{1, 31, {}}, kMonth{1, 12, kMonths}, kWeekday{0, 6, kDays};

std::int64_t number_of(std::string_view item, const Field& field) {
    if (const auto number = text::parse_int(item); number && *number >= 0) return *number;
    const auto word = text::lower(item);
    for (std::size_t i = 0; i < field.words.size(); ++i)
        if (field.words[i] == word) return static_cast<std::int64_t>(i) + field.low;
    refuse("Error parsing schedule: failed to parse int from {}", item);
}

struct Values {
    std::uint64_t bits = 0;
    bool every = false; ///< written as a star
};

Values item_of(std::string_view item, const Field& field) {
    const auto slash = item.find('/');
    const auto range = item.substr(0, slash);
    std::int64_t step = 1;
    if (slash != std::string_view::npos) {
        const auto text = item.substr(slash + 1);
        if (text.find('/') != std::string_view::npos) refuse("Error parsing schedule: too many slashes: {}", item);
        step = text::parse_int(text).value_or(-1);
        if (step < 0) refuse("Error parsing schedule: failed to parse int from {}", text);
        if (step == 0) refuse("Error parsing schedule: step of range should be a positive number: {}", item);
    }
    const auto dash = range.find('-');
    const auto first = range.substr(0, dash);
    const bool star = first == "*" || first == "?";
    auto low = field.low, high = field.high;
    if (!star) {
        low = number_of(first, field);
        if (dash != std::string_view::npos) {
            const auto last = range.substr(dash + 1);
            if (last.find('-') != std::string_view::npos) refuse("Error parsing schedule: too many hyphens: {}", item);
            high = number_of(last, field);
        } else if (slash == std::string_view::npos) {
            high = low;
        }
    }
    if (low < field.low)
        refuse("Error parsing schedule: beginning of range ({}) below minimum ({}): {}", low, field.low, item);
    if (high > field.high)
        refuse("Error parsing schedule: end of range ({}) above maximum ({}): {}", high, field.high, item);
    if (low > high)
        refuse("Error parsing schedule: beginning of range ({}) beyond end of range ({}): {}", low, high, item);
    Values values{.every = star && step == 1};
    for (auto i = low; i <= high; i += std::min<std::int64_t>(step, 64))
        values.bits |= std::uint64_t{1} << i;
    return values;
}

Values field_of(std::string_view text, const Field& field) {
    Values values;
    for (const auto& item : text::split(text, ',')) {
        if (item.empty()) continue;
        const auto more = item_of(item, field);
        values.bits |= more.bits;
        values.every = values.every || more.every;
    }
    return values;
}

/// The same number for the same subject, spread over all of them.
std::uint64_t mixed(std::uint64_t subject, std::uint64_t salt) {
    auto x = (subject + salt) * 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

std::tm local(std::time_t time) {
    std::tm parts{};
    ::localtime_r(&time, &parts);
    return parts;
}

bool has(std::uint64_t bits, int number) { return (bits >> number & 1) != 0; }

} // namespace

Schedule Schedule::parse(std::string_view text, std::uint64_t subject) {
    Schedule schedule;
    auto rest = text;
    while (true) {
        const auto comma = rest.find(", ");
        const auto part = text::trim(rest.substr(0, comma));
        if (part.starts_with('@'))
            schedule.add_name(text::lower(part), subject);
        else
            schedule.lines_.push_back(parse_line(part));
        if (comma == std::string_view::npos) return schedule;
        rest.remove_prefix(comma + 2);
    }
}

void Schedule::add_name(std::string_view name, std::uint64_t subject) {
    if (name == "@startup") {
        startup_ = true;
        return;
    }
    if (name == "@never") {
        never_ = true;
        return;
    }
    const auto minute = mixed(subject, 1) % 60, hour = mixed(subject, 2) % 24;
    if (name == "@hourly")
        lines_.push_back(parse_line(fmt::format("{} * * * *", minute)));
    else if (name == "@daily" || name == "@midnight")
        lines_.push_back(parse_line(fmt::format("{} {} * * *", minute, hour)));
    else if (name == "@weekly")
        lines_.push_back(parse_line(fmt::format("{} {} * * 0", minute, hour)));
    else if (name == "@monthly")
        lines_.push_back(parse_line(fmt::format("{} {} 1 * *", minute, hour)));
    else if (name == "@annually" || name == "@yearly")
        lines_.push_back(parse_line(fmt::format("{} {} 1 1 *", minute, hour)));
    else
        refuse_form();
}

Schedule::Line Schedule::parse_line(std::string_view text) {
    std::vector<std::string> parts;
    for (const auto& part : text::split(text, ' '))
        if (!part.empty()) parts.push_back(part);
    if (parts.size() != 5) refuse_form();
    Line line;
    line.minutes = field_of(parts[0], kMinute).bits;
    line.hours = static_cast<std::uint32_t>(field_of(parts[1], kHour).bits);
    const auto days = field_of(parts[2], kDay);
    line.days = static_cast<std::uint32_t>(days.bits);
    line.every_day = days.every;
    line.months = static_cast<std::uint32_t>(field_of(parts[3], kMonth).bits);
    const auto weekdays = field_of(parts[4], kWeekday);
    line.weekdays = static_cast<std::uint32_t>(weekdays.bits);
    line.every_weekday = weekdays.every;
    return line;
}

bool Schedule::fits_day(const Line& line, const std::tm& day) {
    if (!has(line.months, day.tm_mon + 1)) return false;
    const bool by_date = has(line.days, day.tm_mday), by_weekday = has(line.weekdays, day.tm_wday);
    return line.every_day || line.every_weekday ? by_date && by_weekday : by_date || by_weekday;
}

bool Schedule::matches(Time time) const {
    const auto now = local(std::chrono::system_clock::to_time_t(time));
    return std::any_of(lines_.begin(), lines_.end(), [&](const Line& line) {
        return fits_day(line, now) && has(line.hours, now.tm_hour) && has(line.minutes, now.tm_min);
    });
}

std::optional<Schedule::Time> Schedule::next_of(const Line& line, Time time) {
    const auto after = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
    auto noon = local(after); // a day that has no midnight has a noon
    noon.tm_hour = 12;
    noon.tm_min = noon.tm_sec = 0;
    for (int days = 0; days < kFarthestDays; ++days) {
        noon.tm_isdst = -1;
        (void)std::mktime(&noon);
        if (fits_day(line, noon)) {
            for (int hour = 0; hour < 24; ++hour) {
                for (int minute = 0; has(line.hours, hour) && minute < 60; ++minute) {
                    if (!has(line.minutes, minute)) continue;
                    auto moment = noon;
                    moment.tm_hour = hour;
                    moment.tm_min = minute;
                    moment.tm_isdst = -1;
                    const auto at = std::mktime(&moment);
                    if (at > after) return std::chrono::system_clock::from_time_t(at);
                }
            }
        }
        ++noon.tm_mday;
        noon.tm_hour = 12;
    }
    return std::nullopt;
}

std::optional<Schedule::Time> Schedule::next(Time time) const {
    std::optional<Time> first;
    for (const auto& line : lines_)
        if (const auto at = next_of(line, time); at && (!first || *at < *first)) first = at;
    return first;
}

bool Schedule::due(Time last, Time now) const {
    const auto at = next(last);
    return at && *at <= now;
}

} // namespace lxdcore
