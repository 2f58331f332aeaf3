// SPDX-License-Identifier: Apache-2.0
// Targets of requests, of clients and of guests (devlxd): which route they mean, and what the parts of the path are.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.hpp"
#include "http/router.hpp"

using namespace lxdcore;
using daemon::Method;
using daemon::Permission;

namespace {

daemon::Response never(const daemon::Request&, daemon::App&) { std::abort(); }

void fill(daemon::Router& router) {
    for (const char* pattern : {"/", "/1.0", "/1.0/config/{key}", "/1.0/images/{fingerprint}/export", "/1.0/meta-data"})
        router.add(Method::Get, pattern, Permission::Guest, never);
    for (const char* pattern : {"/1.0/instances/{name}", "/1.0/instances/{name}/snapshots/{snapshot}",
                                "/1.0/images/aliases/{name*}", "/1.0/storage-pools/{pool}/volumes/{type}/{name}"})
        router.add(Method::Get, pattern, Permission::Project, never);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static daemon::Router router;
    if (router.routes().empty()) fill(router);
    const auto lines = fuzz::lines_of(fuzz::text_of(data, size));
    fuzz::refused_or_done([&] {
        daemon::Request request;
        const auto query = lines.front().find('?');
        request.path = lines.front().substr(0, query);
        if (query != std::string::npos) request.queries = daemon::parse_query(lines.front().substr(query + 1));
        request.method = Method::Get;
        const auto match = router.match(request);
        fuzz::require(match.known || match.route == nullptr);
        for (const auto& [name, part] : request.params) {
            fuzz::require(part != ".." && part.find('\0') == std::string::npos);
            fuzz::require(match.route == nullptr || match.route->pattern.ends_with("*}") ||
                          part.find('/') == std::string::npos);
        }
        (void)request.project();
        (void)request.recursion();
        (void)request.query_flag("public");
        request.body = lines.back();
        (void)request.json();
    });
    (void)daemon::method_of(lines.front());
    return 0;
}
