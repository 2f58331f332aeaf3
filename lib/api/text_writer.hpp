// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "api/fields.hpp"

/// The writer of JSON text over the same lists of fields as Writer and Reader. Private to lib/api.
namespace lxdcore::api::detail {

/// A string with Go's escapes, quotes included.
void append_text(std::string& out, std::string_view text);

/// Ends an object or list; each element has left a comma.
inline void close_with(std::string& out, char bracket) {
    if (out.back() == ',')
        out.back() = bracket;
    else
        out += bracket;
}

inline void append_value(std::string& out, const std::string& value) { append_text(out, value); }
inline void append_value(std::string& out, bool value) { out += value ? "true" : "false"; }
inline void append_value(std::string& out, const Time& value) { append_text(out, value.str()); }
template <typename T>
requires(std::integral<T> || std::is_enum_v<T>) void append_value(std::string& out, T value) {
    out += std::to_string(static_cast<std::conditional_t<std::is_unsigned_v<T>, std::uint64_t, std::int64_t>>(value));
}
template <typename T>
void append_value(std::string& out, const std::vector<T>& list) {
    out += '[';
    for (const auto& element : list) {
        append_value(out, element);
        out += ',';
    }
    close_with(out, ']');
}
template <typename T>
void append_value(std::string& out, const std::map<std::string, T>& map) {
    out += '{';
    for (const auto& [key, element] : map) {
        append_text(out, key);
        out += ':';
        append_value(out, element);
        out += ',';
    }
    close_with(out, '}');
}

/// Writes one object: opened by the constructor, closed by end().
class TextWriter {
public:
    explicit TextWriter(std::string& out) : out_{out} { out_ += '{'; }
    void end() const { close_with(out_, '}'); }
    template <typename T>
    void operator()(const char* key, const T& value) const {
        ((out_ += '"') += key) += "\":";
        append_value(out_, value);
        out_ += ',';
    }
    template <typename T>
    void operator()(const char* key, const T& value, OmitEmpty) const {
        if (!is_empty(value)) (*this)(key, value);
    }

private:
    std::string& out_;
};

} // namespace lxdcore::api::detail
