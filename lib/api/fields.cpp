// SPDX-License-Identifier: Apache-2.0
#include "api/fields.hpp"

#include <fmt/format.h>

namespace lxdcore::api::detail {

namespace {

std::string_view kind_of(const nlohmann::json& json) {
    switch (json.type()) {
    case nlohmann::json::value_t::null:
        return "null";
    case nlohmann::json::value_t::object:
        return "an object";
    case nlohmann::json::value_t::array:
        return "a list";
    case nlohmann::json::value_t::string:
        return "a string";
    case nlohmann::json::value_t::boolean:
        return "a boolean";
    case nlohmann::json::value_t::number_float:
        return "a fraction";
    default:
        return "a number";
    }
}

char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool same_without_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (fold(a[i]) != fold(b[i])) return false;
    return true;
}

} // namespace

void throw_mismatch(std::string_view expected, const nlohmann::json& found) {
    throw Error{ErrorCode::InvalidArgument, fmt::format("expected {}, found {}", expected, kind_of(found))};
}

const nlohmann::json* find_field(const nlohmann::json& object, std::string_view key) {
    const nlohmann::json* value = nullptr;
    if (const auto it = object.find(key); it != object.end()) {
        value = &*it;
    } else {
        for (const auto& [name, element] : object.items())
            if (same_without_case(name, key)) value = &element;
    }
    return value != nullptr && value->is_null() ? nullptr : value;
}

} // namespace lxdcore::api::detail
