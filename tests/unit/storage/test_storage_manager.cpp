// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <doctest/doctest.h>

#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "db/intents.hpp"
#include "db/storage_volume_repository.hpp"
#include "event/event_hub.hpp"
#include "storage/storage_driver.hpp"
#include "storage/storage_manager.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

class QuietContext : public OperationContext {
public:
    std::stop_token stop_token() const override { return {}; }
    void update_metadata(const nlohmann::json&) override {}
    void set_progress(const std::string&, const std::string&) override {}
    void refuse_cancel_from_here() override {}
    void throw_if_cancelled() const override {}
};

const std::string kImage(64, 'f');

struct Fixture {
    test::TempDir temp;
    Dir state = Dir::open(temp.path().string());
    std::atomic<int> warnings{0};
    Logger log{[this](const LogRecord& record) { warnings += record.level == LogLevel::Warning ? 1 : 0; }};
    std::unique_ptr<db::Database> local = test::memory_local();
    test::FailingDatabase global{test::memory_global()};
    std::unique_ptr<EventService> events = make_event_service();
    std::unique_ptr<storage::StorageManager> manager;
    QuietContext op;

    Fixture() { restart(); }
    void restart() {
        manager = storage::make_storage_manager(*local, global, state, *events, log);
        manager->start();
    }
    void make_pool(api::StringMap config = {}, const std::string& name = "p") {
        api::StoragePoolsPost pool;
        pool.name = name;
        pool.driver = "dir";
        pool.config = std::move(config);
        manager->create(pool);
    }
    void make_image() {
        manager->ensure_image(
            "p", kImage,
            [](const Dir& target, OperationContext&) {
                target.write("metadata.yaml", "x");
                target.make_dir("rootfs", 0755).write("hello", "world");
            },
            op);
    }
    fs::path volumes() const { return temp / "storage-pools/p/containers"; }
};

mode_t mode_of(const fs::path& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "a pool has LXD's directories and modes") {
    make_pool();
    for (const char* open : {"containers", "containers-snapshots", "buckets"})
        CHECK(mode_of(temp / ("storage-pools/p/" + std::string{open})) == 0711);
    for (const char* closed :
         {"custom", "custom-snapshots", "images", "virtual-machines", "virtual-machines-snapshots"})
        CHECK(mode_of(temp / ("storage-pools/p/" + std::string{closed})) == 0700);
    const auto pool = manager->get("p");
    CHECK(pool.status == "Created");
    CHECK(pool.config.at("source") == (temp / "storage-pools/p").string());
}

TEST_CASE("the ETags of pools and volumes are those of LXD") {
    api::StoragePool pool;
    pool.name = "a";
    pool.driver = "dir";
    pool.config = {{"source", "/var/lib/lxd/storage-pools/a"}, {"user.x", "y"}};
    CHECK(StorageService::etag(pool) == "3e33f0a26e1fa7c85c7baaf6ef8404120691f26f40e742a36351c7f5afd0a89b");
    api::StorageVolume volume;
    volume.name = "c1";
    volume.type = "container";
    CHECK(StorageService::etag(volume) == "9ba9b7d35c48ef6ff06dc798267bd54546ab0b065a5e37ee13d30427facfbbce");
}

TEST_CASE_FIXTURE(Fixture, "bad pools are refused with LXD's texts") {
    api::StoragePoolsPost pool;
    const auto text = [&] {
        try {
            manager->create(pool);
        } catch (const Error& error) {
            return std::string{error.what()};
        }
        return std::string{"created"};
    };
    CHECK(text() == "No name provided");
    pool.name = "p";
    CHECK(text() == "No driver provided");
    pool.driver = "foo";
    CHECK(text() == "Unknown driver");
    pool.driver = "dir";
    pool.config = {{"bad", "x"}};
    CHECK(text() == "Invalid option \"bad\"");
    pool.config = {{"source", "/nowhere/at/all"}};
    CHECK(text() == "Source path '/nowhere/at/all' doesn't exist");
    test::write_file(temp.path().string() + "-full/x", "x");
    pool.config = {{"source", temp.path().string() + "-full"}};
    CHECK(text() == "Source path '" + temp.path().string() + "-full' isn't empty");
    fs::remove_all(temp.path().string() + "-full");
    pool.name = "a/b";
    CHECK(text() == "Storage pool names may not contain slashes");
    CHECK(manager->names().empty());
    CHECK(fs::is_empty(temp / "storage-pools"));
}

