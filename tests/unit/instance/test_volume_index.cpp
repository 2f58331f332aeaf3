// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "instance/optimized_backup.hpp"
#include "instance/volume_index.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;
using Json = nlohmann::json;

namespace {

Json good() {
    return Json::parse(R"({"name": "v1", "backend": "dir", "pool": "default", "snapshots": ["s1", "s0"],
        "optimized": false, "optimized_header": false, "type": "custom", "config": {"volume": {"name": "v1",
        "description": "told", "type": "custom", "content_type": "filesystem", "config": {"size": "1GiB", "user.n": 5,
        "no.such": "1", "volatile.uuid": "x", "volatile.idmap.last": "[]"}}, "volume_snapshots": [
        {"name": "s0", "description": "first", "config": {}, "content_type": "filesystem"}, {"name": "s1"},
        {"name": "without-files"}]}})");
}

void refused(const char* path, const Json& value) {
    auto document = good();
    document[Json::json_pointer{path}] = value;
    CHECK_THROWS_AS_MESSAGE(read_volume_index(document, "dir"), Error, path);
}

Json header(const Json& subvolumes) { return {{"subvolumes", subvolumes}}; }
Json part(const char* path, const char* snapshot) { return {{"path", path}, {"snapshot", snapshot}}; }

void bad_header(const Json& subvolumes) { CHECK_THROWS_AS(read_parts(header(subvolumes), {"s0"}), Error); }

} // namespace

TEST_CASE("the index of a backup says what the volume is") {
    const auto index = read_volume_index(good(), "dir");
    CHECK(index.volume.name == "v1");
    CHECK(index.volume.description == "told");
    CHECK_FALSE(index.volume.block);
    CHECK(index.volume.config == api::StringMap{{"size", "1GiB"}, {"user.n", "5"}, {"volatile.idmap.last", "[]"}});
    REQUIRE(index.snapshots.size() == 2); // in the order of the archive
    CHECK(index.snapshots[0].name == "s1");
    CHECK(index.snapshots[1].description == "first");
}

TEST_CASE("an index of a volume that makes no sense is refused") {
    refused("/type", "container");
    refused("/name", "../evil");
    refused("/name", "other");
    refused("/config", nullptr);
    refused("/config/volume", Json::array());
    refused("/config/volume/content_type", "iso");
    refused("/config/volume/config", "text");
    refused("/config/volume/config/volatile.idmap.last", "{");
    refused("/config/volume_snapshots", "text");
    refused("/config/volume_snapshots/0/name", "a/..");
    refused("/config/volume_snapshots/0/name", "s1");
    refused("/config/volume_snapshots/0/content_type", "block");
    refused("/snapshots", Json::array({"unknown"}));
    refused("/snapshots", Json::array({"s0", "s0"}));
    refused("/snapshots", Json::array({".."}));
    refused("/optimized", "yes");
    CHECK_THROWS_AS(read_volume_index(Json::array(), "dir"), Error);
    CHECK_THROWS_AS(read_volume_index(nullptr, "dir"), Error);
}

TEST_CASE("streams of a backup have LXD's names") {
    const auto layout = BackupLayout::of_instance();
    CHECK(part_file(layout, {"", "/", false}) == "backup/container.bin");
    CHECK(part_file(layout, {"s0", "/", true}) == "backup/snapshots/s0.bin");
    CHECK(part_file(layout, {"s0", "/rootfs/root/sub-a", false}) == "backup/snapshots/s0_rootfs-root-sub--a.bin");
    CHECK(part_file(BackupLayout::of_volume(), {"s0", "/a", false}) == "backup/volume-snapshots/s0_a.bin");
}

TEST_CASE("a header names every snapshot and the volume, and nothing outside of them") {
    const auto whole = Json::array({part("/", "s0"), part("/a/b", "s0"), part("/", "")});
    const auto parts = read_parts(header(whole), {"s0"});
    REQUIRE(parts.size() == 3);
    CHECK(parts[1].path == "/a/b");
    bad_header(Json::array({part("/", "")}));
    bad_header(Json::array({part("/", "s0")}));
    bad_header(Json::array({part("/", "s0"), part("/", ""), part("/", "other")}));
    bad_header(Json::array({part("/a", "s0"), part("/", "s0"), part("/", "")}));
    bad_header(Json::array({part("/", "s0"), part("/", "s0"), part("/", "")}));
    for (const auto* path : {"", "a", "/..", "/a/../b", "//", "/a/", "/./a"})
        bad_header(Json::array({part("/", "s0"), part("/", ""), part(path, "")}));
    bad_header("text");
    bad_header(Json::array({"text"}));
    CHECK_THROWS_AS(read_parts("text", {}), Error);
    CHECK(read_parts(nullptr, {"s0"}).size() == 2); // of an old backup: one stream each
}
