// SPDX-License-Identifier: Apache-2.0
#include "util/snapshot_name.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <lxdcore/error.hpp>

#include "util/names.hpp"
#include "util/template_engine.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr std::string_view kNumber = "%d";

/// One more than the largest number that a name of this form has.
std::int64_t next_number(std::string_view before, std::string_view after, const std::vector<std::string>& taken) {
    std::int64_t next = 0;
    for (const auto& name : taken) {
        const std::string_view text{name};
        if (text.size() <= before.size() + after.size() || !text.starts_with(before) || !text.ends_with(after))
            continue;
        const auto digits = text.substr(before.size(), text.size() - before.size() - after.size());
        std::int64_t number = -1;
        const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (failed == std::errc{} && end == digits.data() + digits.size() && number >= next && number < INT32_MAX)
            next = number + 1;
    }
    return next;
}

[[noreturn]] void refuse(const std::string& why) {
    throw Error{ErrorCode::InvalidArgument, "Invalid snapshot name" + why};
}

} // namespace

void check_snapshot_name(const std::string& name) {
    constexpr std::size_t longest_file_name = 255;
    if (name.empty()) refuse(": No name provided");
    if (name.find('/') != std::string::npos) refuse(": Cannot contain \"/\"");
    if (name == "." || name == ".." || name.find('\\') != std::string::npos || names::has_control(name) ||
        !names::is_utf8(name) || name.size() > longest_file_name)
        refuse(" " + text::quote(name));
}

std::string next_snapshot_name(const std::string& pattern, std::chrono::system_clock::time_point now,
                               const std::vector<std::string>& taken) {
    auto name = pattern.empty() ? "snap%d" : render_template(pattern, {.times = {{"creation_date", now}}});
    auto at = name.find(kNumber);
    if (at != std::string::npos && name.find(kNumber, at + 1) != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Snapshot pattern may contain '%d' only once"};
    if (at == std::string::npos) {
        if (std::find(taken.begin(), taken.end(), name) == taken.end()) return name;
        at = name.size() + 1;
        name += "-%d";
    }
    const std::string_view text{name};
    const auto before = text.substr(0, at);
    const auto after = text.substr(at + kNumber.size());
    const auto number = std::to_string(next_number(before, after, taken));
    return std::string{before} + number + std::string{after};
}

} // namespace lxdcore
