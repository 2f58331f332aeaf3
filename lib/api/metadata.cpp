// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/metadata.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/codec.hpp"
#include "api/fields.hpp"
#include "api/text_writer.hpp"

namespace lxdcore::api {

void to_json(nlohmann::json& json, const ImageTemplate& value);
void from_json(const nlohmann::json& json, ImageTemplate& value);

namespace detail {

template <>
struct Fields<ImageTemplate> {
    template <class F, class S>
    static void of(F&& field, S& s) {
        field("when", s.when);
        field("create_only", s.create_only);
        field("template", s.source);
        field("properties", s.properties);
    }
};
template <>
struct Fields<ImageMetadata> {
    template <class F, class S>
    static void of(F&& field, S& s) {
        field("architecture", s.architecture);
        field("creation_date", s.creation_date);
        field("expiry_date", s.expiry_date);
        field("properties", s.properties);
        field("templates", s.templates);
    }
};

} // namespace detail

LXDCORE_API_DEFINE_JSON(ImageTemplate)
LXDCORE_API_DEFINE_JSON(ImageMetadata)

namespace {

/// Fields one after another, whatever nlohmann would sort them to.
class OrderedWriter {
public:
    explicit OrderedWriter(std::string& out) : out_{out} { out_ += '{'; }
    void end() const { detail::close_with(out_, '}'); }
    template <typename T>
    void operator()(const char* key, const T& value) const {
        ((out_ += '"') += key) += "\":";
        write(value);
        out_ += ',';
    }

private:
    template <typename T>
    void write(const std::optional<T>& value) const {
        if (value)
            write(*value);
        else
            out_ += "null";
    }
    void write(const std::map<std::string, ImageTemplate>& templates) const {
        out_ += '{';
        for (const auto& [path, item] : templates) {
            detail::append_text(out_, path);
            out_ += ':';
            const OrderedWriter inner{out_};
            detail::Fields<ImageTemplate>::of(inner, item);
            inner.end();
            out_ += ',';
        }
        detail::close_with(out_, '}');
    }
    template <typename T>
    void write(const T& value) const {
        detail::append_value(out_, value);
    }

    std::string& out_;
};

/// YAML reads "release: 1" as a number where a map of texts is meant.
void make_texts(nlohmann::json& object, const char* key) {
    const auto it = object.find(key);
    if (it != object.end() && it->is_object()) *it = to_string_map(*it);
}

} // namespace

std::string json_text(const ImageMetadata& value) {
    std::string out;
    const OrderedWriter writer{out};
    detail::Fields<ImageMetadata>::of(writer, value);
    writer.end();
    return out;
}

ImageMetadata metadata_from_yaml(const std::string& text) {
    auto json = parse_yaml(text);
    ImageMetadata out;
    if (json.is_null()) return out;
    if (!json.is_object()) throw Error{ErrorCode::InvalidArgument, "metadata.yaml is not a map"};
    try {
        make_texts(json, "properties");
        if (const auto it = json.find("templates"); it != json.end() && it->is_object())
            for (auto& [path, item] : it->items())
                if (item.is_object()) make_texts(item, "properties");
        json.get_to(out);
    } catch (Error& error) {
        error.add_context("metadata.yaml");
        throw;
    }
    return out;
}

std::string metadata_to_yaml(const ImageMetadata& value) {
    auto filled = value;
    if (!filled.properties) filled.properties.emplace();
    if (!filled.templates) filled.templates.emplace();
    for (auto& [path, item] : *filled.templates) {
        if (!item.when) item.when.emplace();
        if (!item.properties) item.properties.emplace();
    }
    auto text = encode_yaml(filled);
    (void)metadata_from_yaml(text); // within the bounds of the next reader
    return text;
}

} // namespace lxdcore::api
