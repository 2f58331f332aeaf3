// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "fixture.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

struct GuestDaemon : TestDaemon {
    GuestDaemon() {
        std::filesystem::create_directory(dir.path() / "devlxd");
        server->listen_guests();
    }
    std::string guest_socket() const { return (dir.path() / "devlxd/sock").string(); }
    Reply get(const std::string& path) const { return ask(guest_socket(), "GET", path); }
};

} // namespace

TEST_CASE("guests get plain JSON and text") {
    const GuestDaemon daemon;
    CHECK(daemon.get("/").body == "[\"/1.0\"]\n");
    CHECK(daemon.get("/1.0").json()["instance_type"] == "container");
    CHECK(daemon.get("/1.0/config").json() == nlohmann::json{"/1.0/config/user.k"});
    CHECK(daemon.get("/1.0/config/user.k").body == "v");
    CHECK(daemon.get("/1.0/devices").json() == nlohmann::json{{"eth0", {{"type", "nic"}}}});
    CHECK(daemon.get("/1.0/meta-data").body == "#cloud-config\n");
}

TEST_CASE("every guest may connect to its socket") {
    const GuestDaemon daemon;
    struct stat info {};
    REQUIRE(::stat(daemon.guest_socket().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0666);
}

TEST_CASE("only root of a guest is answered, and only while the guest API is on (R30)") {
    GuestDaemon daemon;
    daemon.guests.enabled = false;
    for (const auto* path : {"/", "/1.0", "/1.0/config/user.k", "/1.0/events"}) {
        CHECK(daemon.get(path).status == 403);
        CHECK(daemon.get(path).body == "not authorized\n");
    }
    daemon.guests.caller->root = false;
    for (const auto* path : {"/", "/1.0", "/1.0/config/user.k", "/1.0/events"}) {
        CHECK(daemon.get(path).status == 401);
        CHECK(daemon.get(path).body == "Access denied for non-root user\n");
    }
    daemon.guests.caller.reset();
    CHECK(daemon.get("/1.0").status == 500);
    CHECK(daemon.get("/1.0").body == "pid not in container?\n");
}

TEST_CASE("what is not there is said in plain text") {
    const GuestDaemon daemon;
    for (const auto* path : {"/1.0/instances", "/1.0/config/", "/1.0/", "/internal/shutdown", "/1.0/config/a/b"})
        CHECK(daemon.get(path).status == 404);
    CHECK(daemon.get("/1.0/nope").body == "404 page not found\n");
    CHECK(daemon.get("/1.0/config/user.none").body == "not found\n");
    CHECK(daemon.get("/1.0/images/abc/export").status == 403);
}

TEST_CASE("the REST API is not on the guests' socket, nor theirs on its") {
    const GuestDaemon daemon;
    CHECK(daemon.get("/1.0/profiles").status == 404);
    CHECK(ask(daemon.socket(), "GET", "/1.0/meta-data").status == 404);
}
