// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "db/config_repository.hpp"
#include "db/intents.hpp"
#include "event/event_hub.hpp"
#include "operation/operation_manager.hpp"
#include "storage/custom_volumes.hpp"
#include "storage/pool_access.hpp"
#include "storage/server_folders.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"
#include "util/reactor.hpp"
#include "util/worker_pool.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

struct Fixture {
    test::TempDir temp;
    Dir state = Dir::open(temp.path().string());
    Logger log;
    std::unique_ptr<db::Database> local = test::memory_local(), global = test::memory_global();
    std::unique_ptr<EventService> events = make_event_service();
    Reactor reactor;
    WorkerPool workers{2};
    std::unique_ptr<OperationService> operations = make_operation_service(*events, workers, reactor, log);
    std::unique_ptr<storage::StorageManager> pools;
    std::unique_ptr<storage::CustomVolumes> volumes;

    Fixture() {
        restart();
        api::StoragePoolsPost pool;
        pool.name = "p";
        pool.driver = "dir";
        pools->create(pool);
        for (const auto* name : {"v", "w"})
            volumes->create("p", "default", {.name = name});
        for (const auto* name : {"images", "backups"})
            state.make_dir(name, 0700);
        std::ofstream{temp / "images/one"} << "image";
    }
    ~Fixture() { workers.finish(); }
    void restart() {
        volumes.reset();
        pools = storage::make_storage_manager(*local, *global, state, *events, log);
        pools->start();
        volumes = storage::make_custom_volumes({*local, *global, *pools, *operations, *events, log});
        volumes->start({});
        folders().start();
    }
    storage::ServerFolders& folders() const { return storage::PoolAccess::of(*pools).server_folders(); }
    /// As a change of a setting goes: stored, followed, undone if it cannot be.
    std::string set(const std::string& key, const std::string& value) const {
        const auto before = get(key);
        store(key, value);
        try {
            folders().change({{key, value}});
        } catch (const Error& error) {
            store(key, before);
            return error.what();
        }
        return {};
    }
    void store(const std::string& key, const std::string& value) const {
        local->write([&](db::Transaction& tx) { db::ConfigRepository::set(tx, {{key, value}}); });
    }
    std::string get(const std::string& key) const {
        auto all = local->read_value([](db::Transaction& tx) { return db::ConfigRepository::all(tx); });
        return all[key];
    }
    fs::path folder(const std::string& name) const { return temp / ("storage-pools/p/custom/default_" + name); }
    std::string image() const { return folders().images().use()->read("one"); }
};

constexpr const char* kKey = "storage.images_volume";