TEST_CASE_FIXTURE(Fixture, "an instance is cloned from an image and linked") {
    make_pool();
    make_image();
    manager->create_from_image("p", "default", "c1", kImage, op);
    CHECK(test::read_file(temp / "containers/c1/rootfs/hello") == "world");
    CHECK(mode_of(volumes() / "c1") == 0100);
    CHECK_FALSE(fs::exists(volumes() / "c1/.lxdcore-tree"));
    CHECK(manager->pool_of("default", "c1") == "p");
    CHECK_THROWS_AS(manager->create_from_image("p", "nobody", "c1", kImage, op), Error);
    CHECK_FALSE(fs::exists(volumes() / "nobody_c1"));
}

TEST_CASE_FIXTURE(Fixture, "a volume is removed again when it cannot be recorded") {
    make_pool();
    global.fail_writes = true;
    CHECK_THROWS_AS(manager->create_empty("p", "default", "c1", op), Error);
    CHECK(fs::is_empty(volumes()));
    CHECK(fs::is_empty(temp / "containers"));
}

TEST_CASE_FIXTURE(Fixture, "a pool in use stays") {
    make_pool();
    manager->create_empty("p", "default", "c1", op);
    CHECK(manager->get("p").used_by == std::vector<std::string>{"/1.0/instances/c1"});
    CHECK_THROWS_WITH(manager->remove("p"), "The storage pool is currently in use");
    manager->delete_instance("default", "c1");
    manager->remove("p");
    CHECK(fs::is_empty(temp / "storage-pools"));
}

