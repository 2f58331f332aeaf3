// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "db/intents.hpp"
#include "db/storage_pool_repository.hpp"
#include "event/event_hub.hpp"
#include "storage/manager_impl.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"

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
    std::unique_ptr<db::Database> global = test::memory_global();
    std::unique_ptr<EventService> events = make_event_service();
    std::unique_ptr<storage::StorageManager> manager;
    QuietContext op;

    Fixture() { restart(); }
    void restart() {
        manager = storage::make_storage_manager(*local, *global, state, *events, log);
        manager->start();
    }
    void make(const std::string& name, api::StringMap config = {}) {
        api::StoragePoolsPost pool;
        pool.name = name;
        pool.driver = "dir";
        pool.config = std::move(config);
        manager->create(pool);
    }
    std::vector<std::string> query(const std::string& sql) {
        return global->read_value([&](db::Transaction& tx) {
            std::vector<std::string> found;
            auto rows = tx.query(sql, {});
            while (rows.next())
                found.push_back(rows.text(0));
            return found;
        });
    }
    /// A pool of a driver that is not built in, as a database of LXD may have it.
    void add_row(const std::string& name, const std::string& driver, api::StringMap config = {}) {
        global->write([&](db::Transaction& tx) {
            const db::StoragePoolRepository pools;
            const auto id = pools.insert(tx, {.name = name, .driver = driver, .config = std::move(config)});
            pools.set_state(tx, id, db::StoragePoolRow::Created);
        });
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a pool of a driver that is not here leaves everything else working") {
    make("p");
    add_row("other", "nosuch");
    restart();
    CHECK(manager->names() == std::vector<std::string>{"other", "p"});
    CHECK(manager->get("other").status == "Unavailable");
    CHECK(manager->get("p").status == "Created");
    manager->create_empty("p", "default", "c1", op);
    CHECK_THROWS_AS(manager->create_empty("other", "default", "c2", op), Error);
}

TEST_CASE_FIXTURE(Fixture, "a pool whose source is away is a warning until it is back") {
    add_row("away", "dir", {{"source", (temp / "elsewhere").string()}});
    make("p");
    restart();
    CHECK(manager->get("away").status == "Unavailable");
    CHECK(query("SELECT type_code || ' ' || status || ' ' || count FROM warnings") ==
          std::vector<std::string>{"24 1 1"});
    try {
        manager->require_pool("away");
        FAIL("it is available");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::Unavailable);
        CHECK(std::string{error.what()} == "Storage pool \"away\" unavailable on this server");
    }
    CHECK(query("SELECT count FROM warnings") == std::vector<std::string>{"1"}); // one for each start
    // The pool's own directory needs no mount, and so no root.
    global->write([&](db::Transaction& tx) {
        tx.exec("UPDATE storage_pools_config SET value = :path WHERE key = 'source' AND value LIKE '%elsewhere'",
                {{":path", (temp / "storage-pools/away").string()}});
    });
    restart();
    CHECK(manager->get("away").status == "Created");
    CHECK(query("SELECT status FROM warnings") == std::vector<std::string>{"3"});
}

TEST_CASE_FIXTURE(Fixture, "a rename in a pool that is away waits and does not stop the start") {
    add_row("away", "dir", {{"source", (temp / "elsewhere").string()}});
    global->write([&](db::Transaction& tx) {
        db::StorageVolumeRepository{}.insert(tx, {.pool = "away", .project = "default", .name = "c1"});
    });
    db::IntentLog{*local}.begin("volume-rename", "default", "c1", R"({"to": "c2"})");
    restart();
    CHECK(db::IntentLog{*local}.pending("volume-rename").size() == 1);
    make("p");
    manager->create_empty("p", "default", "c9", op);
}

TEST_CASE_FIXTURE(Fixture, "a change of a pool that was interrupted is finished at the next start") {
    make("p");
    auto config = manager->get("p").config;
    config["user.x"] = "y";
    db::IntentLog{*local}.begin("storage-pool-update", "", "p", nlohmann::json(config).dump());
    db::IntentLog{*local}.begin("storage-pool-update", "", "gone", "{}");
    restart();
    CHECK(manager->get("p").config == config);
    CHECK(db::IntentLog{*local}.pending("storage-pool-update").empty());
}

TEST_CASE_FIXTURE(Fixture, "a new volume takes over the defaults of its pool that are for its kind") {
    make("p", {{"volume.size", "1GiB"}, {"volume.snapshots.expiry", "1w"}, {"volume.security.shifted", "true"}});
    manager->create_empty("p", "default", "c1", op);
    CHECK(manager->volume("p", "default", "container", "c1").config == api::StringMap{{"snapshots.expiry", "1w"}});
    const auto pool = manager->get("p").config;
    CHECK(storage::volume_defaults(pool, db::VolumeKind::Custom, false).size() == 3);
    CHECK(storage::volume_defaults(pool, db::VolumeKind::Custom, true).count("security.shifted") == 0);
}

TEST_CASE_FIXTURE(Fixture, "each driver has keys of its own") {
    CHECK_THROWS_WITH(make("p", {{"size", "1GiB"}}), "Invalid option \"size\"");
    CHECK_THROWS_WITH(make("p", {{"btrfs.mount_options", "noatime"}}), "Invalid option \"btrfs.mount_options\"");
    CHECK(manager->names().empty());
    CHECK(storage::supported_drivers().front().at("Name") == "dir");
}
