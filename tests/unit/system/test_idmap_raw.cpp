// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include <lxdcore/error.hpp>

#include "system/idmap_raw.hpp"

using namespace lxdcore;

namespace {

IdMap server() { return server_idmap("root:100000:100000\n", "root:100000:100000\n"); }

std::string refusal(const char* raw) {
    try {
        (void)with_raw_idmap(server(), server(), raw);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::InvalidArgument);
        return error.what();
    }
    return {};
}

/// The kernel takes a map only if no id of either side is in two lines.
bool kernel_would_take(const IdMap& map) {
    const auto lines = kernel_ranges(map);
    for (std::size_t i = 0; i < lines.size(); ++i)
        for (std::size_t j = i + 1; j < lines.size(); ++j) {
            const auto &a = lines[i], &b = lines[j];
            if (a.uid != b.uid) continue;
            if (a.host < b.host + b.count && b.host < a.host + a.count) return false;
            if (a.ns < b.ns + b.count && b.ns < a.ns + a.count) return false;
        }
    return true;
}

} // namespace

TEST_CASE("a line of raw.idmap takes the place of the ids that it names, in LXD's form") {
    CHECK(with_raw_idmap(server(), server(), "both 1000 1000").json() ==
          R"([{"Isuid":true,"Isgid":false,"Hostid":100000,"Nsid":0,"Maprange":1000},)"
          R"({"Isuid":true,"Isgid":true,"Hostid":1000,"Nsid":1000,"Maprange":1},)"
          R"({"Isuid":true,"Isgid":false,"Hostid":101001,"Nsid":1001,"Maprange":98999},)"
          R"({"Isuid":false,"Isgid":true,"Hostid":100000,"Nsid":0,"Maprange":1000},)"
          R"({"Isuid":true,"Isgid":true,"Hostid":1000,"Nsid":1000,"Maprange":1},)"
          R"({"Isuid":false,"Isgid":true,"Hostid":101001,"Nsid":1001,"Maprange":98999}])");
    const auto map = with_raw_idmap(server(), server(), "\nuid 50-60 500-510\n");
    CHECK(map.host_uid(500) == 50);
    CHECK(map.host_uid(510) == 60);
    CHECK(map.host_uid(511) == 100511);
    CHECK(map.host_gid(500) == 100500);
    CHECK(with_raw_idmap(server(), server(), "gid 7 200000").host_gid(200000) == 7);
}

TEST_CASE("whatever raw.idmap says, the kernel would take the map or the line is refused") {
    for (const char* raw : {"both 0 0", "both 1000-1010 0-10", "uid 1 1\ngid 1 1", "both 1000 1000\nboth 1001 1000",
                            "uid 5 5\nuid 6 6\nuid 7 7", "both 1-1000 99001-100000", "both 20-40 10-30\nuid 70 15",
                            "uid 1000 20000000"}) {
        CAPTURE(raw);
        CHECK(kernel_would_take(with_raw_idmap(server(), server(), raw)));
    }
}

TEST_CASE("bad lines have LXD's texts") {
    const std::pair<const char*, const char*> bad[] = {
        {"both 1000", "Invalid ID map line \"both 1000\""},
        {"uid  1 1", "Invalid ID map line \"uid  1 1\""},
        {"x 1 1", "Invalid ID map type \"x 1 1\""},
        {"both a 1", "strconv.ParseInt: parsing \"a\": invalid syntax"},
        {"both -1 5", "strconv.ParseInt: parsing \"\": invalid syntax"},
        {"both 1-2-3 1-2-3", "Invalid ID Map range \"1-2-3\""},
        {"both 1000-1005 1000-1004", "The ID map ranges are of different sizes \"both 1000-1005 1000-1004\""},
        {"both 100000 5", "Host id is in the range of subids"},
        {"both 1000-1010 1000-1010\nuid 1005 5", "Host id is in the range of subids"},
    };
    for (const auto& [raw, text] : bad) {
        CAPTURE(raw);
        CHECK(refusal(raw) == text);
    }
    for (const char* raw : {"both 5-3 5-3", "uid 4294967295 5", "both 99999999999999999999 1", "both 1 4294967295"}) {
        CAPTURE(raw);
        CHECK(!refusal(raw).empty());
    }
}

TEST_CASE("a value of lxc.idmap joins the map under the same rules") {
    const auto map = with_lxc_idmap(server(), server(), "b  5000 1000  10");
    CHECK(map.host_uid(5009) == 1009);
    CHECK(map.host_gid(5000) == 1000);
    CHECK(kernel_would_take(map));
    CHECK(with_lxc_idmap(server(), server(), "u 0 1 1").host_gid(0) == 100000);
    for (const char* value : {"", "u 1 1", "x 1 1 1", "u 1 1 0", "u 1 1 -1", "u a 1 1", "u 1 100000 1",
                              "u 1 4294967290 100", "u 1 1 99999999999"}) {
        CAPTURE(value);
        CHECK_THROWS_AS(with_lxc_idmap(server(), server(), value), Error);
    }
}

TEST_CASE("every host id must be one that the host lets root use (R12)") {
    constexpr const char* kPlain = "root:100000:100000\nother:1000:1\n";
    constexpr const char* kMore = "root:100000:100000\nroot:1000:1\nroot:1001:5\n";
    CHECK_NOTHROW(check_delegated(server(), kPlain, kPlain));
    const auto one = with_raw_idmap(server(), server(), "both 1000 1000");
    CHECK_THROWS_AS(check_delegated(one, kPlain, kPlain), Error);
    CHECK_THROWS_AS(check_delegated(one, kMore, kPlain), Error);
    CHECK_THROWS_AS(check_delegated(one, kPlain, kMore), Error);
    CHECK_NOTHROW(check_delegated(one, kMore, kMore));
    CHECK_NOTHROW(check_delegated(with_raw_idmap(server(), server(), "both 1000-1005 0-5"), kMore, kMore));
    CHECK_THROWS_AS(check_delegated(with_raw_idmap(server(), server(), "both 1000-1006 0-6"), kMore, kMore), Error);
    const auto root = with_raw_idmap(server(), server(), "both 0 0");
    CHECK_THROWS_AS(check_delegated(root, "root:0:4294967295\n", "root:0:4294967295\n"), Error);
    CHECK_THROWS_WITH_AS(check_delegated(root, kMore, kMore),
                         "The host uid 0 may not be used: /etc/subuid does not give it to root", Error);
}
