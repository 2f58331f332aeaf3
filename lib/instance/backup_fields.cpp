// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_fields.hpp"

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::instance::backup_fields {

void refuse(std::string_view why) { throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid backup: {}", why)}; }

/// The member of an object; null when it has none. @throws Error for what is no object
const Json& member(const Json& object, const char* key) {
    static const Json none;
    if (!object.is_object()) refuse(fmt::format("{} is not where it should be", key));
    const auto it = object.find(key);
    return it == object.end() ? none : *it;
}

std::string text_at(const Json& object, const char* key) {
    const auto& value = member(object, key);
    if (value.is_null()) return {};
    if (value.is_structured()) refuse(fmt::format("{} is no text", key));
    return value.is_string() ? value.get<std::string>() : value.dump();
}

bool flag_at(const Json& object, const char* key) {
    const auto& value = member(object, key);
    if (value.is_null()) return false;
    if (!value.is_boolean()) refuse(fmt::format("{} is neither true nor false", key));
    return value.get<bool>();
}

std::vector<std::string> list_at(const Json& object, const char* key) {
    const auto& value = member(object, key);
    if (value.is_null()) return {};
    if (!value.is_array()) refuse(fmt::format("{} is no list", key));
    std::vector<std::string> list;
    for (const auto& element : value) {
        if (element.is_structured() || element.is_null()) refuse(fmt::format("{} is no list of texts", key));
        list.push_back(element.is_string() ? element.get<std::string>() : element.dump());
    }
    return list;
}

api::Time time_at(const Json& object, const char* key) {
    const auto text = text_at(object, key);
    return text.empty() ? api::Time{} : api::Time::parse(text);
}

} // namespace lxdcore::instance::backup_fields
