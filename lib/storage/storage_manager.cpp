// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <exception>
#include <utility>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/manager_impl.hpp"

namespace lxdcore::storage {

namespace {
constexpr std::chrono::seconds kQuiet{1};  ///< before volumes that were set aside are emptied: others may follow
constexpr std::chrono::seconds kRetry{30}; ///< between attempts to mount a pool that was away
} // namespace

std::unique_ptr<StorageManager> make_storage_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, const Logger& log) {
    return std::make_unique<StorageManagerImpl>(local, global, state_dir, events, log);
}

StorageManagerImpl::StorageManagerImpl(db::Database& local, db::Database& global, const Dir& state_dir,
                                       EventService& events, const Logger& log)
    : global_{global}, state_dir_{state_dir}, events_{events}, log_{log}, intents_{local} {}

StorageManagerImpl::~StorageManagerImpl() = default;

void StorageManagerImpl::start() {
    state_dir_.make_dir("storage-pools", 0711);
    state_dir_.make_dir("containers", 0711);
    repair_pools();
    const auto rows = global_.read_value([&](db::Transaction& tx) { return pools_repository_.list(tx); });
    for (const auto& row : rows) {
        const auto pool = load(row);
        if (!try_mount(row.name, *pool)) continue;
        pool->driver->sweep();
        check_trees(row.name, *pool->driver);
    }
    repair_renames();
    repair_volumes();
    maintenance_ = std::jthread{[this](std::stop_token stop) { maintain(std::move(stop)); }};
}

StorageManagerImpl::PoolPtr StorageManagerImpl::load(const db::StoragePoolRow& row) {
    auto pool = std::make_shared<Pool>();
    pool->driver = registry_.make(row.driver, {row.name, row.config, state_dir_, log_});
    pools_.lock()->insert_or_assign(row.name, pool);
    return pool;
}

bool StorageManagerImpl::try_mount(const std::string& name, Pool& pool) const noexcept {
    try {
        const std::lock_guard lock{pool.mutex};
        pool.driver->mount_pool();
        pool.available = true;
    } catch (const std::exception& error) { // the pool is Unavailable until a later attempt succeeds (R48)
        pool.available = false;
        log_.warning("Storage pool is unavailable", {{"pool", name}, {"err", error.what()}});
    }
    return pool.available;
}

/// A pool that was never finished was empty: it goes.
void StorageManagerImpl::repair_pools() {
    for (const auto& intent : intents_.pending("storage-pool-create")) {
        const auto row =
            global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, intent.entity); });
        if (row && row->state == db::StoragePoolRow::Pending) {
            registry_.make(row->driver, {row->name, row->config, state_dir_, log_})->delete_pool();
            global_.write([&](db::Transaction& tx) { pools_repository_.remove(tx, row->id); });
        }
        intents_.end(intent.id);
    }
}

/// The row says where a rename was going to end.
void StorageManagerImpl::repair_renames() {
    for (const auto& intent : intents_.pending("volume-rename")) {
        const auto data = nlohmann::json::parse(intent.data);
        const auto& to = data.at("to").get_ref<const std::string&>();
        const auto done = find_volume(intent.project, to);
        const auto row = done ? done : find_volume(intent.project, intent.entity);
        if (row) {
            const auto pool = need_pool(row->pool);
            const auto right = volume_name(intent.project, row->name);
            const auto wrong = volume_name(intent.project, done ? intent.entity : to);
            const VolumeId volume{VolumePlace::Instance, wrong};
            const bool moved = pool->driver->exists({VolumePlace::Instance, right});
            if (moved || pool->driver->exists(volume)) pool->driver->rename(volume, right);
            state_dir_.dir("containers").remove(wrong);
        }
        intents_.end(intent.id);
    }
}

/// A row is written before its volume: one without a directory and without an instance was interrupted.
void StorageManagerImpl::repair_volumes() {
    const auto rows = global_.read_value(
        [&](db::Transaction& tx) { return volumes_repository_.list(tx, {.kind = db::VolumeKind::Container}); });
    for (const auto& row : rows) {
        const auto pool = find_pool(row.pool);
        if (!pool->available) continue;
        const auto name = volume_name(row.project, row.name);
        if (pool->driver->exists({VolumePlace::Instance, name})) {
            link(name, row.pool);
            repair_snapshots(row, *pool->driver);
            continue;
        }
        state_dir_.dir("containers").remove(name);
        global_.write([&](db::Transaction& tx) {
            if (!volumes_repository_.has_instance(tx, row.project, row.name)) volumes_repository_.remove(tx, row.id);
        });
        log_.warning("Storage volume has no directory", {{"pool", row.pool}, {"volume", name}});
    }
}

void StorageManagerImpl::maintain(std::stop_token stop) {
    while (!stop.stop_requested()) {
        Chores chores;
        {
            auto waiting = chores_.lock();
            wake_.wait_for(waiting.lock(), stop, kRetry, [&] { return !waiting->empty(); });
            if (!waiting->set_aside.empty()) wake_.wait_for(waiting.lock(), stop, kQuiet, [] { return false; });
            std::swap(chores, *waiting);
        }
        for (const auto& [pool, staged] : chores.set_aside) {
            if (stop.stop_requested()) return; // the next start sweeps
            pool->driver->discard(staged);
        }
        sync_trees(chores.unsynced);
        const auto pools = *pools_.lock();
        for (const auto& [name, pool] : pools)
            if (!pool->available && !stop.stop_requested()) try_mount(name, *pool);
    }
}

} // namespace lxdcore::storage
