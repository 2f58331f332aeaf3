// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "fixture.hpp"

using namespace lxdcore;
using namespace lxdcore::test;
using daemon::Method;
using daemon::Permission;

namespace {

const char* name_of(Method method) {
    switch (method) {
    case Method::Get:
        return "GET";
    case Method::Head:
        return "HEAD";
    case Method::Post:
        return "POST";
    case Method::Put:
        return "PUT";
    case Method::Patch:
        return "PATCH";
    case Method::Delete:
        return "DELETE";
    case Method::None:
        break;
    }
    return "";
}

daemon::Request request_of(Method method, const std::string& path) {
    daemon::Request request;
    request.method = method;
    request.method_text = name_of(method);
    request.path = path;
    return request;
}

} // namespace

TEST_CASE("what nobody vouched for reaches only the routes that LXD shows to everybody") {
    TestDaemon daemon;
    const std::set<std::string> open{"GET /",
                                     "GET /1.0",
                                     "GET /1.0/images",
                                     "GET /1.0/images/{fingerprint}",
                                     "GET /1.0/images/{fingerprint}/export",
                                     "GET /1.0/images/aliases/{name*}",
                                     "GET /1.0/metrics", // asks for trust itself, as long as it is set so
                                     "POST /1.0/certificates",
                                     "GET /1.0/operations/{id}/wait"};
    std::set<std::string> found;
    CHECK(daemon.server->router().routes().size() > 100);
    for (const auto& route : daemon.server->router().routes()) {
        auto stranger = request_of(route.method, route.pattern);
        if (daemon::Authorizer::allows(stranger, route.permission))
            found.insert(std::string{name_of(route.method)} + " " + route.pattern);
    }
    for (const auto& route : found)
        CHECK_MESSAGE(open.contains(route), route);
    for (const auto& route : open)
        CHECK_MESSAGE(found.contains(route), route);
}

TEST_CASE("internal routes are for the local socket only") {
    TestDaemon daemon;
    for (const auto& route : daemon.server->router().routes()) {
        CHECK(route.pattern.starts_with("/internal/") == (route.permission == Permission::Internal));
        auto remote = request_of(route.method, route.pattern);
        remote.identity.trusted = remote.identity.admin = true;
        CHECK(daemon::Authorizer::allows(remote, route.permission) == !route.pattern.starts_with("/internal/"));
    }
}

TEST_CASE("a restricted certificate reaches its projects and nothing of the server") {
    auto request = request_of(Method::Get, "/1.0/instances");
    request.identity.trusted = true;
    request.identity.projects = {"p1"};
    CHECK_FALSE(daemon::Authorizer::allows(request, Permission::Project));
    CHECK_FALSE(daemon::Authorizer::allows(request, Permission::Admin));
    request.queries = {{"project", "p1"}};
    CHECK(daemon::Authorizer::allows(request, Permission::Project));
    request.queries = {{"project", "p1"}, {"all-projects", "true"}};
    CHECK_FALSE(daemon::Authorizer::allows(request, Permission::Project));
}

TEST_CASE("a route without permission cannot be registered") {
    daemon::Router router;
    const daemon::Handler handler = [](const daemon::Request&, daemon::App&) { return daemon::Response::empty(); };
    CHECK_THROWS_AS(router.add(Method::Get, "/x", Permission{}, handler), std::logic_error);
    CHECK_THROWS_AS(router.add(Method::Get, "/x", static_cast<Permission>(77), handler), std::logic_error);
    router.add(Method::Get, "/x", Permission::Admin, handler);
    CHECK_THROWS_AS(router.add(Method::Get, "/x", Permission::Admin, handler), std::logic_error);
}

TEST_CASE("path parts are decoded once, after routing, and never climb") {
    TestDaemon daemon;
    const auto& router = daemon.server->router();
    for (const auto* path :
         {"/1.0/instances/%2e%2e", "/1.0/instances/..", "/1.0/instances/a%2fb", "/1.0/instances/a%00b",
          "/1.0/instances/%ff", "/1.0/instances/%zz", "/1.0/images/aliases/..%2fx", "/1.0/images/aliases/a/../b"}) {
        auto request = request_of(Method::Get, path);
        CHECK_THROWS_AS(router.match(request), Error);
    }
    auto twice = request_of(Method::Get, "/1.0/instances/%252e%252e");
    CHECK(router.match(twice).route != nullptr);
    CHECK(twice.param("name") == "%2e%2e");
    auto alias = request_of(Method::Get, "/1.0/images/aliases/debian%2F12");
    CHECK(router.match(alias).route != nullptr);
    CHECK(alias.param("name") == "debian/12");
    auto plain = request_of(Method::Get, "/1.0/images/aliases/debian/12");
    CHECK(router.match(plain).route != nullptr);
    CHECK(plain.param("name") == "debian/12");
}

TEST_CASE("unknown paths, methods and unhandled methods answer as LXD does") {
    TestDaemon daemon;
    CHECK(ask(daemon.socket(), "GET", "/nope").error() == "not found");
    CHECK(ask(daemon.socket(), "GET", "/1.0/").status == 404);
    CHECK(ask(daemon.socket(), "FOO", "/1.0").error() == "Method \"FOO\" not found");
    const auto unhandled = ask(daemon.socket(), "POST", "/1.0");
    CHECK(unhandled.status == 501);
    CHECK(unhandled.error() == "not implemented");
    CHECK(ask(daemon.socket(), "GET", "/1.0/instances/a%2fb").error() == "Invalid instance name");
    CHECK(ask(daemon.socket(), "OPTIONS", "/1.0").status == 200);
    CHECK(ask(daemon.socket(), "GET", "/").body ==
          "{\"type\":\"sync\",\"status\":\"Success\",\"status_code\":200,\"operation\":\"\",\"error_code\":0,"
          "\"error\":\"\",\"metadata\":[\"/1.0\"]}\n");
}

TEST_CASE("the three names of the instance collection show what belongs to them") {
    TestDaemon daemon;
    const auto list = [&](const char* url) { return ask(daemon.socket(), "GET", url).json()["metadata"]; };
    CHECK(list("/1.0/instances") == nlohmann::json::array({"/1.0/instances/c1"}));
    CHECK(list("/1.0/containers") == nlohmann::json::array({"/1.0/containers/c1"}));
    CHECK(list("/1.0/virtual-machines") == nlohmann::json::array());
    CHECK(ask(daemon.socket(), "GET", "/1.0/virtual-machines/c1/snapshots").status == 404);
    CHECK(list("/1.0/containers/c1/snapshots") == nlohmann::json::array());
}

TEST_CASE("a long list is written as its objects are") {
    TestDaemon daemon;
    daemon.instances.note = "<\"\n";
    const auto list = [&](const char* url) { return ask(daemon.socket(), "GET", url).json(); };
    const auto whole = list("/1.0/instances?recursion=1");
    CHECK(whole["metadata"] == nlohmann::json::array({api::Instance{daemon.instances.get({"default", "c1"})}}));
    CHECK(whole == list("/1.0/instances?recursion=1&filter=name%20eq%20c1"));
    CHECK(whole == list("/1.0/containers?recursion=1"));
    CHECK(whole == list("/1.0/instances?recursion=1&instance-type=container"));
    CHECK(list("/1.0/virtual-machines?recursion=1")["metadata"] == nlohmann::json::array());
}
