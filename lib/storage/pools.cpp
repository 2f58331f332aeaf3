// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "config/config_keys.hpp"
#include "storage/idmap_probe.hpp"
#include "storage/manager_impl.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore {

StorageService::~StorageService() = default;

std::string StorageService::etag(const api::StoragePool& pool) {
    return api::etag_of(nlohmann::json::array({pool.name, pool.driver, pool.config}));
}

std::string StorageService::etag(const api::StorageVolume& volume) {
    return api::etag_of(nlohmann::json::array({volume.name, volume.type, volume.config}));
}

namespace storage {

namespace {

/// LXD answers 500 to a bad option of a new pool and 400 to one of an existing pool.
void check_config(const std::string& driver, bool added, const api::StringMap& config, ErrorCode code) {
    for (const auto& [name, value] : config) {
        if (name.starts_with("user.")) {
            names::check_config_key(name);
            continue;
        }
        if (added) { // its backend knows
            names::check_config_key(name);
            if (names::has_control(value))
                throw Error{code, fmt::format("Invalid value for option {}", text::quote(name))};
            continue;
        }
        const auto* key = config::find(config::pool_keys(driver), name);
        if (!key) throw Error{code, fmt::format("Invalid option {}", text::quote(name))};
        if (names::has_control(value)) throw Error{code, fmt::format("Invalid value for option {}", text::quote(name))};
        if (value.empty() || !key->validate) continue;
        try {
            key->validate(value);
        } catch (const Error& error) {
            throw Error{code, fmt::format("Invalid value for option {}: {}", text::quote(name), error.what())};
        }
    }
}

void check_new(const api::StoragePoolsPost& pool) {
    if (pool.name.empty()) throw Error{ErrorCode::InvalidArgument, "No name provided"};
    if (pool.name.find('/') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Storage pool names may not contain slashes"};
    if (pool.driver.empty()) throw Error{ErrorCode::InvalidArgument, "No driver provided"};
    if (std::any_of(pool.name.begin(), pool.name.end(), [](unsigned char c) { return std::isspace(c) != 0; }))
        throw Error{ErrorCode::Internal, "Storage name cannot contain white space"};
    names::check_pool(pool.name);
    // The name is a directory beside those of other pools; a leading dot is kept for files of our own.
    if (pool.name.front() == '.') throw Error{ErrorCode::InvalidArgument, "Invalid storage pool name"};
}

} // namespace

StorageManagerImpl::PoolPtr StorageManagerImpl::find_pool(const std::string& name) const {
    const auto pools = pools_.lock();
    if (const auto it = pools->find(name); it != pools->end()) return it->second;
    throw Error{ErrorCode::NotFound, "Storage pool not found"};
}

StorageManagerImpl::PoolPtr StorageManagerImpl::need_pool(const std::string& name) const {
    auto pool = find_pool(name);
    if (!pool->available && !try_mount(name, *pool))
        throw Error{ErrorCode::Unavailable,
                    fmt::format("Storage pool {} unavailable on this server", text::quote(name))};
    return pool;
}

MountedDir StorageManagerImpl::open_volume(const PoolPtr& pool, const VolumeId& volume) {
    return pool->mounts.open({pool, pool->driver.get()}, volume);
}

void StorageManagerImpl::require_pool(const std::string& pool) const { need_pool(pool); }

bool StorageManagerImpl::idmapped_mounts(const std::string& name) const {
    const auto pool = need_pool(name);
    const std::lock_guard lock{pool->mutex};
    if (pool->idmapped) return *pool->idmapped;
    const auto volumes =
        pool->driver->mounts_volumes() ? pool->driver->list(VolumePlace::Instance) : std::vector<std::string>{};
    if (volumes.empty())
        pool->idmapped = takes_idmapped_mounts(state_dir_.dir("storage-pools/" + name + "/containers"));
    else // the filesystem that counts is that of a volume
        pool->idmapped = takes_idmapped_mounts(open_volume(pool, instance_volume(volumes.front())).dir);
    return *pool->idmapped;
}

db::StoragePoolRow StorageManagerImpl::need_row(db::Transaction& tx, const std::string& name) const {
    auto row = pools_repository_.find(tx, name);
    if (!row) throw Error{ErrorCode::NotFound, "Storage pool not found"};
    return std::move(*row);
}

api::StoragePool StorageManagerImpl::api_pool(db::Transaction& tx, const db::StoragePoolRow& row) const {
    api::StoragePool pool;
    pool.name = row.name;
    pool.driver = row.driver;
    pool.description = row.description;
    pool.config = row.config;
    pool.locations = {"none"};
    pool.status = row.state == db::StoragePoolRow::Created ? "Created" : "Pending";
    if (row.state == db::StoragePoolRow::Created && !is_available(row.name)) pool.status = "Unavailable";
    for (const auto& volume : volumes_repository_.list(tx, {.pool = row.name})) {
        auto used = volume.kind == db::VolumeKind::Custom
                        ? std::vector{fmt::format("/1.0/storage-pools/{}/volumes/custom/{}{}", row.name, volume.name,
                                                  volume.project == "default" ? "" : "?project=" + volume.project)}
                        : api_volume(volume).used_by;
        if (volume.kind == db::VolumeKind::Custom)
            for (const auto& snapshot : snapshots_repository_.list(tx, volume.id))
                used.push_back(fmt::format("/1.0/storage-pools/{}/volumes/custom/{}/snapshots/{}{}", row.name,
                                           volume.name, snapshot.name,
                                           volume.project == "default" ? "" : "?project=" + volume.project));
        pool.used_by.insert(pool.used_by.end(), used.begin(), used.end());
    }
    const auto profiles = pools_repository_.profiles_using(tx, row.name);
    pool.used_by.insert(pool.used_by.end(), profiles.begin(), profiles.end());
    std::sort(pool.used_by.begin(), pool.used_by.end());
    return pool;
}

std::vector<api::StoragePool> StorageManagerImpl::list() const {
    return global_.read_value([&](db::Transaction& tx) {
        std::vector<api::StoragePool> result;
        for (const auto& row : pools_repository_.list(tx))
            result.push_back(api_pool(tx, row));
        return result;
    });
}

std::vector<std::string> StorageManagerImpl::names() const {
    return global_.read_value([&](db::Transaction& tx) {
        std::vector<std::string> result;
        for (const auto& row : pools_repository_.list(tx))
            result.push_back(row.name);
        return result;
    });
}

api::StoragePool StorageManagerImpl::get(const std::string& name) const {
    return global_.read_value([&](db::Transaction& tx) { return api_pool(tx, need_row(tx, name)); });
}

void StorageManagerImpl::create(const api::StoragePoolsPost& request) {
    check_new(request);
    const auto guard = locks_.lock("storage-pools/" + request.name);
    const auto existing =
        global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, request.name); });
    if (existing) throw Error{ErrorCode::AlreadyExists, "The storage pool already exists: The record already exists"};
    db::StoragePoolRow row{
        .name = request.name, .driver = request.driver, .description = request.description, .config = request.config};
    std::erase_if(row.config, [](const auto& item) { return item.second.empty(); });
    const auto checker = registry_.make(row.driver, {row.name, row.config, state_dir_, log_, helper_});
    checker->require_backend();
    check_config(row.driver, added_.contains(row.driver), row.config, ErrorCode::Internal);
    checker->prepare_config(row.config);

    const auto intent = intents_.begin("storage-pool-create", "", row.name);
    fault_point("pool-create:intent");
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    row.id = global_.write_value([&](db::Transaction& tx) { return pools_repository_.insert(tx, row); });
    undo.add([&] { global_.write([&](db::Transaction& tx) { pools_repository_.remove(tx, row.id); }); });
    auto pool = std::make_shared<Pool>();
    pool->driver = registry_.make(row.driver, {row.name, row.config, state_dir_, log_, helper_});
    undo.add([pool] { pool->driver->delete_pool(); }); // which goes before the undoing does
    fault_point("pool-create:row");
    const auto asked = row.config;
    pool->driver->create_pool(row.config);
    if (row.config != asked) {
        pool->driver = registry_.make(row.driver, {row.name, row.config, state_dir_, log_, helper_});
        pool->driver->mount_pool();
    }
    fault_point("pool-create:made");
    pool->prepared = true;
    pool->available = true;
    pools_.lock()->insert_or_assign(row.name, pool);
    undo.add([&] { pools_.lock()->erase(row.name); });
    global_.write([&](db::Transaction& tx) {
        pools_repository_.update(tx, row);
        pools_repository_.set_state(tx, row.id, db::StoragePoolRow::Created);
    });
    undo.commit();
    fault_point("pool-create:recorded");
    intents_.end(intent);
    events_.lifecycle("default", "storage-pool-created", "/1.0/storage-pools/" + row.name);
}

