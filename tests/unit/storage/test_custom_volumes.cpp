// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "db/intents.hpp"
#include "db/storage_volume_repository.hpp"
#include "event/event_hub.hpp"
#include "operation/operation_manager.hpp"
#include "storage/custom_volumes.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"
#include "util/reactor.hpp"
#include "util/worker_pool.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

class QuietContext final : public OperationContext {
public:
    std::stop_token stop_token() const override { return {}; }
    void update_metadata(const nlohmann::json&) override {}
    void set_progress(const std::string&, const std::string&) override {}
    void refuse_cancel_from_here() override {}
    void throw_if_cancelled() const override {}
};

struct Fixture {
    test::TempDir temp;
    Dir state = Dir::open(temp.path().string());
    Logger log;
    std::unique_ptr<db::Database> local = test::memory_local();
    test::FailingDatabase global{test::memory_global()};
    std::unique_ptr<EventService> events = make_event_service();
    Reactor reactor;
    WorkerPool workers{4};
    std::unique_ptr<OperationService> operations = make_operation_service(*events, workers, reactor, log);
    std::unique_ptr<storage::StorageManager> pools;
    std::unique_ptr<storage::CustomVolumes> volumes;
    std::set<std::string> running;
    QuietContext op;

    Fixture() {
        restart();
        for (const auto* name : {"p", "q"}) {
            api::StoragePoolsPost pool;
            pool.name = name;
            pool.driver = "dir";
            pools->create(pool);
        }
    }
    ~Fixture() { workers.finish(); }
    void restart() {
        volumes.reset();
        pools = storage::make_storage_manager(*local, global, state, *events, log);
        pools->start();
        volumes = storage::make_custom_volumes({*local, global, *pools, *operations, *events, log});
        volumes->start([this](const std::string&, const std::string& name) { return running.contains(name); });
    }
    fs::path folder(const std::string& name, const std::string& pool = "p") const {
        return temp.path() / "storage-pools" / pool / "custom" / ("default_" + name);
    }
    void make(const std::string& name, api::StringMap config = {}) {
        const auto operation = volumes->create("p", "default", {.config = std::move(config), .name = name});
        CHECK_FALSE(operation);
    }
    void write(const std::string& name, const std::string& text, const std::string& pool = "p") const {
        std::ofstream{folder(name, pool) / "file"} << text;
    }
    std::string read(const std::string& name, const std::string& pool = "p") const {
        std::string text;
        std::ifstream{folder(name, pool) / "file"} >> text;
        return text;
    }
    static VolumeRef ref(const std::string& name, const std::string& pool = "p") {
        return {.pool = pool, .name = name};
    }
    std::string finish(const OperationPtr& operation) const {
        operation->wait();
        return operation->error();
    }
    void snapshot(const std::string& name, const std::string& snapshot) {
        CHECK(finish(volumes->create_snapshot(ref(name), {.name = snapshot})).empty());
    }
    std::size_t rows() {
        return global.read_value([](db::Transaction& tx) { return db::StorageVolumeRepository{}.list(tx, {}).size(); });
    }
};

