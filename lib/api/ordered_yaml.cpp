// SPDX-License-Identifier: Apache-2.0
#include "api/ordered_yaml.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lxdcore::api {

namespace {

using Json = nlohmann::ordered_json;

bool all_of(std::string_view text, std::string_view allowed) {
    return text.find_first_not_of(allowed) == std::string_view::npos;
}

/// True for what a reader of YAML 1.1 takes for a number, a moment, a truth value or nothing.
bool is_no_text(const std::string& text) {
    const auto lowered = text::lower(text);
    for (const auto* word : {"", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "=", ".inf",
                             "+.inf", "-.inf", ".nan"})
        if (lowered == word) return true;
    const auto first = text.front();
    if (std::string_view{"0123456789+-."}.find(first) == std::string_view::npos) return false;
    if (all_of(text, "0123456789_:.+-")) return true; // also base 60 and dates
    if (text.size() > 10 && text[4] == '-' && text[7] == '-' && all_of(text, "0123456789-:.+TtZz ")) return true;
    if (text.starts_with("0b") || text.starts_with("0o")) return all_of(text.substr(2), "01234567_");
    auto number = text;
    std::erase(number, '_');
    char* end = nullptr;
    std::strtod(number.c_str(), &end);
    return end == number.c_str() + number.size();
}

bool has_special(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// What has a meaning of its own where a plain text would stand.
bool has_indicator(std::string_view text) {
    if (std::string_view{"#,[]{}&*!|>'\"%@`"}.find(text.front()) != std::string_view::npos) return true;
    if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return true;
    if (std::string_view{"?-:"}.find(text.front()) != std::string_view::npos && (text.size() == 1 || text[1] == ' '))
        return true;
    return text.starts_with("---") || text.starts_with("...") || text.find(": ") != std::string_view::npos ||
           text.find(" #") != std::string_view::npos;
}

std::string double_quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + '"';
}

std::string single_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text)
        out += c == '\'' ? std::string{"''"} : std::string{c};
    return out + '\'';
}

std::string text_of(const std::string& text) {
    if (text.empty() || has_special(text) || is_no_text(text)) return double_quoted(text);
    return has_indicator(text) ? single_quoted(text) : text;
}

bool is_moment(const std::string& key) { return key == "created_at" || key == "last_used_at" || key == "expires_at"; }

bool is_block(const Json& value) { return value.is_structured() && !value.empty(); }

class Emitter {
public:
    std::string run(const Json& value) {
        if (is_block(value))
            block(value, 0, false);
        else
            (out_ += scalar(value)) += '\n';
        return std::move(out_);
    }

private:
    static std::string scalar(const Json& value) {
        if (value.is_object()) return "{}";
        if (value.is_array()) return "[]";
        return value.is_string() ? text_of(value.get_ref<const std::string&>()) : value.dump();
    }
    void indent(std::size_t depth) { out_.append(2 * depth, ' '); }

    /// @p begun: the first line has its indentation already (behind "- ").
    void block(const Json& value, std::size_t depth, bool begun) {
        if (value.is_array()) return list(value, depth, begun);
        for (const auto& [key, element] : value.items()) {
            if (!begun) indent(depth);
            begun = false;
            (out_ += text_of(key)) += ':';
            if (is_block(element)) {
                out_ += '\n';
                block(element, element.is_array() ? depth : depth + 1, false);
            } else {
                const bool plain = element.is_string() && is_moment(key);
                ((out_ += ' ') += plain ? element.get_ref<const std::string&>() : scalar(element)) += '\n';
            }
        }
    }
    void list(const Json& value, std::size_t depth, bool begun) {
        for (const auto& element : value) {
            if (!begun) indent(depth);
            begun = false;
            out_ += "- ";
            if (is_block(element))
                block(element, depth + 1, true);
            else
                (out_ += scalar(element)) += '\n';
        }
    }
    std::string out_;
};

} // namespace

std::string encode_ordered_yaml(const Json& value) { return Emitter{}.run(value); }

} // namespace lxdcore::api