void StorageManagerImpl::update(const std::string& name, const api::StoragePoolPut& pool, const std::string& if_match) {
    const auto guard = locks_.lock("storage-pools/" + name);
    auto row = global_.read_value([&](db::Transaction& tx) { return need_row(tx, name); });
    store_update(std::move(row), pool.config, pool.description, if_match);
}

void StorageManagerImpl::patch(const std::string& name, const api::StoragePoolPatch& pool,
                               const std::string& if_match) {
    const auto guard = locks_.lock("storage-pools/" + name);
    auto row = global_.read_value([&](db::Transaction& tx) { return need_row(tx, name); });
    auto config = row.config;
    for (const auto& [key, value] : pool.config.value_or(api::StringMap{}))
        config[key] = value;
    auto description = pool.description.value_or(row.description);
    store_update(std::move(row), std::move(config), std::move(description), if_match);
}

void StorageManagerImpl::store_update(db::StoragePoolRow row, api::StringMap config, std::string description,
                                      const std::string& if_match) {
    api::StoragePool current;
    current.name = row.name;
    current.driver = row.driver;
    current.config = row.config;
    api::check_etag(StorageService::etag(current), if_match);
    std::erase_if(config, [](const auto& item) { return item.second.empty(); });
    check_config(row.driver, added_.contains(row.driver), config, ErrorCode::InvalidArgument);
    for (const char* fixed : {"source", "volatile.initial_source"}) {
        const auto before = row.config.find(fixed);
        const auto after = config.find(fixed);
        const bool same = before == row.config.end() ? after == config.end()
                                                     : after != config.end() && after->second == before->second;
        if (!same) throw Error{ErrorCode::Internal, "Pool source cannot be changed when not in pending state"};
    }
    const bool changed = config != row.config;
    const auto driver = changed ? need_pool(row.name) : nullptr;
    row.config = std::move(config);
    row.description = std::move(description);
    // A pool that has grown cannot shrink again: what was begun is finished at the next start.
    const auto intent =
        changed ? intents_.begin("storage-pool-update", "", row.name, nlohmann::json(row.config).dump()) : 0;
    Rollback done;
    if (changed) done.add([&] { intents_.end(intent); });
    fault_point("pool-update:intent");
    if (changed) {
        const std::lock_guard lock{driver->discarding}; // by the names that the pool had
        driver->driver->update_pool(row.config);
    }
    fault_point("pool-update:applied");
    global_.write([&](db::Transaction& tx) { pools_repository_.update(tx, row); });
    fault_point("pool-update:recorded");
    events_.lifecycle("default", "storage-pool-updated", "/1.0/storage-pools/" + row.name);
}

