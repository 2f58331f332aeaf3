// SPDX-License-Identifier: Apache-2.0
// Targets of requests, of clients and of guests (devlxd): which route they mean, and what the parts of the path are.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.hpp"
#include "http/router.hpp"

using namespace lxdcore;
using daemon::Method;

namespace {

daemon::Response never(const daemon::Request&, daemon::App&) { std::abort(); }

daemon::Router client, guest;

/// The daemon's own routes, see routes.py.
void fill() {
    static const struct {
        daemon::Router* router;
        Method method;
        const char* pattern;
    } kRoutes[] = {
#include "fuzz_routes.inc"
    };
    for (const auto& route : kRoutes)
        route.router->add(route.method, route.pattern, daemon::Permission::Project, never);
}

void match(const daemon::Router& router, Method method, std::string_view target) {
    daemon::Request request;
    const auto query = target.find('?');
    request.path = target.substr(0, query);
    if (query != std::string_view::npos) request.queries = daemon::parse_query(target.substr(query + 1));
    request.method = method;
    const auto match = router.match(request);
    fuzz::require(match.known || match.route == nullptr);
    fuzz::require(match.route == nullptr || request.params.size() == match.route->params.size());
    for (const auto& [name, part] : request.params) {
        fuzz::require(part != ".." && part.find('\0') == std::string::npos);
        fuzz::require(match.route == nullptr || match.route->pattern.ends_with("*}") ||
                      part.find('/') == std::string::npos);
    }
    (void)request.project();
    (void)request.recursion();
    (void)request.query_flag("public");
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (client.routes().empty()) fill();
    const auto lines = fuzz::lines_of(fuzz::text_of(data, size));
    for (const auto method : {Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete})
        fuzz::refused_or_done([&] { match(client, method, lines.front()); });
    fuzz::refused_or_done([&] { match(guest, Method::Get, lines.front()); });
    fuzz::refused_or_done([&] {
        daemon::Request request;
        request.body = lines.back();
        (void)request.json();
    });
    (void)daemon::method_of(lines.front());
    return 0;
}
