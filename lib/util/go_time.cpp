// SPDX-License-Identifier: Apache-2.0
#include "util/go_time.hpp"

#include <array>
#include <ctime>

#include <fmt/format.h>

namespace lxdcore {

namespace {

/// Parts of a layout and what strftime calls them; the longer of two that begin alike comes first.
struct Part {
    std::string_view layout;
    const char* format;
};
constexpr std::array kParts{Part{"January", "%B"}, Part{"Jan", "%b"},  Part{"Monday", "%A"}, Part{"Mon", "%a"},
                            Part{"MST", "%Z"},     Part{"2006", "%Y"}, Part{"-0700", "%z"},  Part{"002", "%j"},
                            Part{"01", "%m"},      Part{"02", "%d"},   Part{"03", "%I"},     Part{"04", "%M"},
                            Part{"05", "%S"},      Part{"06", "%y"},   Part{"15", "%H"},     Part{"_2", "%e"},
                            Part{"PM", "%p"},      Part{"pm", "%P"}};

std::string formatted(const std::tm& time, const char* format) {
    std::array<char, 64> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &time)};
}

/// "-07:00", or with @p z "Z" for UTC.
std::string zone(const std::tm& time, bool z) {
    if (z && time.tm_gmtoff == 0) return "Z";
    const auto minutes = (time.tm_gmtoff < 0 ? -time.tm_gmtoff : time.tm_gmtoff) / 60;
    return fmt::format("{}{:02}:{:02}", time.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

} // namespace

std::string go_time(std::chrono::system_clock::time_point when, std::string_view layout) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm time{};
    ::localtime_r(&seconds, &time);
    std::string out;
    while (!layout.empty()) {
        const auto take = [&](std::string_view part, const std::string& text) {
            if (!layout.starts_with(part)) return false;
            layout.remove_prefix(part.size());
            out += text;
            return true;
        };
        if (take("Z07:00", zone(time, true)) || take("-07:00", zone(time, false))) continue;
        bool found = false;
        for (const auto& part : kParts)
            if ((found = layout.starts_with(part.layout))) {
                take(part.layout, formatted(time, part.format));
                break;
            }
        if (found) continue;
        if (take("1", std::to_string(time.tm_mon + 1)) || take("2", std::to_string(time.tm_mday)) ||
            take("3", std::to_string(time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12)) ||
            take("4", std::to_string(time.tm_min)) || take("5", std::to_string(time.tm_sec)))
            continue;
        out += layout.front();
        layout.remove_prefix(1);
    }
    return out;
}

} // namespace lxdcore
