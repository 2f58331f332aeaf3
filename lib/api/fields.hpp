// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <lxdcore/api/types.hpp>
#include <lxdcore/error.hpp>

/// How api structs become JSON and back: each struct lists its fields once (Fields<T>), a writer and a reader walk the
/// list. Private to lib/api.
namespace lxdcore::api::detail {

/// Specialised per struct: `template <class F, class S> static void of(F&& field, S& s)` calls
/// field("name", s.member) or field("name", s.member, omit_empty) for each member. S may be const.
template <typename T>
struct Fields;

struct OmitEmpty {};
inline constexpr OmitEmpty omit_empty{};
/// Lists that LXD writes as null while they are empty.
struct NullIfEmpty {};
inline constexpr NullIfEmpty null_if_empty{};

[[noreturn]] void throw_mismatch(std::string_view expected, const nlohmann::json& found);
/// The value of @p key: exact spelling first, else one that differs in case only; nullptr when absent or null.
const nlohmann::json* find_field(const nlohmann::json& object, std::string_view key);

template <typename T>
void read_value(const nlohmann::json& json, T& out);
// Declared first, so that containers of containers find each other.
template <std::integral T>
void read_value(const nlohmann::json& json, T& out);
template <typename T>
void read_value(const nlohmann::json& json, std::vector<T>& out);
template <typename T>
void read_value(const nlohmann::json& json, std::map<std::string, T>& out);
template <typename T>
void read_value(const nlohmann::json& json, std::optional<T>& out);
template <typename T>
requires std::is_enum_v<T>
void read_value(const nlohmann::json& json, T& out);
template <typename T>
nlohmann::json write_value(const std::optional<T>& value);
template <typename T>
nlohmann::json write_value(const std::vector<T>& list);
template <typename T>
nlohmann::json write_value(const std::map<std::string, T>& map);

inline void read_value(const nlohmann::json& json, std::string& out) {
    if (!json.is_string()) throw_mismatch("a string", json);
    out = json.get_ref<const std::string&>();
}
inline void read_value(const nlohmann::json& json, bool& out) {
    if (!json.is_boolean()) throw_mismatch("a boolean", json);
    out = json.get<bool>();
}
inline void read_value(const nlohmann::json& json, nlohmann::json& out) { out = json; }
template <std::integral T>
void read_value(const nlohmann::json& json, T& out) {
    if (json.is_number_unsigned()) {
        const auto value = json.get<std::uint64_t>();
        if (!std::in_range<T>(value)) throw_mismatch("a number in range", json);
        out = static_cast<T>(value);
    } else if (json.is_number_integer()) {
        const auto value = json.get<std::int64_t>();
        if (!std::in_range<T>(value)) throw_mismatch("a number in range", json);
        out = static_cast<T>(value);
    } else {
        throw_mismatch("a whole number", json);
    }
}
template <typename T>
void read_element(const nlohmann::json& json, T& out, std::string_view where) {
    if (json.is_null()) return; // null inside a list or map is the zero value, as for LXD
    try {
        read_value(json, out);
    } catch (Error& error) {
        error.add_context(where);
        throw;
    }
}
template <typename T>
void read_value(const nlohmann::json& json, std::vector<T>& out) {
    if (!json.is_array()) throw_mismatch("a list", json);
    out.clear();
    out.reserve(json.size());
    for (const auto& element : json)
        read_element(element, out.emplace_back(), std::to_string(out.size() - 1));
}
template <typename T>
void read_value(const nlohmann::json& json, std::map<std::string, T>& out) {
    if (!json.is_object()) throw_mismatch("an object", json);
    out.clear();
    for (const auto& [key, element] : json.items())
        read_element(element, out[key], key);
}
template <typename T>
void read_value(const nlohmann::json& json, std::optional<T>& out) {
    read_value(json, out.emplace());
}
template <typename T>
requires std::is_enum_v<T>
void read_value(const nlohmann::json& json, T& out) {
    int value = 0;
    read_value(json, value);
    out = static_cast<T>(value);
}
template <typename T>
void read_value(const nlohmann::json& json, T& out) {
    from_json(json, out); // Time and the structs
}

class Reader {
public:
    explicit Reader(const nlohmann::json& object) : object_{object} {
        if (!object.is_object()) throw_mismatch("an object", object);
    }
    template <typename T>
    void operator()(std::string_view key, T& out, NullIfEmpty) const {
        (*this)(key, out);
    }
    template <typename T>
    void operator()(std::string_view key, T& out, OmitEmpty = {}) const {
        const auto* value = find_field(object_, key);
        if (value == nullptr) return;
        try {
            read_value(*value, out);
        } catch (Error& error) {
            error.add_context(key);
            throw;
        }
    }

private:
    const nlohmann::json& object_;
};

template <typename T>
nlohmann::json write_value(const T& value) {
    if constexpr (std::is_enum_v<T>) {
        return static_cast<int>(value);
    } else {
        return value;
    }
}
template <typename T>
nlohmann::json write_value(const std::optional<T>& value) {
    return value ? write_value(*value) : nlohmann::json{};
}
template <typename T>
nlohmann::json write_value(const std::vector<T>& list) {
    auto json = nlohmann::json::array();
    for (const auto& element : list)
        json.push_back(write_value(element));
    return json;
}
template <typename T>
nlohmann::json write_value(const std::map<std::string, T>& map) {
    auto json = nlohmann::json::object();
    for (const auto& [key, element] : map)
        json.emplace(key, write_value(element));
    return json;
}
template <typename T>
bool is_empty(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        return !value;
    } else if constexpr (std::is_integral_v<T>) {
        return value == 0;
    } else if constexpr (requires { value.empty(); }) {
        return value.empty();
    } else {
        return !value;
    }
}

class Writer {
public:
    explicit Writer(nlohmann::json& object) : object_{object} { object_ = nlohmann::json::object(); }
    template <typename T>
    void operator()(const char* key, const T& value) const {
        object_[key] = write_value(value);
    }
    template <typename T>
    void operator()(const char* key, const T& value, OmitEmpty) const {
        if (!is_empty(value)) object_[key] = write_value(value);
    }
    template <typename T>
    void operator()(const char* key, const T& value, NullIfEmpty) const {
        object_[key] = is_empty(value) ? nlohmann::json{} : write_value(value);
    }

private:
    nlohmann::json& object_;
};

} // namespace lxdcore::api::detail

/// Defines the JSON pair of a struct whose Fields are listed.
#define LXDCORE_API_DEFINE_JSON(Type)                                                                                  \
    void to_json(nlohmann::json& json, const Type& value) { detail::Fields<Type>::of(detail::Writer{json}, value); }   \
    void from_json(const nlohmann::json& json, Type& value) { detail::Fields<Type>::of(detail::Reader{json}, value); }
