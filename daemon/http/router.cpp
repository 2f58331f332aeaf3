// SPDX-License-Identifier: Apache-2.0
#include "http/router.hpp"

#include <stdexcept>

#include <lxdcore/error.hpp>

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kMethods = 7;
constexpr std::size_t kMaxParts = 16;

bool is_param(std::string_view part) { return part.size() > 2 && part.front() == '{' && part.back() == '}'; }
bool is_rest(std::string_view part) { return is_param(part) && part[part.size() - 2] == '*'; }

std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        path.remove_prefix(1); // the '/'
        const auto end = std::min(path.find('/'), path.size());
        parts.push_back(path.substr(0, end));
        path.remove_prefix(end);
    }
    return parts;
}

[[noreturn]] void refuse(const Route& route) {
    const bool instance = route.pattern.starts_with("/1.0/instances/") ||
                          route.pattern.starts_with("/1.0/containers/") ||
                          route.pattern.starts_with("/1.0/virtual-machines/");
    throw Error{ErrorCode::InvalidArgument, instance ? "Invalid instance name" : "Invalid path"};
}

std::string decode_part(std::string_view raw, const Route& route, bool slash_allowed) {
    auto part = percent_decode(raw);
    if (!part || part->empty() || !is_clean_utf8(*part)) refuse(route);
    if (!slash_allowed && part->find('/') != std::string::npos) refuse(route);
    const auto path = "/" + *part; // the pieces are views of it
    for (const auto piece : split_path(path))
        if (piece == ".." || piece == ".") refuse(route);
    return std::move(*part);
}

} // namespace

struct Router::Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> any;
    std::unique_ptr<Node> rest;
    std::array<const Route*, kMethods> routes{};
    bool used = false;
};

Router::Router() : root_{std::make_unique<Node>()} {}
Router::~Router() = default;

void Router::add(Method method, std::string pattern, Permission permission, Handler handler) {
    insert({.method = method, .pattern = std::move(pattern), .permission = permission, .handler = handler});
}

void Router::add(Method method, std::string pattern, Permission permission, StreamHandler handler) {
    insert({.method = method, .pattern = std::move(pattern), .permission = permission, .stream = handler});
}

void Router::add_cheap(Method method, std::string pattern, Permission permission, InlineHandler shortcut,
                       Handler handler) {
    insert({.method = method,
            .pattern = std::move(pattern),
            .permission = permission,
            .handler = handler,
            .shortcut = shortcut});
}

void Router::insert(Route route) {
    if (route.permission < Permission::Anybody || route.permission > Permission::Guest)
        throw std::logic_error{"route without permission: " + route.pattern};
    auto* node = root_.get();
    for (const auto part : split_path(route.pattern)) {
        std::unique_ptr<Node>& next = is_rest(part)    ? node->rest
                                      : is_param(part) ? node->any
                                                       : node->literals[std::string{part}];
        if (!next) next = std::make_unique<Node>();
        if (is_param(part)) route.params.emplace_back(part.substr(1, part.size() - (is_rest(part) ? 3 : 2)));
        node = next.get();
    }
    const auto slot = static_cast<std::size_t>(route.method);
    if (node->routes[slot] != nullptr) throw std::logic_error{"route twice: " + route.pattern};
    node->used = true;
    node->routes[slot] = &routes_.emplace_back(std::move(route));
}

Router::Match Router::match(Request& request) const {
    const auto parts = split_path(request.path);
    if (parts.size() > kMaxParts) return {};
    const Node* node = root_.get();
    std::vector<std::string_view> values;
    bool rest = false;
    for (std::size_t i = 0; i < parts.size() && !rest; ++i) {
        if (const auto it = node->literals.find(parts[i]); it != node->literals.end()) {
            node = it->second.get();
        } else if (node->any && !parts[i].empty() && (parts.size() == i + 1 || !node->rest)) {
            node = node->any.get();
            values.push_back(parts[i]);
        } else if (node->rest && !parts[i].empty()) {
            node = node->rest.get();
            values.push_back(std::string_view{parts[i].data(), parts.back().data() + parts.back().size()});
            rest = true;
        } else {
            return {};
        }
    }
    if (!node->used) return {};
    Match match{.known = true, .route = node->routes[static_cast<std::size_t>(request.method)]};
    if (match.route == nullptr) return match;
    request.params.clear();
    for (std::size_t i = 0; i < values.size(); ++i)
        request.params.emplace_back(match.route->params[i],
                                    decode_part(values[i], *match.route, rest && i + 1 == values.size()));
    return match;
}

Method method_of(std::string_view text) {
    if (text == "GET") return Method::Get;
    if (text == "HEAD") return Method::Head;
    if (text == "POST") return Method::Post;
    if (text == "PUT") return Method::Put;
    if (text == "PATCH") return Method::Patch;
    if (text == "DELETE") return Method::Delete;
    return Method::None;
}

} // namespace lxdcore::daemon