void StorageManagerImpl::remove(const std::string& name) {
    const auto guard = locks_.lock("storage-pools/" + name);
    auto used_by = get(name).used_by;
    std::erase_if(used_by, [](const std::string& url) { return url.starts_with("/1.0/images/"); }); // unpacked anew
    if (!used_by.empty()) throw Error{ErrorCode::BadState, "The storage pool is currently in use"};
    const auto row = global_.read_value([&](db::Transaction& tx) { return need_row(tx, name); });
    const auto pool = find_pool(name);
    const auto intent = intents_.begin("storage-pool-delete", "", name);
    Rollback undo;
    undo.add([&] { // with its directories: nothing else was in it; else the next start goes on
        pool->driver->mount_pool();
        pool->going = false;
        intents_.end(intent);
    });
    fault_point("pool-delete:pending");
    pool->going = true;
    {
        const std::lock_guard lock{pool->discarding};
        pool->driver->delete_pool();
    }
    global_.write([&](db::Transaction& tx) { pools_repository_.remove(tx, row.id); });
    undo.commit();
    fault_point("pool-delete:row");
    intents_.end(intent);
    pools_.lock()->erase(name);
    events_.lifecycle("default", "storage-pool-deleted", "/1.0/storage-pools/" + name);
}

api::StoragePoolResources StorageManagerImpl::resources(const std::string& name) const {
    return need_pool(name)->driver->resources();
}

} // namespace storage
} // namespace lxdcore
