// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>

#include <lxdcore/client.hpp>

#include "scripted_server.hpp"

using namespace lxdcore;
using nlohmann::json;

namespace {

struct Fixture {
    test::ScriptedServer server;
    Client client{{.url = server.url()}};
    const InstanceRef c1{"p", "c 1"};

    json ended(const OperationPtr& operation) {
        REQUIRE(operation);
        operation->wait();
        CHECK(operation->status() == api::Status::Success);
        return operation->to_json()["metadata"];
    }
    std::string asked() const {
        const auto last = server.last();
        return last.method + " " + last.target;
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "snapshots are named without their instance") {
    server.on("GET /1.0/instances/c%201/snapshots?project=p", {"/1.0/instances/c%201/snapshots/a%20b?project=p"});
    server.on("GET /1.0/instances/c%201/snapshots?project=p&recursion=1", {{{"name", "c 1/s0"}}, {{"name", "s1"}}});
    server.on("GET /1.0/instances/c%201/snapshots/s0?project=p", {{"name", "s0"}, {"stateful", true}});
    auto& snapshots = client.instance_snapshots();
    CHECK(snapshots.snapshot_names(c1) == std::vector<std::string>{"a b"});
    const auto all = snapshots.snapshots(c1);
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "s0");
    CHECK(all[1].name == "s1");
    CHECK(snapshots.snapshot(c1, "s0").stateful);
    CHECK_THROWS_AS((void)snapshots.snapshot(c1, "s9"), Error);
}

TEST_CASE_FIXTURE(Fixture, "snapshots of a project come with its instances") {
    server.on("GET /1.0/instances?recursion=2&project=p",
              {{{"name", "a"}, {"snapshots", nullptr}}, {{"name", "b"}, {"snapshots", {{{"name", "b/s"}}}}}});
    const auto found = client.instance_snapshots().snapshots_by_instance("p");
    REQUIRE(found.size() == 1);
    CHECK(found.at("b").at(0).name == "s");
}

TEST_CASE_FIXTURE(Fixture, "changes of snapshots are requests that answer with an operation") {
    server.on_operation("POST /1.0/instances/c%201/snapshots?project=p");
    server.on_operation("PUT /1.0/instances/c%201/snapshots/s?project=p");
    server.on_operation("POST /1.0/instances/c%201/snapshots/s?project=p");
    server.on_operation("DELETE /1.0/instances/c%201/snapshots/s?project=p");
    auto& snapshots = client.instance_snapshots();
    ended(snapshots.create_snapshot(c1, {.name = "s"}));
    CHECK(server.last().json()["name"] == "s");
    ended(snapshots.update_snapshot(c1, "s", {.expires_at = api::Time::from_unix(0)}, "abc"));
    CHECK(server.last().json()["expires_at"] == "1970-01-01T00:00:00Z");
    CHECK(server.last().has("If-Match: abc"));
    ended(snapshots.rename_snapshot(c1, "s", {.name = "t"}));
    CHECK(server.last().json()["name"] == "t");
    ended(snapshots.remove_snapshot(c1, "s"));
    CHECK(asked() == "DELETE /1.0/instances/c%201/snapshots/s?project=p");
}

TEST_CASE_FIXTURE(Fixture, "publishing names an instance or its snapshot") {
    server.on_operation("POST /1.0/images?project=p", {{"fingerprint", "f"}});
    PublishRequest request{.project = "p", .instance = "c1", .aliases = {{"x", ""}}};
    CHECK(ended(client.publishing().publish(request))["fingerprint"] == "f");
    CHECK(server.last().json()["source"] == json{{"type", "instance"}, {"name", "c1"}});
    CHECK(server.last().json()["aliases"] == json{{{"name", "x"}, {"description", ""}}});
    CHECK_FALSE(server.last().json().contains("profiles"));
    request.snapshot = "s";
    ended(client.publishing().publish(request));
    CHECK(server.last().json()["source"] == json{{"type", "snapshot"}, {"name", "c1/s"}});
}

TEST_CASE_FIXTURE(Fixture, "the file of a backup is brought here") {
    server.on("GET /1.0/instances/c%201/backups/b?project=p", {{"name", "b"}, {"created_at", "2026-01-02T03:04:05Z"}});
    server.on_file("GET /1.0/instances/c%201/backups/b/export?project=p", "archive");
    const auto file = client.backups().open_backup(c1, "b");
    char text[16] = {};
    CHECK(::read(file.fd, text, sizeof text) == 7);
    ::close(file.fd);
    CHECK(std::string{text} == "archive");
    CHECK(file.size == 7);
    CHECK(file.modified == "2026-01-02T03:04:05Z");
}

TEST_CASE_FIXTURE(Fixture, "a backup is sent as it is") {
    server.on_operation("POST /1.0/instances?project=p");
    const int fd = ::memfd_create("archive", MFD_CLOEXEC);
    CHECK(::write(fd, "archive", 7) == 7);
    const std::shared_ptr<int> archive{new int{fd}, [](int* held) {
                                           ::close(*held);
                                           delete held;
                                       }};
    ended(client.backups().import_backup({.project = "p", .name = "c2", .pool = "fast", .archive = archive}));
    CHECK(server.last().body == "archive");
    CHECK(server.last().has("X-LXD-name: c2"));
    CHECK(server.last().has("X-LXD-pool: fast"));
    CHECK_THROWS_AS((void)client.backups().import_backup({}), Error);
}

TEST_CASE_FIXTURE(Fixture, "backups are listed, made, renamed and removed") {
    server.on("GET /1.0/instances/c%201/backups?project=p&recursion=1", {{{"name", "b"}, {"instance_only", true}}});
    server.on_operation("POST /1.0/instances/c%201/backups?project=p");
    server.on_operation("POST /1.0/instances/c%201/backups/b?project=p");
    server.on_operation("DELETE /1.0/instances/c%201/backups/b?project=p");
    CHECK(client.backups().backups(c1).at(0).instance_only);
    ended(client.backups().create_backup(c1, {.name = "b", .compression_algorithm = "none"}));
    CHECK(server.last().json()["compression_algorithm"] == "none");
    ended(client.backups().rename_backup(c1, "b", "c"));
    CHECK(server.last().json() == json{{"name", "c"}});
    ended(client.backups().remove_backup(c1, "b"));
}

TEST_CASE_FIXTURE(Fixture, "an empty volume is made at once, a copy by an operation") {
    const VolumeRef v{"fast", "p", "custom", "v"};
    server.on("POST /1.0/storage-pools/fast/volumes/custom?project=p", nullptr);
    CHECK_FALSE(client.volumes().create("fast", "p", {.name = "v"}));
    CHECK(server.last().json()["name"] == "v");
    server.on_operation("POST /1.0/storage-pools/fast/volumes/custom?project=p");
    ended(client.volumes().create("fast", "p", {.name = "v", .source = {.name = "w", .type = "copy"}}));
    CHECK(server.last().json()["source"]["name"] == "w");
    server.on_operation("POST /1.0/storage-pools/fast/volumes/custom/v?project=p");
    ended(client.volumes().move(v, {.name = "v", .pool = "slow"}));
    CHECK(server.last().json()["pool"] == "slow");
}

TEST_CASE_FIXTURE(Fixture, "a volume is restored without a word about its configuration") {
    const VolumeRef v{"fast", "p", "custom", "v"};
    const std::string url = "/1.0/storage-pools/fast/volumes/custom/v?project=p";
    server.on("PUT " + url, nullptr);
    server.on("GET " + url, {{"name", "v"}, {"type", "custom"}, {"config", {{"size", "1GiB"}}}});
    server.on("DELETE " + url, nullptr);
    client.volumes().update(v, {.restore = "s"}, "");
    CHECK(server.last().json()["restore"] == "s");
    CHECK_FALSE(server.last().json().contains("config"));
    client.volumes().update(v, {.config = api::StringMap{{"size", "2GiB"}}, .description = "d"}, "e");
    CHECK(server.last().json() == json{{"config", {{"size", "2GiB"}}}, {"description", "d"}});
    CHECK(client.volumes().get(v).config.at("size") == "1GiB");
    client.volumes().remove(v);
    CHECK(asked() == "DELETE " + url);
}

TEST_CASE_FIXTURE(Fixture, "only what is named of a volume's snapshot is changed") {
    const VolumeRef v{"fast", "default", "custom", "v"};
    const std::string base = "/1.0/storage-pools/fast/volumes/custom/v/snapshots";
    server.on_operation("POST " + base);
    server.on("PATCH " + base + "/s", nullptr);
    server.on("GET " + base + "?recursion=1", {{{"name", "v/s"}}});
    server.on_operation("DELETE " + base + "/s");
    ended(client.volumes().create_snapshot(v, {.name = "s", .expires_at = {}}));
    CHECK(server.last().json() == json{{"name", "s"}});
    client.volumes().patch_snapshot(v, "s", {.description = "x", .expires_at = {}}, "");
    CHECK(server.last().json() == json{{"description", "x"}});
    CHECK(client.volumes().snapshots(v).at(0).name == "v/s");
    ended(client.volumes().remove_snapshot(v, "s"));
}

TEST_CASE_FIXTURE(Fixture, "backups of a volume are listed, made, renamed, brought here and removed") {
    const VolumeRef v{"fast", "p", "custom", "v 1"};
    const std::string base = "/1.0/storage-pools/fast/volumes/custom/v%201/backups";
    server.on("GET " + base + "?project=p&recursion=1", {{{"name", "b"}, {"volume_only", true}}});
    server.on_operation("POST " + base + "?project=p");
    server.on_operation("POST " + base + "/b?project=p");
    server.on_operation("DELETE " + base + "/b?project=p");
    server.on("GET " + base + "/b?project=p", {{"name", "b"}, {"created_at", "2026-01-02T03:04:05Z"}});
    server.on_file("GET " + base + "/b/export?project=p", "archive");
    auto& backups = client.volume_backups();
    CHECK(backups.backups(v).at(0).volume_only);
    ended(backups.create_backup(v, {.name = "b", .compression_algorithm = "none"}));
    CHECK(server.last().json()["compression_algorithm"] == "none");
    ended(backups.rename_backup(v, "b", "c"));
    CHECK(server.last().json() == json{{"name", "c"}});
    const auto file = backups.open_backup(v, "b");
    CHECK(file.size == 7);
    CHECK(file.modified == "2026-01-02T03:04:05Z");
    ::close(file.fd);
    ended(backups.remove_backup(v, "b"));
    CHECK_THROWS_AS((void)backups.backup(v, "absent"), Error);
}

TEST_CASE_FIXTURE(Fixture, "a volume is made of the file of a backup") {
    const auto archive = std::make_shared<int>(::memfd_create("backup", MFD_CLOEXEC));
    REQUIRE(::write(*archive, "archive", 7) == 7);
    server.on_operation("POST /1.0/storage-pools/fast/volumes/custom?project=p");
    ended(client.volume_backups().import_backup({.pool = "fast", .project = "p", .name = "v2", .archive = archive}));
    CHECK(server.last().body == "archive");
    CHECK(server.last().has("X-LXD-name: v2"));
    CHECK_THROWS_AS((void)client.volume_backups().import_backup({.pool = "fast"}), Error);
    ::close(*archive);
}
