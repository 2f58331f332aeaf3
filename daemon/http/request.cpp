// SPDX-License-Identifier: Apache-2.0
#include "http/request.hpp"

#include <charconv>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

namespace lxdcore::daemon {

std::string_view Request::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (iequals(key, name)) return value;
    return {};
}

std::string Request::query(std::string_view name) const {
    for (const auto& [key, value] : queries)
        if (key == name) return value;
    return {};
}

bool Request::query_flag(std::string_view name) const {
    const auto value = lower(query(name));
    return value == "true" || value == "1" || value == "yes" || value == "on";
}

const std::string& Request::param(std::string_view name) const {
    for (const auto& [key, value] : params)
        if (key == name) return value;
    throw Error{ErrorCode::Internal, "route has no parameter " + std::string{name}};
}

std::string Request::project() const {
    auto project = query("project");
    return project.empty() ? "default" : project;
}

int Request::recursion() const {
    const auto text = query("recursion");
    int value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size() ? value : 0;
}

nlohmann::json Request::json() const {
    if (body.find_first_not_of(" \t\r\n") == std::string::npos) throw Error{ErrorCode::InvalidArgument, "EOF"};
    return api::parse_json(body);
}

} // namespace lxdcore::daemon
