// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "instance/limits.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::string_view kTable{
#include "instance/instance_types.inc"
};

struct Size {
    float processors = 0, gigabytes = 0;
};

[[noreturn]] void unknown(const std::string& type) {
    throw Error{ErrorCode::InvalidArgument, "Provided instance type doesn't exist: " + type};
}

[[noreturn]] void malformed(const std::string& type) {
    throw Error{ErrorCode::InvalidArgument, "Bad custom instance type: " + type};
}

std::optional<float> number(std::string_view text) {
    float value = 0;
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

/// "aws:t2.micro", or "t2.micro" where the cloud does not matter.
std::optional<Size> known(const std::string& type) {
    for (const auto& line : text::split(kTable, '\n')) {
        const auto words = text::split(line, ' ');
        if (line.starts_with('#') || words.size() != 4) continue;
        if (type != words[1] && type != words[0] + ":" + words[1]) continue;
        return Size{number(words[2]).value_or(0), number(words[3]).value_or(0)};
    }
    return std::nullopt;
}

/// "c2-m4": processors and gigabytes, either may be left out.
Size custom(const std::string& type) {
    Size size;
    for (const auto& part : text::split(type, '-')) {
        if (part.size() < 2 || (part[0] != 'c' && part[0] != 'm')) unknown(type);
        const auto amount = number(std::string_view{part}.substr(1));
        if (!amount) malformed(type);
        (part[0] == 'c' ? size.processors : size.gigabytes) = *amount;
    }
    return size;
}

} // namespace

api::StringMap instance_type_limits(const std::string& type) {
    api::StringMap out;
    if (type.empty()) return out;
    const auto listed = known(type);
    const auto size = listed ? *listed : custom(type);
    if (size.processors > 0) {
        // a part of a processor is time on a whole one
        const float whole = std::ceil(size.processors);
        out["limits.cpu"] = fmt::format("{:.0f}", whole);
        if (whole != size.processors)
            out["limits.cpu.allowance"] = fmt::format("{}%", static_cast<int>(100 * (size.processors / whole)));
    }
    if (size.gigabytes > 0) out["limits.memory"] = fmt::format("{}MB", std::llround(std::floor(size.gigabytes * 1024)));
    return out;
}

} // namespace lxdcore::instance
