// SPDX-License-Identifier: Apache-2.0
#include "image/image_metadata.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "image/architecture.hpp"
#include "util/names.hpp"

namespace lxdcore::image {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxProperties = 1000;
constexpr std::size_t kMaxKey = 255;
constexpr std::size_t kMaxValue = 65536;
constexpr std::size_t kMaxTemplates = 1000;

[[noreturn]] void refuse(const std::string& text) { throw Error{ErrorCode::InvalidArgument, text}; }

const json* field(const json& object, const char* name) {
    const auto it = object.find(name);
    return it == object.end() || it->is_null() ? nullptr : &*it;
}

const json& map_field(const json& value, const char* name) {
    if (!value.is_object()) refuse(fmt::format("metadata.yaml: {} is not a map", name));
    return value;
}

/// A scalar as the text that a YAML reader of strings would give.
std::string scalar(const json& value, const std::string& name) {
    std::string text;
    if (value.is_string()) {
        text = value.get<std::string>();
    } else if (value.is_number() || value.is_boolean()) {
        text = value.dump();
    } else if (!value.is_null()) {
        refuse(fmt::format("metadata.yaml: {} is not a string", name));
    }
    if (text.size() > kMaxValue || !names::is_utf8(text)) refuse(fmt::format("metadata.yaml: {} is not valid", name));
    return text;
}

/// Seconds; the range is years 1 to 9999.
std::int64_t date(const json& object, const char* name) {
    const auto* value = field(object, name);
    if (!value) return 0;
    if (!value->is_number_integer()) refuse(fmt::format("metadata.yaml: {} is not a number", name));
    constexpr std::int64_t last = 253402300799;
    if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(last))
        refuse(fmt::format("metadata.yaml: {} is out of range", name));
    const auto seconds = value->get<std::int64_t>();
    if (seconds < -62135596800 || seconds > last) refuse(fmt::format("metadata.yaml: {} is out of range", name));
    return seconds;
}

/// Shape only: what a template does with its values is decided when it is applied.
void check_template(const std::string& path, const json& value) {
    if (path.empty() || path.size() > 4096 || names::has_control(path)) refuse("metadata.yaml: bad template path");
    map_field(value, "template");
    const auto* source = field(value, "template");
    const auto name = source ? scalar(*source, "template") : std::string{};
    if (name.empty() || name == "." || name == ".." || name.size() > kMaxKey || name.find('/') != std::string::npos ||
        names::has_control(name))
        refuse(fmt::format("metadata.yaml: bad template file name for {}", path));
    if (const auto* when = field(value, "when")) {
        if (!when->is_array() || when->size() > 16) refuse("metadata.yaml: when is not a list");
        for (const auto& item : *when)
            scalar(item, "when");
    }
    if (const auto* create_only = field(value, "create_only"))
        if (!create_only->is_boolean()) refuse("metadata.yaml: create_only is not a boolean");
    if (const auto* properties = field(value, "properties"))
        for (const auto& [key, item] : map_field(*properties, "properties").items())
            scalar(item, key);
}

} // namespace

ImageMetadata read_metadata(const json& root) {
    map_field(root, "metadata.yaml");
    ImageMetadata result;
    const auto* architecture = field(root, "architecture");
    const auto name = architecture ? scalar(*architecture, "architecture") : std::string{};
    const auto created = date(root, "creation_date");
    const auto expires = date(root, "expiry_date");
    if (const auto* properties = field(root, "properties")) {
        map_field(*properties, "properties");
        if (properties->size() > kMaxProperties) refuse("metadata.yaml: too many properties");
        for (const auto& [key, value] : properties->items()) {
            if (key.empty() || key.size() > kMaxKey || names::has_control(key))
                refuse("metadata.yaml: bad property name");
            result.properties[key] = scalar(value, key);
        }
    }
    if (const auto* templates = field(root, "templates")) {
        map_field(*templates, "templates");
        if (templates->size() > kMaxTemplates) refuse("metadata.yaml: too many templates");
        for (const auto& [path, value] : templates->items())
            check_template(path, value);
    }
    const auto id = architecture_id(name);
    if (!id) refuse(fmt::format("Architecture isn't supported: {}", name));
    if (created == 0) refuse("Missing creation date");
    result.architecture = *id;
    result.created_at = api::Time::from_unix(created);
    result.expires_at = api::Time::from_unix(expires);
    return result;
}

} // namespace lxdcore::image