TEST_CASE_FIXTURE(Fixture, "deleting twice and creating after a half-made volume both succeed") {
    make_pool();
    manager->delete_instance("default", "c1");
    manager->create_empty("p", "default", "c1", op);
    fs::remove_all(volumes() / "c1");
    manager->create_empty("p", "default", "c1", op);
    CHECK(fs::exists(temp / "containers/c1/rootfs"));
    manager->delete_instance("default", "c1");
    manager->delete_instance("default", "c1");
    CHECK_FALSE(fs::exists(volumes() / "c1"));
    CHECK_FALSE(fs::is_symlink(temp / "containers/c1"));
    CHECK(manager->volumes("p", "default", "").empty());
    // Its content goes in the background, without a restart.
    for (int i = 0; i < 2000 && !fs::is_empty(volumes()); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    CHECK(fs::is_empty(volumes()));
}

TEST_CASE_FIXTURE(Fixture, "what was set aside goes with its pool, and nobody is warned") {
    make_pool();
    make_pool({}, "q");
    for (const char* pool : {"p", "q"}) { // emptied in this order
        manager->create_empty(pool, "default", pool, op);
        manager->delete_instance("default", pool);
    }
    manager->remove("p");
    const auto last = temp / "storage-pools/q/containers";
    for (int i = 0; i < 2000 && !fs::is_empty(last); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    CHECK(fs::is_empty(last));
    CHECK(warnings == 0);
}

TEST_CASE_FIXTURE(Fixture, "what was staged when the process died is swept at the next start") {
    make_pool();
    fs::create_directories(volumes() / ".new-123/rootfs");
    fs::create_directories(volumes() / ".old-456/rootfs");
    fs::create_directories(temp / "storage-pools/p/images/.new-789/rootfs");
    global.write([&](db::Transaction& tx) {
        db::StorageVolumeRepository{}.insert(tx, {.pool = "p", .project = "default", .name = "c1"});
    });
    restart();
    CHECK(fs::is_empty(volumes()));
    CHECK(fs::is_empty(temp / "storage-pools/p/images"));
    CHECK(manager->volumes("p", "default", "").empty());
}

TEST_CASE_FIXTURE(Fixture, "a rename that was interrupted ends where its row says") {
    make_pool();
    manager->create_empty("p", "default", "c1", op);
    SUBCASE("before the row changed") {
        db::IntentLog{*local}.begin("volume-rename", "default", "c1", R"({"to":"c2"})");
        fs::rename(volumes() / "c1", volumes() / "c2");
        restart();
        CHECK(fs::exists(temp / "containers/c1/rootfs"));
        CHECK_FALSE(fs::exists(volumes() / "c2"));
    }
    SUBCASE("after the row changed") {
        manager->rename_instance("default", "c1", "c2");
        fs::rename(temp / "containers/c2", temp / "containers/c1");
        db::IntentLog{*local}.begin("volume-rename", "default", "c1", R"({"to":"c2"})");
        restart();
        CHECK(fs::exists(temp / "containers/c2/rootfs"));
        CHECK_FALSE(fs::exists(fs::symlink_status(temp / "containers/c1")));
    }
    CHECK(db::IntentLog{*local}.pending("volume-rename").empty());
}

TEST_CASE_FIXTURE(Fixture, "an image tree whose content may be lost is made again") {
    make_pool();
    make_image();
    const auto tree = temp / ("storage-pools/p/images/" + kImage);
    test::write_file(tree / ".lxdcore-tree", "another boot");
    manager.reset();
    test::write_file(tree / ".lxdcore-tree", "another boot");
    restart();
    CHECK_FALSE(fs::exists(tree));
}

TEST_CASE_FIXTURE(Fixture, "an image tree is marked in place, as it may be copied meanwhile") {
    make_pool();
    make_image();
    const auto mark = temp / ("storage-pools/p/images/" + kImage + "/.lxdcore-tree");
    struct stat before {
    }, after{};
    REQUIRE(::stat(mark.c_str(), &before) == 0);
    std::string content;
    for (int i = 0; i < 500 && content != "synced"; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        content = Dir::open(mark.parent_path()).read(".lxdcore-tree");
    }
    CHECK(content == "synced");
    REQUIRE(::stat(mark.c_str(), &after) == 0);
    CHECK(after.st_ino == before.st_ino);
}

TEST_CASE_FIXTURE(Fixture, "a tree with links in place of its parts is refused") {
    make_pool();
    for (const char* part : {"rootfs", "templates", "metadata.yaml"}) {
        CAPTURE(part);
        const auto fill = [&](const Dir& target, OperationContext&) {
            target.write("metadata.yaml", "x");
            target.make_dir("rootfs");
            target.remove(part);
            target.symlink("/etc", part);
        };
        CHECK_THROWS_AS(manager->ensure_image("p", kImage, fill, op), Error);
        CHECK(fs::is_empty(temp / "storage-pools/p/images"));
    }
}

TEST_CASE_FIXTURE(Fixture, "snapshots of an instance are made, renamed, deleted and go with it") {
    make_pool();
    make_image();
    manager->create_from_image("p", "default", "c1", kImage, op);
    const auto snapshots = temp / "storage-pools/p/containers-snapshots/c1";
    manager->create_instance_snapshot("default", "c1", "s0", op);
    manager->create_instance_snapshot("default", "c1", "s1", op);
    CHECK(manager->instance_snapshots("default", "c1") == std::vector<std::string>{"s0", "s1"});
    CHECK(test::read_file(snapshots / "s0/rootfs/hello") == "world");
    CHECK_THROWS_WITH(manager->create_instance_snapshot("default", "c1", "s0", op), "Snapshot \"s0\" already in use");

    manager->rename_instance_snapshot("default", "c1", "s1", "s2");
    manager->rename_instance_snapshot("default", "c1", "s1", "s2"); // as after an interruption
    CHECK(manager->instance_snapshots("default", "c1") == std::vector<std::string>{"s0", "s2"});
    manager->delete_instance_snapshot("default", "c1", "s2");
    manager->delete_instance_snapshot("default", "c1", "s2");
    CHECK(manager->instance_snapshots("default", "c1") == std::vector<std::string>{"s0"});

    manager->rename_instance("default", "c1", "c2");
    CHECK(test::read_file(temp / "storage-pools/p/containers-snapshots/c2/s0/rootfs/hello") == "world");
    manager->delete_instance("default", "c2");
    restart();
    CHECK(fs::is_empty(temp / "storage-pools/p/containers-snapshots"));
}

TEST_CASE_FIXTURE(Fixture, "an instance gets back the content of a snapshot, and a copy starts from one") {
    make_pool();
    make_image();
    manager->create_from_image("p", "default", "c1", kImage, op);
    manager->create_instance_snapshot("default", "c1", "s0", op);
    test::write_file(temp / "containers/c1/rootfs/hello", "changed");
    manager->create_copy("p", "default", "c2", {.source = {"default", "c1", "s0"}}, op);
    manager->copy_instance_snapshot("default", "c2", "kept", {"default", "c1", "s0"}, op);
    manager->replace_instance("default", "c1", {"default", "c1", "s0"}, op);
    CHECK(test::read_file(temp / "containers/c1/rootfs/hello") == "world");
    CHECK(test::read_file(temp / "containers/c2/rootfs/hello") == "world");
    CHECK(test::read_file(temp / "storage-pools/p/containers-snapshots/c2/kept/rootfs/hello") == "world");
    CHECK(mode_of(volumes() / "c1") == 0100);
}

TEST_CASE_FIXTURE(Fixture, "a copy that cannot take its place leaves nothing") {
    /// Something is in the way once the content is being copied.
    class Obstacle final : public QuietContext {
    public:
        explicit Obstacle(fs::path place) : place_{std::move(place)} {}
        std::stop_token stop_token() const override {
            fs::create_directories(place_ / "in the way");
            return {};
        }

    private:
        fs::path place_;
    };
    make_pool();
    make_pool({}, "q");
    make_image();
    manager->create_from_image("p", "default", "c1", kImage, op);
    const auto there = temp / "storage-pools/q/containers";
    Obstacle obstacle{there / "c1"};
    CHECK_THROWS(manager->move_instance("default", "c1", "q", obstacle));
    CHECK(manager->pool_of("default", "c1") == "p");
    CHECK(test::read_file(temp / "containers/c1/rootfs/hello") == "world");
    for (const auto& left : fs::directory_iterator{there}) // what is set aside goes by and by
        CHECK_MESSAGE(!left.path().filename().string().starts_with(".new"), left.path().string());
}

TEST_CASE_FIXTURE(Fixture, "a snapshot that was interrupted leaves neither row nor directory") {
    make_pool();
    manager->create_empty("p", "default", "c1", op);
    SUBCASE("by a failure") {
        const auto fail = [](storage::StorageDriver&,
                             const std::vector<storage::VolumeId>&) -> std::vector<storage::Staged> {
            throw Error{ErrorCode::NoSpace, "full"};
        };
        CHECK_THROWS_WITH(manager->create_staged("p", "default", "c2", {"s0", "s1"}, fail), "full");
        CHECK_THROWS(manager->pool_of("default", "c2"));
    }
    SUBCASE("by the death of the process while it was made from outside") {
        const auto stage = [](storage::StorageDriver& driver, const std::vector<storage::VolumeId>& as) {
            std::vector<storage::Staged> staged;
            for (const auto& one : as)
                staged.push_back(driver.stage(one));
            return staged;
        };
        manager->create_staged("p", "default", "c2", {"s0", "s1"}, stage);
        fs::remove_all(temp / "storage-pools/p/containers/c2");
        restart();
        CHECK_THROWS(manager->pool_of("default", "c2"));
    }
    SUBCASE("by the death of the process") {
        manager->create_instance_snapshot("default", "c1", "s0", op);
        fs::rename(temp / "storage-pools/p/containers-snapshots/c1/s0",
                   temp / "storage-pools/p/containers-snapshots/c1/.new-1");
        restart();
    }
    CHECK(manager->instance_snapshots("default", "c1").empty());
    restart();
    CHECK(fs::is_empty(temp / "storage-pools/p/containers-snapshots"));
}
