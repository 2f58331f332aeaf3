// SPDX-License-Identifier: Apache-2.0
#include "config/expiry.hpp"

#include <algorithm>
#include <chrono>

#include "config/validators.hpp"
#include "util/text.hpp"

namespace lxdcore::config {

namespace {

// A calendar ends somewhere, and nanoseconds in 2262; nobody waits longer.
constexpr std::int64_t kMaxAmount = 1'000'000'000;
constexpr std::int64_t kMaxMonths = 12'000;
constexpr std::int64_t kLastSecond = 9'000'000'000;

/// Days and time of day apart: months and years are not of one length.
std::int64_t later(std::int64_t from, std::int64_t months, std::int64_t days, std::int64_t seconds) {
    using namespace std::chrono;
    const sys_seconds start{std::chrono::seconds{from}};
    const auto day = floor<std::chrono::days>(start);
    const year_month_day date{day};
    const auto month = year_month{date.year(), date.month()} + std::chrono::months{months};
    const auto shifted =
        sys_days{month / 1} + (std::chrono::days{static_cast<unsigned>(date.day())} - std::chrono::days{1});
    const auto end = shifted + std::chrono::days{days} + (start - day) + std::chrono::seconds{seconds};
    return end.time_since_epoch().count();
}

} // namespace

std::optional<api::Time> expiry_of(const std::string& expression, const api::Time& from) {
    const auto text = text::trim(expression);
    if (text.empty()) return std::nullopt;
    check::expiry(text);
    std::int64_t months = 0, days = 0, seconds = 0;
    for (const auto& item : text::split(text, ' ')) {
        const auto amount = std::min(text::parse_int(item.substr(0, item.size() - 1)).value_or(kMaxAmount), kMaxAmount);
        switch (item.back()) {
        case 'S':
            seconds += amount;
            break;
        case 'M':
            seconds += amount * 60;
            break;
        case 'H':
            seconds += amount * 3600;
            break;
        case 'd':
            days += amount;
            break;
        case 'w':
            days += amount * 7;
            break;
        case 'm':
            months += amount;
            break;
        default:
            months += amount * 12;
        }
    }
    const auto end = later(from.unix_seconds(), std::min(months, kMaxMonths), days, seconds);
    auto expiry = api::Time::from_unix(std::min(end, kLastSecond));
    if (from.at && expiry.at) *expiry.at += *from.at - std::chrono::floor<std::chrono::seconds>(*from.at);
    return expiry;
}

} // namespace lxdcore::config
