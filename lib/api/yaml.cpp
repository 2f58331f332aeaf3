// SPDX-License-Identifier: Apache-2.0
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::api {

namespace {

using Json = nlohmann::json;
constexpr std::size_t kMaxBytes = 1U << 20;
constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxNodes = 100'000;

[[noreturn]] void refuse(std::string_view why) {
    throw Error{ErrorCode::InvalidArgument, fmt::format("invalid YAML: {}", why)};
}

/// A decimal number in the only spelling that survives the way to a number and back.
bool is_plain_integer(std::string_view text) {
    const auto digits = text.starts_with('-') ? text.substr(1) : text;
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return false;
    return digits == "0" ? digits.size() == text.size() : digits.front() != '0';
}

bool is_null(std::string_view text) {
    return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

Json plain_scalar(const std::string& text) {
    if (is_null(text)) return nullptr;
    if (text == "true") return true;
    if (text == "false") return false;
    if (is_plain_integer(text))
        if (const auto number = text::parse_int(text)) return *number;
    return text;
}

/// Builds JSON from the parser's events; every bound is checked as it goes.
class Builder : public YAML::EventHandler {
public:
    Json take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t anchor) override { add(nullptr, anchor); }
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override { refuse("aliases are not allowed"); }
    void OnScalar(const YAML::Mark&, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
        if (value.find('\0') != std::string::npos) refuse("a text holds a NUL character");
        // "?" marks a plain scalar, "!" a quoted one; explicit tags other than these make it text.
        add(tag == "?" ? plain_scalar(value) : Json(value), anchor);
    }
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(Json::array(), anchor);
    }
    void OnSequenceEnd() override { stack_.pop_back(); }
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
        open(Json::object(), anchor);
    }
    void OnMapEnd() override { stack_.pop_back(); }

private:
    struct Level {
        Json* node;
        bool has_key = false;
        std::string key{};
    };

    void open(Json empty, YAML::anchor_t anchor) {
        if (stack_.size() >= kMaxDepth) refuse("nested deeper than 100");
        if (!stack_.empty() && stack_.back().node->is_object() && !stack_.back().has_key)
            refuse("a key must be a plain text");
        Json* node = add(std::move(empty), anchor);
        stack_.push_back(Level{node});
    }

    Json* add(Json value, YAML::anchor_t anchor) {
        if (anchor != YAML::NullAnchor) refuse("anchors are not allowed");
        if (++nodes_ > kMaxNodes) refuse("more than 100000 values");
        if (stack_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        auto& level = stack_.back();
        if (level.node->is_array()) {
            level.node->push_back(std::move(value));
            return &level.node->back();
        }
        if (!level.has_key) {
            level.key = value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
            level.has_key = true;
            return nullptr;
        }
        level.has_key = false;
        auto& place = (*level.node)[level.key];
        place = std::move(value);
        return &place;
    }

    Json root_;
    std::vector<Level> stack_;
    std::size_t nodes_ = 0;
};

/// True for texts that a YAML 1.1 or 1.2 reader would take for something else when they stand unquoted.
bool needs_quotes(std::string_view text) {
    if (is_null(text)) return true;
    if (text.find_first_of("\n\r\t") != std::string_view::npos) return true;
    if (std::string_view{"0123456789+-.~=<!&*?|>%@`'\"#,[]{}: "}.find(text.front()) != std::string_view::npos)
        return true;
    if (text.back() == ' ' || text.back() == ':') return true;
    const auto lowered = text::lower(text);
    for (const auto* word : {"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
        if (lowered == word) return true;
    return false;
}

void emit(YAML::Emitter& out, const Json& value) {
    switch (value.type()) {
    case Json::value_t::object:
        if (value.empty()) out << YAML::Flow;
        out << YAML::BeginMap;
        for (const auto& [key, element] : value.items()) {
            out << YAML::Key;
            emit(out, Json(key));
            out << YAML::Value;
            emit(out, element);
        }
        out << YAML::EndMap;
        return;
    case Json::value_t::array:
        if (value.empty()) out << YAML::Flow;
        out << YAML::BeginSeq;
        for (const auto& element : value)
            emit(out, element);
        out << YAML::EndSeq;
        return;
    case Json::value_t::string: {
        const auto& text = value.get_ref<const std::string&>();
        if (needs_quotes(text)) out << YAML::DoubleQuoted;
        out << text;
        return;
    }
    case Json::value_t::boolean:
        out << value.get<bool>();
        return;
    case Json::value_t::null:
        out << YAML::Null;
        return;
    default:
        out << encode_json(value);
    }
}

} // namespace

Json parse_yaml(std::string_view text) {
    if (text.size() > kMaxBytes) throw Error{ErrorCode::TooLarge, "invalid YAML: larger than 1 MiB"};
    if (text.find('\0') != std::string_view::npos) refuse("a NUL byte");
    // yaml-cpp would put another character in its place, and not the same one in every place.
    if (!names::is_utf8(text)) refuse("not UTF-8");
    try {
        std::istringstream in{std::string{text}};
        YAML::Parser parser{in};
        Builder builder;
        parser.HandleNextDocument(builder);
        return builder.take();
    } catch (const YAML::Exception& error) {
        refuse(fmt::format("line {}: {}", error.mark.line + 1, error.msg));
    }
}

std::string encode_yaml(const Json& value) {
    YAML::Emitter out;
    emit(out, value);
    return std::string{out.c_str(), out.size()} + "\n";
}

StringMap to_string_map(const Json& object) {
    StringMap map;
    if (object.is_null()) return map;
    if (!object.is_object()) throw Error{ErrorCode::InvalidArgument, "expected an object"};
    for (const auto& [key, element] : object.items()) {
        if (element.is_structured()) throw Error{ErrorCode::InvalidArgument, fmt::format("{}: expected a text", key)};
        map[key] = element.is_string() ? element.get<std::string>() : element.is_null() ? "" : element.dump();
    }
    return map;
}

} // namespace lxdcore::api
