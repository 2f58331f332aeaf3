// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <exception>
#include <utility>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/drivers/extension/extension_driver.hpp"
#include "storage/manager_impl.hpp"

namespace lxdcore::storage {

namespace {
constexpr std::chrono::seconds kQuiet{1};  ///< before volumes that were set aside are emptied: others may follow
constexpr std::chrono::seconds kRetry{30}; ///< between attempts to mount a pool that was away
} // namespace

std::unique_ptr<StorageManager> make_storage_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, const Logger& log) {
    return make_storage_manager(local, global, state_dir, events, log, {});
}

std::unique_ptr<StorageManager> make_storage_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, const Logger& log, AddedDrivers added) {
    return std::make_unique<StorageManagerImpl>(local, global, state_dir, events, log, std::move(added));
}

StorageManagerImpl::StorageManagerImpl(db::Database& local, db::Database& global, const Dir& state_dir,
                                       EventService& events, const Logger& log, AddedDrivers added)
    : global_{global}, state_dir_{state_dir}, events_{events}, log_{log}, intents_{local}, added_{std::move(added)},
      folders_{{local, global, state_dir, log, *this, *this}} {
    for (const auto& [name, maker] : added_)
        registry_.add(name, [maker = maker](const PoolContext& pool) {
            auto config = pool.config;
            std::erase_if(config, [](const auto& entry) { return entry.second.empty(); });
            return std::make_unique<ExtensionDriver>(pool, maker(pool.name, config));
        });
}

StorageManagerImpl::~StorageManagerImpl() = default;

void StorageManagerImpl::start() {
    state_dir_.make_dir("storage-pools", 0711);
    state_dir_.make_dir("containers", 0711);
    state_dir_.make_dir("snapshots", 0700);
    repair_adoptions();
    repair_pools();
    const auto rows = global_.read_value([&](db::Transaction& tx) { return pools_repository_.list(tx); });
    for (const auto& row : rows) {
        try {
            try_mount(row.name, *load(row));
        } catch (const Error& error) { // a driver that is not ours: everything else works
            log_.error("Storage pool cannot be used", {{"pool", row.name}, {"err", error.what()}});
        }
    }
    repair_updates();
    repair_renames();
    repair_moves();
    for (const auto& [name, pool] : *pools_.lock())
        if (pool->available) repair_volumes_of(name, *pool->driver);
    started_ = true;
    maintenance_ = std::jthread{[this](std::stop_token stop) { maintain(std::move(stop)); }};
}

StorageManagerImpl::PoolPtr StorageManagerImpl::load(const db::StoragePoolRow& row) {
    auto pool = std::make_shared<Pool>();
    pool->driver = registry_.make(row.driver, {row.name, row.config, state_dir_, log_, helper_});
    pools_.lock()->insert_or_assign(row.name, pool);
    return pool;
}

bool StorageManagerImpl::try_mount(const std::string& name, Pool& pool) const noexcept {
    try {
        const std::lock_guard lock{pool.mutex};
        if (pool.available) return true;
        try {
            pool.driver->mount_pool();
            // Before anybody is let in: nothing but leftovers has a staging name.
            if (!pool.prepared) prepare(name, *pool.driver);
            pool.prepared = true;
            pool.available = true;
            global_.write([&](db::Transaction& tx) {
                warnings_.resolve_pool(tx, db::WarningType::StoragePoolUnavailable, name);
            });
        } catch (const std::exception& error) { // the pool is Unavailable until a later attempt succeeds (R48)
            log_.warning("Storage pool is unavailable", {{"pool", name}, {"err", error.what()}});
            if (pool.available || std::exchange(pool.warned, true)) return pool.available;
            const std::string problem = error.what();
            global_.write([&](db::Transaction& tx) {
                warnings_.raise_pool(tx, db::WarningType::StoragePoolUnavailable, name, problem);
            });
        }
    } catch (const std::exception& error) { // not even that can be recorded
        log_.warning("Failed to record a warning", {{"pool", name}, {"err", error.what()}});
    }
    return pool.available;
}

void StorageManagerImpl::prepare(const std::string& name, StorageDriver& driver) const {
    driver.sweep();
    check_trees(name, driver);
    if (!started_) return; // renames first, of all pools
    const auto left = left_renames_.lock();
    std::erase_if(*left, [&](const db::Intent& intent) { return repair_rename(intent, name); });
    repair_volumes_of(name, driver);
}

