// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "instance/backup_document.hpp"
#include "instance/backup_index.hpp"
#include "instance/backup_writer.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;
using Json = nlohmann::json;

namespace {

Json good() {
    return Json::parse(R"({"name": "c1", "backend": "dir", "pool": "default", "snapshots": ["s0"], "optimized": false,
        "type": "container", "config": {"container": {"name": "c1", "architecture": "x86_64", "type": "container",
        "config": {"user.n": 5, "volatile.uuid": "1cab0700-d6a7-4d47-815b-3f48ebb6b4be",
                   "volatile.eth0.hwaddr": "00:16:3e:01:02:03", "volatile.eth0.host_name": "veth1",
                   "volatile.last_state.idmap": "[]", "volatile.last_state.power": "RUNNING"},
        "devices": {"eth0": {"type": "nic", "mtu": 1400}}, "profiles": ["default"],
        "created_at": "2026-01-02T03:04:05Z"},
        "snapshots": [{"name": "s0", "config": {}, "devices": {}, "created_at": "2026-01-02T03:04:05Z"}],
        "pool": {"name": "default"}}})");
}

void refused(const char* path, const Json& value) {
    auto document = good();
    document[Json::json_pointer{path}] = value;
    CHECK_THROWS_AS_MESSAGE(read_backup_index(document), Error, path);
}

} // namespace

TEST_CASE("the index of a backup says what the instance is") {
    const auto index = read_backup_index(good());
    CHECK(index.name == "c1");
    CHECK(index.snapshots == std::vector<std::string>{"s0"});
    const auto& instance = index.instance;
    CHECK(instance.request.config == api::StringMap{{"user.n", "5"}});
    CHECK(instance.request.devices.at("eth0").at("mtu") == "1400");
    CHECK(instance.kept.at("volatile.eth0.hwaddr") == "00:16:3e:01:02:03");
    CHECK(instance.kept.at("volatile.uuid") == "1cab0700-d6a7-4d47-815b-3f48ebb6b4be");
    CHECK(instance.kept.contains("volatile.cloud-init.instance-id")); // made when there is none
    CHECK_FALSE(instance.kept.contains("volatile.eth0.host_name"));
    CHECK_FALSE(instance.kept.contains("volatile.last_state.power"));
    CHECK(instance.disk_map == "[]");
    CHECK(instance.snapshots.at(0).name == "s0");
    CHECK(instance.created_at.unix_seconds() == 1767323045);
}

TEST_CASE("what an index may not say is refused") {
    refused("/name", "../c1");
    refused("/name", nullptr);
    refused("/type", "virtual-machine");
    refused("/type", "toaster");
    refused("/optimized", "yes");
    refused("/pool", "a/b");
    refused("/snapshots", {"s1"});
    refused("/snapshots", {"s0", "s0"});
    refused("/snapshots", "s0");
    refused("/snapshots/0", "../s0");
    refused("/config", Json::array());
    refused("/config/container", nullptr);
    refused("/config/container/name", "a_b");
    refused("/config/container/config", "x");
    refused("/config/container/config/volatile.uuid", "x");
    refused("/config/container/config/volatile.base_image", "../x");
    refused("/config/container/config/volatile.last_state.idmap", "{");
    refused("/config/container/devices", Json::array());
    refused("/config/container/devices/eth0", "x");
    refused("/config/container/devices/a~1b", Json::object());
    refused("/config/container/profiles", {Json::object()});
    refused("/config/container/profiles", {"a/b"});
    refused("/config/container/created_at", "yesterday");
    refused("/config/container/ephemeral", -1);
    refused("/config/container/stateful", true);
    refused("/config/container/type", "virtual-machine");
    refused("/config/container/project", "../p");
    refused("/config/snapshots", Json::object());
    refused("/config/snapshots/0/name", "..");
    refused("/config/snapshots/0/config", Json::array());
    refused("/config/pool", "x");
    for (const auto& whole : {Json{}, Json(5), Json::array(), Json("x")})
        CHECK_THROWS_AS(read_backup_index(whole), Error);
}

TEST_CASE("backup.yaml has LXD's fields in LXD's order") {
    BackupDocument document;
    document.instance.emplace();
    document.instance->name = "c1";
    document.pool.emplace();
    document.volume.emplace();
    document.volume_snapshots.push_back({.name = "s0"});
    const auto json = document.json();
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items())
        keys.push_back(key);
    CHECK(keys == std::vector<std::string>{"container", "pool", "volume", "volume_snapshots"});
    CHECK(json.at("container").begin().key() == "architecture");
    CHECK(json.at("volume").at("type") == "container");
}

TEST_CASE("progress is told as LXD tells it") {
    using namespace std::chrono_literals;
    CHECK(progress_text(2'650'000, 1s) == "2.65MB (2.65MB/s)");
    CHECK(progress_text(500, 2s) == "500B (250B/s)");
}
