// SPDX-License-Identifier: Apache-2.0
#include "api/codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/text_writer.hpp"
#include "util/text.hpp"

namespace lxdcore::api {

namespace {

using Json = nlohmann::json;
constexpr std::size_t kMaxBytes = 16U << 20;
constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxNodes = 100'000;

[[noreturn]] void refuse(std::string text) { throw Error{ErrorCode::InvalidArgument, std::move(text)}; }

void refuse_nul(const Json& value) {
    if (value.is_string() && value.get_ref<const std::string&>().find('\0') != std::string::npos)
        refuse("invalid JSON: a text holds a NUL character");
}

/// Counts while the parser runs, so that nothing oversized is ever built.
class Bounds {
public:
    bool operator()(int depth, Json::parse_event_t event, const Json& value) {
        using Event = Json::parse_event_t;
        if (event == Event::object_end || event == Event::array_end) return true;
        if (++nodes_ > kMaxNodes) throw Error{ErrorCode::TooLarge, "invalid JSON: more than 100000 values"};
        if (event == Event::object_start || event == Event::array_start) {
            if (depth >= kMaxDepth) refuse("invalid JSON: nested deeper than 100");
        } else {
            if (event == Event::key) --nodes_; // counted with its value
            refuse_nul(value);
        }
        return true;
    }

private:
    std::size_t nodes_ = 0;
};

void append_escaped(std::string& out, unsigned code) { fmt::format_to(std::back_inserter(out), "\\u{:04x}", code); }

/// Length of the valid UTF-8 sequence at @p text, 0 if there is none.
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    std::size_t length = 0;
    unsigned low = 0x80;
    unsigned high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;
    }
    if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
    for (std::size_t i = 2; i < length; ++i)
        if ((byte(i) & 0xc0U) != 0x80) return 0;
    return length;
}

/// Characters that stand for themselves in a JSON text.
constexpr auto kPlain = [] {
    std::array<bool, 256> plain{};
    for (std::size_t c = 0x20; c < 0x80; ++c)
        plain[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
    return plain;
}();

} // namespace

void detail::append_text(std::string& out, std::string_view text) {
    const auto plain = [](char c) { return kPlain[static_cast<unsigned char>(c)]; };
    if (std::all_of(text.begin(), text.end(), plain)) { // nearly always
        const auto at = out.size();
        out.resize(at + text.size() + 2, '"');
        text.copy(out.data() + at + 1, text.size());
        return;
    }
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
        std::size_t run = i;
        while (run < text.size() && kPlain[static_cast<unsigned char>(text[run])])
            ++run;
        out.append(text, i, run - i);
        if ((i = run) == text.size()) break;
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x80) {
            const auto length = sequence_length(text.substr(i));
            const auto sequence = text.substr(i, length);
            if (length == 0)
                out += "\\ufffd";
            else if (sequence == "\xe2\x80\xa8" || sequence == "\xe2\x80\xa9")
                append_escaped(out, 0x2028U + (static_cast<unsigned char>(sequence[2]) & 1U));
            else
                out += sequence;
            i += length == 0 ? 1 : length;
            continue;
        }
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            append_escaped(out, c);
        }
        ++i;
    }
    out += '"';
}

namespace {

void append_float(std::string& out, double value) {
    if (!std::isfinite(value)) throw Error{ErrorCode::Internal, "a number that JSON cannot express"};
    const double size = std::abs(value);
    const bool scientific = size != 0 && (size < 1e-6 || size >= 1e21);
    char buffer[400];
    auto end = std::to_chars(std::begin(buffer), std::end(buffer), value,
                             scientific ? std::chars_format::scientific : std::chars_format::fixed)
                   .ptr;
    if (scientific && end - buffer >= 4 && end[-4] == 'e' && end[-3] == '-' && end[-2] == '0') { // e-09 is e-9 in Go
        end[-2] = end[-1];
        --end;
    }
    out.append(buffer, end);
}

void append(std::string& out, const Json& value) {
    switch (value.type()) {
    case Json::value_t::object: {
        out += '{';
        bool first = true;
        for (const auto& [key, element] : value.items()) {
            if (!std::exchange(first, false)) out += ',';
            detail::append_text(out, key);
            out += ':';
            append(out, element);
        }
        out += '}';
        return;
    }
    case Json::value_t::array: {
        out += '[';
        bool first = true;
        for (const auto& element : value) {
            if (!std::exchange(first, false)) out += ',';
            append(out, element);
        }
        out += ']';
        return;
    }
    case Json::value_t::string:
        detail::append_text(out, value.get_ref<const std::string&>());
        return;
    case Json::value_t::boolean:
        out += value.get<bool>() ? "true" : "false";
        return;
    case Json::value_t::number_integer:
        out += std::to_string(value.get<std::int64_t>());
        return;
    case Json::value_t::number_unsigned:
        out += std::to_string(value.get<std::uint64_t>());
        return;
    case Json::value_t::number_float:
        append_float(out, value.get<double>());
        return;
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
        out += "null";
        return;
    }
}

} // namespace

Json parse_json(std::string_view text) {
    if (text.size() > kMaxBytes) throw Error{ErrorCode::TooLarge, "the request body is larger than 16 MiB"};
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) refuse("EOF");
    // The library's lexer takes a NUL byte for the end of the text.
    if (text.find('\0') != std::string_view::npos) refuse("invalid JSON: a NUL byte");
    try {
        Bounds bounds;
        return Json::parse(
            text, [&](int depth, Json::parse_event_t event, Json& value) { return bounds(depth, event, value); });
    } catch (const Json::parse_error& error) {
        if (error.byte > text.size()) refuse("unexpected EOF");
        refuse(fmt::format("invalid JSON at byte {}", error.byte));
    } catch (const Json::exception&) {
        refuse("invalid JSON: a number is out of range");
    }
}

std::string encode_json(const Json& value) {
    std::string out;
    append(out, value);
    return out;
}

std::string etag_of(const Json& fields) { return text::sha256_hex(encode_json(fields) + "\n"); }

void check_etag(const std::string& current, const std::string& if_match) {
    std::string given;
    for (const char c : if_match)
        if (c != '"') given += c;
    if (!given.empty() && given != current)
        throw Error{ErrorCode::StaleEtag, fmt::format("ETag doesn't match: {} vs {}", current, given)};
}

} // namespace lxdcore::api