std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "a volume has a directory of its project's name, which only the pool's owner reaches") {
    make("v", {{"user.a", "b"}});
    CHECK(fs::is_directory(folder("v")));
    struct stat info {};
    REQUIRE(::stat(folder("v").parent_path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    const auto view = volumes->get(ref("v"));
    CHECK(view.config == api::StringMap{{"user.a", "b"}});
    CHECK(view.used_by.empty());
    CHECK(refusal([&] { make("v"); }) == "Volume by that name already exists");
}

TEST_CASE_FIXTURE(Fixture, "options are checked with the name that a volume has on disk") {
    CHECK(refusal([&] {
              make("v", {{"nosuch", "1"}});
          }) == "Invalid option for volume \"default_v\" option \"nosuch\"");
    CHECK(refusal([&] {
              make("v", {{"size", "x"}});
          }) == "Invalid value for volume \"default_v\" option \"size\": Invalid value: x");
    CHECK(refusal([&] { make("v", {{"snapshots.schedule", "@never"}}); }).starts_with("Invalid value for volume"));
    CHECK(rows() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a volume that cannot be recorded leaves nothing") {
    global.fail_writes = true;
    CHECK_FALSE(refusal([&] { make("v"); }).empty());
    global.fail_writes = false;
    CHECK_FALSE(fs::exists(folder("v")));
    CHECK(db::IntentLog{*local}.pending("custom-volume-create").empty());
}

TEST_CASE_FIXTURE(Fixture, "a copy has the content, the snapshots and the options of its source") {
    make("v", {{"user.a", "b"}});
    write("v", "old");
    snapshot("v", "s1");
    write("v", "new");
    CHECK(finish(volumes->create("q", "default", {.name = "w", .source = {.name = "v", .type = "copy", .pool = "p"}}))
              .empty());
    CHECK(read("w", "q") == "new");
    CHECK(volumes->get(ref("w", "q")).config.at("user.a") == "b");
    volumes->update(ref("w", "q"), {.restore = "s1"}, "");
    CHECK(read("w", "q") == "old");
    CHECK(read("v") == "new");
}

TEST_CASE_FIXTURE(Fixture, "a refresh adds and removes snapshots and brings the content") {
    make("v");
    make("w");
    snapshot("v", "s1");
    snapshot("w", "own");
    write("v", "new");
    write("w", "old");
    const auto refresh = [&] {
        return finish(volumes->create(
            "p", "default", {.name = "w", .source = {.name = "v", .type = "copy", .pool = "p", .refresh = true}}));
    };
    running = {};
    CHECK(refresh().empty());
    CHECK(read("w") == "new");
    const auto snapshots = volumes->snapshots(ref("w"));
    REQUIRE(snapshots.size() == 1);
    CHECK(snapshots.front().name == "w/s1");
}

TEST_CASE_FIXTURE(Fixture, "a refresh copies what has changed and keeps the rest") {
    make("v");
    write("v", "one");
    std::ofstream{folder("v") / "other"} << "same";
    const auto copy = [&](const std::string& source, bool refresh) {
        return finish(volumes->create(
            "p", "default",
            {.name = "w", .source = {.name = source, .type = "copy", .pool = "p", .refresh = refresh}}));
    };
    snapshot("v", "s1");
    std::this_thread::sleep_for(std::chrono::milliseconds{50}); // the clock of files is a coarse one
    REQUIRE(copy("v", false).empty());
    const auto inode = [&](const std::string& name) {
        struct stat info {};
        REQUIRE(::stat((folder("w") / name).c_str(), &info) == 0);
        return info.st_ino;
    };
    const auto same = inode("other"), changed = inode("file");
    write("v", "two");
    REQUIRE(copy("v", true).empty());
    CHECK(read("w") == "two");
    CHECK(inode("other") == same);
    CHECK(inode("file") != changed);
    REQUIRE(copy("v/s1", true).empty());
    CHECK(read("w") == "one");
}

TEST_CASE_FIXTURE(Fixture, "renaming and moving take snapshots along") {
    make("v");
    write("v", "x");
    snapshot("v", "s1");
    CHECK_FALSE(volumes->move(ref("v"), {.name = "w"}));
    CHECK(read("w") == "x");
    CHECK(finish(volumes->move(ref("w"), {.name = "m", .pool = "q"})).empty());
    CHECK(read("m", "q") == "x");
    CHECK_FALSE(fs::exists(folder("w")));
    CHECK(volumes->snapshots(ref("m", "q")).size() == 1);
    CHECK(volumes->list("p", "default", "custom").empty());
}

TEST_CASE_FIXTURE(Fixture, "names of snapshots follow each other and expire as the volume says") {
    make("v", {{"snapshots.expiry", "1d"}});
    CHECK(finish(volumes->create_snapshot(ref("v"), {})).empty());
    CHECK(finish(volumes->create_snapshot(ref("v"), {})).empty());
    const auto snapshots = volumes->snapshots(ref("v"));
    REQUIRE(snapshots.size() == 2);
    CHECK(snapshots.at(1).name == "v/snap1");
    CHECK(snapshots.at(1).expires_at);
    CHECK(finish(volumes->rename_snapshot(ref("v"), "snap0", {.name = "first"})).empty());
    CHECK(finish(volumes->remove_snapshot(ref("v"), "first")).empty());
    CHECK(volumes->snapshots(ref("v")).size() == 1);
    for (const auto* bad : {"..", "a/b", "a b", ".new-1"})
        CHECK_FALSE(refusal([&] { volumes->create_snapshot(ref("v"), {.name = bad}); }).empty());
}

TEST_CASE_FIXTURE(Fixture, "block volumes are files that grow") {
    CHECK_FALSE(volumes->create("p", "default", {.config = {{"size", "1MiB"}}, .name = "b", .content_type = "block"}));
    CHECK(fs::file_size(folder("b") / "root.img") == 1 << 20);
    volumes->update(ref("b"), {.config = api::StringMap{{"size", "2MiB"}}}, "");
    CHECK(fs::file_size(folder("b") / "root.img") == 2 << 20);
    CHECK(refusal([&] {
              volumes->update(ref("b"), {.config = api::StringMap{{"size", "1MiB"}}}, "");
          }) == "Block volumes cannot be shrunk: Cannot be shrunk");
    CHECK(volumes->get(ref("b")).config.at("size") == "2MiB");
}

TEST_CASE_FIXTURE(Fixture, "what an interrupted creation left is removed, what is complete stays") {
    make("v");
    db::IntentLog intents{*local};
    intents.begin("custom-volume-create", "default", "v", R"({"pool":"p"})");
    intents.begin("custom-volume-create", "default", "half", R"({"pool":"p"})");
    global.write([](db::Transaction& tx) {
        db::StorageVolumeRepository{}.insert(
            tx, {.pool = "p", .project = "default", .name = "half", .kind = db::VolumeKind::Custom});
    });
    fs::create_directories(temp.path() / "storage-pools/p/custom-snapshots/default_half/s1");
    restart();
    CHECK(rows() == 1);
    CHECK(volumes->get(ref("v")).name == "v");
    CHECK_FALSE(fs::exists(temp.path() / "storage-pools/p/custom-snapshots/default_half/s1"));
    CHECK(intents.pending("custom-volume-create").empty());
}

TEST_CASE_FIXTURE(Fixture, "an interrupted deletion goes on at the next start") {
    make("v");
    snapshot("v", "s1");
    db::IntentLog{*local}.begin("custom-volume-delete", "default", "v", R"({"pool":"p"})");
    restart();
    CHECK(rows() == 0);
    CHECK_FALSE(fs::exists(folder("v")));
}

TEST_CASE_FIXTURE(Fixture, "the row says where an interrupted renaming ends") {
    make("v");
    fs::rename(folder("v"), folder("w"));
    db::IntentLog{*local}.begin("custom-volume-rename", "default", "v", R"({"pool":"p","to":"w"})");
    restart();
    CHECK(fs::exists(folder("v")));
    CHECK_FALSE(fs::exists(folder("w")));
}

TEST_CASE_FIXTURE(Fixture, "volumes from outside are complete with their snapshots, or not there") {
    const storage::NewVolume volume{.pool = "p", .project = "default", .name = "v", .config = {{"user.a", "b"}}};
    const auto stage = [](const std::string& broken) {
        return [broken](storage::StorageDriver& driver, const std::vector<storage::VolumeId>& as) {
            std::vector<storage::Staged> staged;
            for (const auto& one : as) {
                if (one.snapshot == broken) {
                    for (const auto& done : staged)
                        driver.discard(done);
                    throw Error{ErrorCode::InvalidArgument, "bad archive"};
                }
                staged.push_back(driver.stage(one));
                driver.open_staged(staged.back()).write("file", "content of " + one.snapshot);
            }
            return staged;
        };
    };
    for (const auto* broken : {"s2", ""}) {
        CHECK(refusal([&] {
                  volumes->create_staged(volume, {{.name = "s1"}, {.name = "s2"}}, stage(broken));
              }) == "bad archive");
        CHECK(rows() == 0);
        CHECK_FALSE(fs::exists(folder("v")));
    }
    CHECK(refusal([&] { volumes->create_staged(volume, {{.name = "../s"}}, stage("-")); }) != "");
    volumes->create_staged(volume, {{.name = "s1"}, {.name = "s2"}}, stage("-"));
    CHECK(volumes->open("p", "default", "v").dir.read("file") == "content of ");
    CHECK(volumes->open("p", "default", "v", "s1").dir.read("file") == "content of s1");
    CHECK(volumes->open("p", "default", "v", "s2").dir.read("file") == "content of s2");
    CHECK(refusal([&] { volumes->create_staged(volume, {}, stage("-")); }) == "Volume by that name already exists");
}

TEST_CASE_FIXTURE(Fixture, "what is kept of a volume elsewhere hears where it goes") {
    std::vector<std::string> told;
    volumes->set_follower([&](const auto& from, const auto& to) { told.push_back(from + " > " + to); });
    make("v");
    volumes->move({.pool = "p", .name = "v"}, {.name = "w"});
    volumes->remove({.pool = "p", .name = "w"});
    CHECK(told == std::vector<std::string>{"p/default_v > p/default_w", "p/default_w > "});
}
