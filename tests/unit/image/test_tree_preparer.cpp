// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "event/event_hub.hpp"
#include "image/tree_preparer.hpp"
#include "storage/storage_manager.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

const std::string kImage(64, 'f');

struct Fixture {
    test::TempDir temp;
    Dir state = Dir::open(temp.path().string());
    Logger log;
    std::unique_ptr<db::Database> local = test::memory_local();
    std::unique_ptr<db::Database> global = test::memory_global();
    std::unique_ptr<EventService> events = make_event_service();
    std::unique_ptr<storage::StorageManager> storage =
        storage::make_storage_manager(*local, *global, state, *events, log);
    std::atomic<int> begun{0}, stopped{0};
    std::atomic<bool> release{false};

    Fixture() {
        storage->start();
        api::StoragePoolsPost pool;
        pool.name = "p";
        pool.driver = "dir";
        storage->create(pool);
    }
    /// Unpacks until it may end, or is stopped.
    storage::VolumeFiller slow() {
        return [this](const Dir& target, OperationContext& op) {
            ++begun;
            while (!release) {
                if (op.stop_token().stop_requested()) {
                    ++stopped;
                    throw Error{ErrorCode::Cancelled, "Operation cancelled"};
                }
                std::this_thread::sleep_for(std::chrono::milliseconds{1});
            }
            target.write("metadata.yaml", "x");
            target.make_dir("rootfs", 0755);
        };
    }
    static void wait(const std::atomic<int>& count, int wanted) {
        while (count < wanted)
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    fs::path tree() const { return temp / ("storage-pools/p/images/" + kImage); }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "what is only expected to be needed gives way to what somebody waits for") {
    image::TreePreparer preparer{*storage, log};
    preparer.add("p", kImage, slow());
    wait(begun, 1);
    {
        const image::TreePreparer::Precedence first{preparer};
        wait(stopped, 1);
        const image::TreePreparer::Precedence second{preparer};
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        CHECK(begun == 1);
    }
    wait(begun, 2);
    release = true;
    while (!fs::exists(tree()))
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    preparer.cancel(kImage); // of what is done already
    CHECK(stopped == 1);
}

TEST_CASE_FIXTURE(Fixture, "what has given way can be cancelled, and ends with its owner") {
    std::optional<image::TreePreparer> preparer;
    preparer.emplace(*storage, log);
    preparer->add("p", kImage, slow());
    wait(begun, 1);
    {
        const image::TreePreparer::Precedence precedence{*preparer};
        wait(stopped, 1);
        preparer->cancel(kImage);
    }
    preparer->add("p", kImage, slow());
    wait(begun, 2);
    preparer.reset();
    CHECK(begun == 2);
    CHECK(stopped == 2);
    CHECK_FALSE(fs::exists(tree()));
}
