// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sys/mount.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "event/event_hub.hpp"
#include "storage/added_drivers.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;

namespace {

/// What the backend of the pool was asked, in order.
using Asked = std::shared_ptr<std::vector<std::string>>;

class Backend final : public StorageBackend {
public:
    Backend(Asked asked, bool mounts) : asked_{std::move(asked)}, mounts_{mounts} {}
    void prepare(api::StringMap& config) const override {
        for (const auto& [key, value] : config)
            if (key != "size") throw Error{ErrorCode::InvalidArgument, "no option " + key};
        config.emplace("size", "1m");
    }
    void create() override { asked_->push_back("create"); }
    void mount(const std::filesystem::path& place) override {
        asked_->push_back("mount");
        if (mounts_ && ::mount("test", place.c_str(), "tmpfs", 0, "size=4m") != 0) throw_errno("mount");
    }
    void update(const api::StringMap& config) override { asked_->push_back("update " + config.at("size")); }
    void unmount(const std::filesystem::path& place) override {
        asked_->push_back("unmount");
        if (mounts_) ::umount2(place.c_str(), MNT_DETACH);
    }
    void destroy() override { asked_->push_back("destroy"); }

private:
    const Asked asked_;
    const bool mounts_;
};

struct Fixture {
    test::TempDir temp;
    Dir state = Dir::open(temp.path().string());
    Logger log;
    std::unique_ptr<db::Database> local = test::memory_local();
    std::unique_ptr<db::Database> global = test::memory_global();
    std::unique_ptr<EventService> events = make_event_service();
    Asked asked = std::make_shared<std::vector<std::string>>();
    std::unique_ptr<storage::StorageManager> manager;

    void start(bool mounts) {
        manager = storage::make_storage_manager(*local, *global, state, *events, log,
                                                {{"mine", [=, this](const std::string&, const api::StringMap&) {
                                                      return std::make_unique<Backend>(asked, mounts);
                                                  }}});
        manager->start();
    }
    void make(api::StringMap config = {}) {
        api::StoragePoolsPost pool;
        pool.name = "p";
        pool.driver = "mine";
        pool.config = std::move(config);
        manager->create(pool);
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a backend that mounts nothing makes no pool, and is cleaned up") {
    start(false);
    CHECK_THROWS_WITH_AS(make(), "The program's driver has mounted nothing", Error);
    CHECK(manager->names().empty());
    CHECK(*asked == std::vector<std::string>{"create", "mount", "unmount", "destroy"});
}

TEST_CASE_FIXTURE(Fixture, "the backend checks the options of a pool, but not those of users") {
    start(false);
    CHECK_THROWS_WITH_AS(make({{"strange", "1"}}), "no option strange", Error);
    CHECK(asked->empty());
    CHECK_THROWS_WITH_AS(make({{"user.a", "1"}}), "The program's driver has mounted nothing", Error);
}

TEST_CASE_FIXTURE(Fixture, "a pool of a program's driver is made, changed, found again and removed") {
    if (::geteuid() != 0) return;
    start(true);
    make({{"user.a", "1"}});
    CHECK(manager->get("p").config == api::StringMap{{"size", "1m"}, {"user.a", "1"}});
    CHECK(manager->resources("p").space.total == 4U << 20);
    asked->clear();
    manager->update("p", {.config = {{"size", "2m"}}}, "");
    CHECK(*asked == std::vector<std::string>{"update 2m"});
    CHECK_THROWS_AS(manager->update("p", {.config = {{"strange", "2m"}}}, ""), Error);
    asked->clear();
    start(true); // it is mounted already
    CHECK(manager->get("p").status == "Created");
    CHECK(asked->empty());
    manager->remove("p");
    CHECK(*asked == std::vector<std::string>{"unmount", "destroy"});
    CHECK_FALSE(std::filesystem::exists(temp / "storage-pools/p"));
}