std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "images move to a volume, to another, and back, and the link says where they are") {
    CHECK(image() == "image");
    CHECK(set(kKey, "p/v").empty());
    CHECK(fs::read_symlink(temp / "images") == folder("v"));
    CHECK(test::read_file(folder("v") / "one") == "image");
    struct stat info {};
    REQUIRE(::stat(folder("v").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
    CHECK(image() == "image");
    CHECK(set(kKey, "p/w").empty());
    CHECK(fs::is_empty(folder("v")));
    CHECK(image() == "image");
    restart();
    CHECK(get(kKey) == "p/w");
    CHECK(image() == "image");
    CHECK(set(kKey, "").empty());
    CHECK(fs::is_empty(folder("w")));
    CHECK(fs::is_directory(fs::symlink_status(temp / "images")));
    CHECK(image() == "image");
    CHECK_FALSE(fs::exists(temp / ".images-new"));
    CHECK(db::IntentLog{*local}.pending("server-folder-move").empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "a volume that the server uses is neither removed nor renamed nor snapshotted nor replaced") {
    REQUIRE(set(kKey, "p/v").empty());
    const VolumeRef ref{.pool = "p", .name = "v"};
    CHECK(volumes->get(ref).used_by == std::vector<std::string>{"/1.0"});
    CHECK(volumes->list("p", "default", "custom").front().used_by == std::vector<std::string>{"/1.0"});
    CHECK(refusal([&] { volumes->remove(ref); }) == "The storage volume is still in use");
    CHECK(refusal([&] { volumes->move(ref, {.name = "x"}); }) == "Volume is used by LXD itself and cannot be renamed");
    CHECK(refusal([&] { volumes->create_snapshot(ref, {.name = "s"}); }) ==
          "Volumes used by LXD itself cannot have snapshots");
    const auto refresh = volumes->create(
        "p", "default", {.name = "v", .source = {.name = "w", .type = "copy", .pool = "p", .refresh = true}});
    refresh->wait();
    CHECK(refresh->error() == "The storage volume is still in use");
    CHECK(image() == "image");
    REQUIRE(set(kKey, "").empty());
    volumes->remove(ref);
}

TEST_CASE_FIXTURE(Fixture, "volumes that the server cannot use are refused, and nothing has moved") {
    const std::string before = "Failed validation of \"storage.images_volume\": ";
    CHECK(set(kKey, "p") == before + "Invalid syntax for volume, must be <pool>/<volume>");
    CHECK(set(kKey, "p/v/x") == before + "Invalid syntax for volume, must be <pool>/<volume>");
    CHECK(set(kKey, "q/v") == before + "Unable to load storage pool \"q\": Storage pool not found");
    CHECK(set(kKey, "p/x") == before + "Failed loading storage volume \"p/x\" in \"default\" project: Storage volume "
                                       "not found");
    CHECK(set(kKey, "p/../v") != "");
    volumes->create("p", "default", {.config = {{"size", "1MiB"}}, .name = "b", .content_type = "block"});
    CHECK(set(kKey, "p/b") == before + "Storage volume \"p/b\" in \"default\" project is not filesystem content type");
    std::ofstream{folder("w") / "file"} << "x";
    CHECK(set(kKey, "p/w") == before + "Storage volume \"p/w\" isn't empty");
    volumes->create_snapshot({.pool = "p", .name = "v"}, {.name = "s"})->wait();
    CHECK(set(kKey, "p/v") == before + "Storage volumes for use by LXD itself cannot have snapshots");
    CHECK(image() == "image");
    CHECK(fs::is_directory(fs::symlink_status(temp / "images")));
}

TEST_CASE_FIXTURE(Fixture, "one volume serves one purpose") {
    REQUIRE(set(kKey, "p/v").empty());
    fs::remove(folder("v") / "one");
    CHECK(set("storage.backups_volume", "p/v") != "");
    store("storage.backups_volume", "p/w");
    store(kKey, "p/v");
    CHECK(set("storage.backups_volume", "p/w").empty());
    CHECK(fs::read_symlink(temp / "backups") == folder("w"));
}

TEST_CASE_FIXTURE(Fixture, "R41: a move that was cut off before the exchange never was") {
    ::chmod(folder("v").c_str(), 0751);
    store(kKey, "p/v");
    db::IntentLog{*local}.begin("server-folder-move", "", "images",
                                R"({"from":"","to":"p/v","mode":489,"uid":0,"gid":0})");
    ::chmod(folder("v").c_str(), 0700);
    std::ofstream{folder("v") / "one"} << "ima";
    fs::create_symlink(folder("v"), temp / ".images-new");
    restart();
    CHECK(get(kKey).empty());
    CHECK(fs::is_empty(folder("v")));
    struct stat info {};
    REQUIRE(::stat(folder("v").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0751);
    CHECK_FALSE(fs::is_symlink(temp / ".images-new"));
    CHECK(image() == "image");
}

TEST_CASE_FIXTURE(Fixture, "R41: a move that was cut off after the exchange is done") {
    store(kKey, "p/v");
    db::IntentLog{*local}.begin("server-folder-move", "", "images", R"({"from":"","to":"p/v"})");
    std::ofstream{folder("v") / "one"} << "image";
    fs::rename(temp / "images", temp / ".images-new");
    fs::create_symlink(folder("v"), temp / "images");
    restart();
    CHECK(get(kKey) == "p/v");
    CHECK_FALSE(fs::exists(temp / ".images-new"));
    CHECK(image() == "image");
}

TEST_CASE_FIXTURE(Fixture, "what is read stays where it is") {
    auto used = folders().images().use();
    CHECK_THROWS_AS(folders().images().move([] {}, std::chrono::seconds{0}), Error);
    used.reset();
    bool moved = false;
    folders().images().move([&] { moved = true; }, std::chrono::seconds{0});
    CHECK(moved);
    CHECK(image() == "image");
}

TEST_CASE_FIXTURE(Fixture, "a volume that is gone makes its images unavailable, and nothing takes their place") {
    REQUIRE(set(kKey, "p/v").empty());
    fs::rename(folder("v"), temp / "away");
    restart();
    CHECK_THROWS_AS((void)folders().images().use(), Error);
    CHECK_FALSE(fs::exists(folder("v")));
    fs::rename(temp / "away", folder("v"));
    CHECK(image() == "image");
}