bool StorageManagerImpl::is_available(const std::string& name) const {
    const auto pools = pools_.lock();
    const auto it = pools->find(name);
    return it != pools->end() && it->second->available;
}

/// A pool that was never finished was empty: it goes, as one that was being deleted.
void StorageManagerImpl::repair_pools() {
    for (const bool deleting : {false, true}) {
        for (const auto& intent : intents_.pending(deleting ? "storage-pool-delete" : "storage-pool-create")) {
            try {
                const auto row =
                    global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, intent.entity); });
                if (row && (deleting || row->state == db::StoragePoolRow::Pending)) {
                    registry_.make(row->driver, {row->name, row->config, state_dir_, log_, helper_})->delete_pool();
                    global_.write([&](db::Transaction& tx) { pools_repository_.remove(tx, row->id); });
                }
                intents_.end(intent.id);
            } catch (const Error& error) { // the next start tries again, and so can the administrator
                log_.warning("Failed to remove a storage pool", {{"pool", intent.entity}, {"err", error.what()}});
            }
        }
    }
}

/// Takes what was asked into use, as if the request had just come; what cannot be is as it was before.
void StorageManagerImpl::repair_updates() {
    for (const auto& intent : intents_.pending("storage-pool-update")) {
        auto row = global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, intent.entity); });
        try {
            if (row && is_available(row->name)) {
                row->config = nlohmann::json::parse(intent.data).get<api::StringMap>();
                find_pool(row->name)->driver->update_pool(row->config);
                global_.write([&](db::Transaction& tx) { pools_repository_.update(tx, *row); });
            }
        } catch (const Error& error) {
            log_.warning("Failed to finish a change of a storage pool", {{"pool", row->name}, {"err", error.what()}});
        }
        intents_.end(intent.id);
    }
}

void StorageManagerImpl::repair_renames() const {
    for (const auto& intent : intents_.pending("volume-rename"))
        if (!repair_rename(intent, {})) left_renames_.lock()->push_back(intent);
}

/// The row says where a rename was going to end. False while its pool is away; @p within is not.
bool StorageManagerImpl::repair_rename(const db::Intent& intent, const std::string& within) const {
    const auto data = nlohmann::json::parse(intent.data);
    const auto& to = data.at("to").get_ref<const std::string&>();
    const auto done = find_volume(intent.project, to);
    const auto row = done ? done : find_volume(intent.project, intent.entity);
    if (row) {
        if (row->pool != within && !is_available(row->pool)) return false;
        const auto pool = find_pool(row->pool);
        const auto right = volume_name(intent.project, row->name);
        const auto wrong = volume_name(intent.project, done ? intent.entity : to);
        const VolumeId volume{VolumePlace::Instance, wrong};
        const bool moved = pool->driver->exists({VolumePlace::Instance, right});
        if (moved || pool->driver->exists(volume)) pool->driver->rename(volume, right);
        state_dir_.dir("containers").remove(wrong);
        state_dir_.dir("snapshots").remove(wrong);
    }
    intents_.end(intent.id);
    return true;
}

/// A row is written before its volume: one without a directory and without an instance was interrupted.
void StorageManagerImpl::repair_volumes_of(const std::string& pool, StorageDriver& driver) const {
    const auto rows = global_.read_value([&](db::Transaction& tx) {
        return volumes_repository_.list(tx, {.pool = pool, .kind = db::VolumeKind::Container});
    });
    for (const auto& row : rows) {
        const auto name = volume_name(row.project, row.name);
        if (driver.exists({VolumePlace::Instance, name})) {
            link(name, row.pool);
            repair_snapshots(row, driver);
            link_snapshots(row.project, row.name, row.pool);
            continue;
        }
        state_dir_.dir("containers").remove(name);
        state_dir_.dir("snapshots").remove(name);
        const bool kept = global_.write_value([&](db::Transaction& tx) {
            const bool used = volumes_repository_.has_instance(tx, row.project, row.name);
            if (!used) volumes_repository_.remove(tx, row.id);
            return used;
        });
        for (const auto& snapshot : driver.list_snapshots({VolumePlace::Instance, name}))
            if (!kept) driver.remove({VolumePlace::Instance, name, snapshot});
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
            const std::lock_guard lock{pool->discarding};
            if (!pool->going) pool->driver->discard(staged);
        }
        sync_trees(chores.unsynced);
        const auto pools = *pools_.lock();
        for (const auto& [name, pool] : pools)
            if (!pool->available && !stop.stop_requested()) try_mount(name, *pool);
    }
}

} // namespace lxdcore::storage
