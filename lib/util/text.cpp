// SPDX-License-Identifier: Apache-2.0
#include "util/text.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::text {

namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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

void fill_random(unsigned char* data, std::size_t size) {
    while (size > 0) {
        const auto got = ::getrandom(data, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno("getrandom");
        data += got;
        size -= static_cast<std::size_t>(got);
    }
}

std::string to_hex(const unsigned char* data, std::size_t size) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(size * 2);
    for (std::size_t i = 0; i < size; ++i) {
        out += digits[data[i] >> 4];
        out += digits[data[i] & 15];
    }
    return out;
}

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

std::string uuid4() {
    std::array<unsigned char, 16> bytes;
    fill_random(bytes.data(), bytes.size());
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
    auto hex = to_hex(bytes.data(), bytes.size());
    for (const std::size_t at : {20, 16, 12, 8})
        hex.insert(at, 1, '-');
    return hex;
}

std::string random_hex(std::size_t bytes) {
    std::vector<unsigned char> data(bytes);
    fill_random(data.data(), data.size());
    return to_hex(data.data(), data.size());
}

bool equal_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string sha256_hex(std::string_view data) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (::EVP_Digest(data.data(), data.size(), digest.data(), &size, ::EVP_sha256(), nullptr) != 1) {
        throw Error{ErrorCode::Internal, "SHA-256 is not available"};
    }
    return to_hex(digest.data(), size);
}

std::string base64(std::string_view data) {
    std::string out;
    out.reserve((data.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < data.size(); i += 3) {
        std::uint32_t group = 0;
        const auto have = std::min<std::size_t>(3, data.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < have ? static_cast<unsigned char>(data[i + k]) : 0);
        for (std::size_t k = 0; k < 4; ++k)
            out += k <= have ? base64_digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    std::string packed;
    std::copy_if(text.begin(), text.end(), std::back_inserter(packed), [](char c) { return c != '\n' && c != '\r'; });
    if (packed.size() % 4 != 0) return std::nullopt;
    const auto padding = packed.size() - std::min(packed.find('='), packed.size());
    if (padding > 2 || packed.find_first_not_of('=', packed.size() - padding) != std::string::npos) return std::nullopt;
    std::string out;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < packed.size(); ++i) {
        const auto digit = packed[i] == '=' ? 0 : base64_digits.find(packed[i]);
        if (digit == std::string_view::npos) return std::nullopt;
        group = group << 6 | static_cast<std::uint32_t>(digit);
        if (i % 4 != 3) continue;
        for (const int shift : {16, 8, 0})
            out += static_cast<char>(group >> shift & 0xff);
        group = 0;
    }
    out.resize(out.size() - padding);
    return out;
}

} // namespace lxdcore::text
