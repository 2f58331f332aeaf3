// SPDX-License-Identifier: Apache-2.0
#include "util/text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::text {

namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";

struct Unit {
    std::string_view suffix;
    std::int64_t factor;
};
constexpr std::array<Unit, 14> units{{{"", 1},
                                      {"B", 1},
                                      {"kB", 1000},
                                      {"MB", 1000'000},
                                      {"GB", 1000'000'000},
                                      {"TB", 1000'000'000'000},
                                      {"PB", 1000'000'000'000'000},
                                      {"EB", 1000'000'000'000'000'000},
                                      {"KiB", 1LL << 10},
                                      {"MiB", 1LL << 20},
                                      {"GiB", 1LL << 30},
                                      {"TiB", 1LL << 40},
                                      {"PiB", 1LL << 50},
                                      {"EiB", 1LL << 60}}};

std::string quote_ascii(char c) {
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\a':
        return "\\a";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\v':
        return "\\v";
    default:
        break;
    }
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
}

/// Code points that Go's %q escapes although they are valid: controls, separators other than the blank, and the like.
bool is_printable(char32_t rune) {
    if (rune < 0xa1) return rune == 0x20 || (rune > 0x20 && rune < 0x7f);
    return rune != 0xad && rune != 0x1680 && !(rune >= 0x2000 && rune <= 0x200f) &&
           !(rune >= 0x2028 && rune <= 0x202f) && !(rune >= 0x205f && rune <= 0x206f) && rune != 0x3000 &&
           !(rune >= 0xe000 && rune <= 0xf8ff) && rune != 0xfeff && rune < 0xe0000;
}

} // namespace

std::size_t decode_utf8(std::string_view text, char32_t& rune) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
    if (length == 0 || text.size() < length) return 0;
    rune = length == 1 ? first : first & (0x7f >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        rune = rune << 6 | (byte(i) & 0x3f);
    }
    constexpr std::array<char32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = rune >= 0xd800 && rune <= 0xdfff;
    return rune < least[length] || rune > 0x10ffff || surrogate ? 0 : length;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    if (text.empty()) return parts;
    for (;;) {
        const auto end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const auto& part : parts) {
        if (&part != &parts.front()) out += separator;
        out += part;
    }
    return out;
}

std::string trim(std::string_view text) {
    const auto begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return std::string{text.substr(begin, text.find_last_not_of(blanks) - begin + 1)};
}

std::string lower(std::string_view text) {
    std::string out{text};
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

bool is_true(std::string_view text) {
    const auto value = lower(text);
    return value == "true" || value == "1" || value == "yes" || value == "on";
}

bool is_false(std::string_view text) {
    const auto value = lower(text);
    return value == "false" || value == "0" || value == "no" || value == "off";
}

std::int64_t parse_bytes(std::string_view text) {
    if (text.empty()) return 0;
    const auto invalid = [&] { return Error{ErrorCode::InvalidArgument, fmt::format("Invalid value: {}", text)}; };
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_int(text.substr(0, digits));
    const auto unit = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& candidate) { return candidate.suffix == text.substr(digits); });
    if (!number || unit == units.end()) throw invalid();
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(*number, unit->factor, &bytes)) {
        throw Error{ErrorCode::InvalidArgument, fmt::format("Overflow multiplying {} with {}", *number, unit->factor)};
    }
    return bytes;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        char32_t rune = 0;
        const auto length = decode_utf8(text, rune);
        if (length == 0) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
        } else if (length == 1) {
            out += quote_ascii(text[0]);
        } else if (is_printable(rune)) {
            out += text.substr(0, length);
        } else {
            out += rune < 0x10000 ? fmt::format("\\u{:04x}", static_cast<unsigned>(rune))
                                  : fmt::format("\\U{:08x}", static_cast<unsigned>(rune));
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out + '"';
}

} // namespace lxdcore::text
