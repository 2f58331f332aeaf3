// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "system/idmap.hpp"

using namespace lxdcore;

namespace {

constexpr const char* kServer = "other:5000:65536\nroot:100000:10000001\n";

} // namespace

TEST_CASE("root's ranges become the server's map") {
    const auto map = server_idmap(kServer, "root:200000:70000\n");
    REQUIRE(map.ranges.size() == 2);
    CHECK(map.host_uid(0) == 100000);
    CHECK(map.host_gid(0) == 200000);
    CHECK(map.ns_uid(100005) == 5);
    CHECK(!map.host_gid(70000));
    CHECK(map_size(map) == 70000);
}

TEST_CASE("lxd's ranges are used when root has none") {
    CHECK(server_idmap("lxd:300000:65536\n", "root:200000:65536\n").host_uid(0) == 300000);
}

TEST_CASE("no usable range is an error, never the ids of the host (R12)") {
    for (const char* text :
         {"", "root:100000\n", "root:0:65536\n", "root:x:65536\n", "root:100000:1\n", "root:-5:65536\n",
          "root:4294967290:65536\n", "root:100000:99999999999999\n", "user:100000:65536\n"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(server_idmap(text, kServer), Error);
        CHECK_THROWS_AS(server_idmap(kServer, text), Error);
    }
}

TEST_CASE("a map survives LXD's JSON form") {
    const auto map = server_idmap(kServer, kServer);
    CHECK(map.json() == "[{\"Isuid\":true,\"Isgid\":false,\"Hostid\":100000,\"Nsid\":0,\"Maprange\":10000001},"
                        "{\"Isuid\":false,\"Isgid\":true,\"Hostid\":100000,\"Nsid\":0,\"Maprange\":10000001}]");
    CHECK(IdMap::parse(map.json()) == map);
    CHECK(IdMap::parse("[]").ranges.empty());
    CHECK(IdMap::parse("").ranges.empty());
    CHECK(IdMap{}.json() == "[]");
}

TEST_CASE("a damaged map is refused") {
    for (const char* text : {"{", "{}", "[1]", "[{\"Isuid\":true}]",
                             "[{\"Isuid\":true,\"Isgid\":true,\"Hostid\":-1,\"Nsid\":0,\"Maprange\":5}]",
                             "[{\"Isuid\":true,\"Isgid\":true,\"Hostid\":1,\"Nsid\":0,\"Maprange\":99999999999}]"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(IdMap::parse(text), Error);
    }
}

TEST_CASE("isolated ranges never overlap and leave the first 65536 ids alone (R12)") {
    const auto server = server_idmap(kServer, kServer);
    std::vector<IdSlot> taken;
    for (int i = 0; i < 20; ++i) {
        const std::int64_t size = i % 2 == 0 ? 65536 : 10000;
        const auto offset = free_offset(server, size, taken);
        CHECK(offset >= 65536);
        for (const auto& slot : taken)
            CHECK((offset >= slot.offset + slot.size || offset + size <= slot.offset));
        taken.push_back({offset, size});
    }
    CHECK(free_offset(server, 65536, {{65536 + 65536, 65536}}) == 65536);
    CHECK(free_offset(server, 65536, {{65536, 10}}) == 65546);
}

TEST_CASE("a server without room says so") {
    const auto server = server_idmap("root:100000:131072\n", "root:100000:131072\n");
    CHECK(free_offset(server, 65536, {}) == 65536);
    CHECK_THROWS_AS(free_offset(server, 65536, {{65536, 65536}}), Error);
    CHECK_THROWS_AS(slice(server, 131072, 1), Error);
    CHECK_THROWS_AS(slice(server, 0, 0), Error);
    CHECK_THROWS_AS(slice(server, -1, 5), Error);
    CHECK(slice(server, 65536, 65536).host_uid(0) == 165536);
}
