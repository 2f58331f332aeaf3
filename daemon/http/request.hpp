// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "auth/identity.hpp"
#include "http/url.hpp"

namespace lxdcore::daemon {

enum class Method { None, Get, Head, Post, Put, Patch, Delete };

/// A request whose header has been read and checked. Header views live as long as the connection's parser.
struct Request {
    Method method = Method::None;
    std::string_view method_text;
    std::string path; ///< as sent, without the query; parts are decoded after routing
    QueryPairs queries;
    std::vector<std::pair<std::string_view, std::string_view>> headers;
    std::vector<std::pair<std::string_view, std::string>> params; ///< {name} parts of the route, decoded
    Peer peer;
    Identity identity;
    std::string body; ///< JSON routes: read and bounded before the handler runs

    std::string_view header(std::string_view name) const; ///< first value; "" if absent
    std::string query(std::string_view name) const;       ///< first value; "" if absent
    bool query_flag(std::string_view name) const;         ///< LXD's idea of true: true, 1, yes, on
    const std::string& param(std::string_view name) const;
    /// ?project=, "default" if absent.
    std::string project() const;
    /// ?recursion= as a number; 0 if absent or not a number.
    int recursion() const;
    std::string if_match() const { return std::string{header("If-Match")}; }
    /// The body as JSON, once checked. @throws Error InvalidArgument
    nlohmann::json json() const;
};

} // namespace lxdcore::daemon
