// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <utility>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/copy_progress.hpp"
#include "storage/manager_impl.hpp"
#include "storage/staged_volumes.hpp"
#include "storage/volume_stream.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

VolumeId snapshot_volume(const std::string& name, const std::string& snapshot) {
    return {.place = VolumePlace::Instance, .name = name, .snapshot = snapshot};
}

} // namespace

Staged stage_filled(StorageDriver& driver, const VolumeId& as, const VolumeFiller& fill, OperationContext& op) {
    auto staged = driver.stage(as);
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    fill(driver.open_staged(staged), op);
    undo.commit();
    return staged;
}

bool StorageManagerImpl::streams_between(const std::string& from, const std::string& to) const {
    if (from == to) return false;
    for (const auto& name : {from, to}) {
        auto& driver = *need_pool(name)->driver;
        if (driver.send_receive() == nullptr || driver.mounts_volumes()) return false;
    }
    return global_.read_value(
        [&](db::Transaction& tx) { return need_row(tx, from).driver == need_row(tx, to).driver; });
}

/// Upon the nearest snapshot that both have, if that arrived as a stream, too.
std::optional<Staged> StorageManagerImpl::try_stream(StorageDriver& driver, const std::string& pool, const VolumeId& as,
                                                     const db::StorageVolumeRow& from, const std::string& snapshot,
                                                     std::stop_token stop) const {
    const auto source = need_pool(from.pool);
    if (!streams_between(from.pool, pool)) return std::nullopt;
    std::vector<std::optional<VolumeId>> parents{std::nullopt};
    global_.read([&](db::Transaction& tx) {
        for (const auto& one : snapshots_repository_.list(tx, from.id)) {
            if (one.name == snapshot) break;
            auto there = as;
            there.snapshot = one.name;
            if (driver.exists(there)) parents = {instance_volume(from, one.name), std::nullopt};
        }
    });
    for (const auto& parent : parents) {
        try {
            auto staged = stage_stream(*source->driver, instance_volume(from, snapshot), parent, driver, as, stop);
            if (as.snapshot.empty()) keep_content(driver, staged);
            return staged;
        } catch (const Error& error) { // a parent that arrived in another way is none
            if (error.code() == ErrorCode::Cancelled || error.code() == ErrorCode::NoSpace) throw;
            log_.debug("A stream of an instance was refused", {{"instance", from.name}, {"err", error.what()}});
        }
    }
    return std::nullopt;
}

Staged StorageManagerImpl::stage_of(StorageDriver& driver, const std::string& pool, const VolumeId& as,
                                    const InstanceVolume& source, OperationContext& op) {
    const auto from = need_volume(source.project, source.instance);
    const auto id = instance_volume(from, source.snapshot);
    if (from.pool == pool) return clone_content(driver, as, id, op.stop_token());
    if (auto staged = try_stream(driver, pool, as, from, source.snapshot, op.stop_token())) return std::move(*staged);
    const auto content = open_volume(need_pool(from.pool), id);
    const auto name = volume_name(source.project, source.instance);
    CopyProgress progress{op, source.snapshot.empty() ? name : name + "/" + source.snapshot};
    return driver.stage_copy(as, content.dir, kInstanceContent, op.stop_token(), progress.copied());
}

/// As with volumes the row comes first, and start() removes one whose snapshot never came to be.
void StorageManagerImpl::create_snapshot(const std::string& project, const std::string& instance,
                                         const std::string& snapshot, const MakeVolume& make) {
    const auto volume = need_volume(project, instance);
    const auto pool = need_pool(volume.pool);
    auto& driver = *pool->driver;
    const auto id = instance_volume(volume, snapshot);
    const auto left =
        global_.read_value([&](db::Transaction& tx) { return snapshots_repository_.find(tx, volume.id, snapshot); });
    if (left && driver.exists(id))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Snapshot {} already in use", text::quote(snapshot))};
    Rollback undo;
    auto row = left ? left->id : 0;
    if (!left)
        row = global_.write_value([&](db::Transaction& tx) {
            return snapshots_repository_.insert(tx, {.volume = volume.id, .name = snapshot});
        });
    undo.add([this, row] { global_.write([&](db::Transaction& tx) { snapshots_repository_.remove(tx, row); }); });
    if (!left) driver.remove(id); // without a row it is what an interruption left
    const auto staged = make(driver, id);
    undo.add([&driver, staged] { driver.discard(staged); });
    driver.publish(staged);
    undo.commit();
    link_snapshots(project, instance, volume.pool);
}

void StorageManagerImpl::create_instance_snapshot(const std::string& project, const std::string& instance,
                                                  const std::string& snapshot, OperationContext& op) {
    create_snapshot(project, instance, snapshot, [&](StorageDriver& driver, const VolumeId& as) {
        return driver.stage_clone(as, instance_volume(volume_name(project, instance)), op.stop_token());
    });
}

void StorageManagerImpl::copy_instance_snapshot(const std::string& project, const std::string& instance,
                                                const std::string& snapshot, const InstanceVolume& source,
                                                OperationContext& op) {
    const auto pool = pool_of(project, instance);
    create_snapshot(project, instance, snapshot,
                    [&](StorageDriver& driver, const VolumeId& as) { return stage_of(driver, pool, as, source, op); });
}

void StorageManagerImpl::add_snapshot_row(const db::StorageVolumeRow& volume, const std::string& snapshot) {
    global_.write([&](db::Transaction& tx) {
        if (!snapshots_repository_.find(tx, volume.id, snapshot))
            snapshots_repository_.insert(tx, {.volume = volume.id, .name = snapshot});
    });
}

/// Of streams the snapshots come first, and the volume is built upon them; elsewhere it may be a clone, whose snapshots
/// build upon it.
void StorageManagerImpl::create_copy(const std::string& pool, const std::string& project, const std::string& instance,
                                     const InstanceCopy& copy, OperationContext& op) {
    const auto snapshot_of = [&](const std::string& name) {
        op.throw_if_cancelled();
        return InstanceVolume{copy.source.project, copy.source.instance, name};
    };
    const auto copied = [] { fault_point("instance-copy:snapshot"); };
    const bool streams = streams_between(need_volume(copy.source.project, copy.source.instance).pool, pool);
    Rollback undo;
    create_volume(pool, project, instance, [&](StorageDriver& driver, const VolumeId& as) {
        const auto row = need_volume(project, instance);
        for (const auto& name : streams ? copy.snapshots : std::vector<std::string>{}) {
            const auto id = instance_volume(row, name);
            driver.remove(id); // without a row it is what an interruption left
            StagedVolumes{driver, {stage_of(driver, pool, id, snapshot_of(name), op)}}.publish_next();
            undo.add([owner = need_pool(pool), id] { owner->driver->remove(id); });
            add_snapshot_row(row, name);
            copied();
        }
        const auto still = copy.standstill ? copy.standstill() : nullptr;
        return stage_of(driver, pool, as, copy.source, op);
    });
    undo.commit();
    fault_point("instance-copy:volume");
    if (streams) return;
    for (const auto& name : copy.snapshots) {
        copy_instance_snapshot(project, instance, name, snapshot_of(name), op);
        copied();
    }
}

/// The snapshots first: what their driver sends as a stream may build upon the one before. Their rows go with that of
/// the volume, and what of them is left without it at the next start, too.
void StorageManagerImpl::create_staged(const std::string& pool, const std::string& project, const std::string& instance,
                                       const std::vector<std::string>& snapshots, const StageContent& stage) {
    Rollback undo;
    create_volume(pool, project, instance, [&](StorageDriver& driver, const VolumeId& as) {
        const auto row = need_volume(project, instance);
        std::vector<VolumeId> ids;
        for (const auto& snapshot : snapshots) {
            ids.push_back(instance_volume(row, snapshot));
            driver.remove(ids.back()); // without a row it is what an interruption left
        }
        ids.push_back(as);
        StagedVolumes staged{driver, stage(driver, ids)};
        for (std::size_t i = 0; i < snapshots.size(); ++i) {
            staged.publish_next();
            undo.add([owner = need_pool(pool), id = ids[i]] { owner->driver->remove(id); });
            add_snapshot_row(row, snapshots[i]);
            fault_point("import:snapshot");
        }
        return staged.take_last();
    });
    undo.commit();
}

void StorageManagerImpl::rename_instance_snapshot(const std::string& project, const std::string& instance,
                                                  const std::string& snapshot, const std::string& to) {
    const auto volume = need_volume(project, instance);
    const auto pool = need_pool(volume.pool);
    const auto id = snapshot_volume(volume_name(project, instance), snapshot);
    if (pool->driver->exists(id) || !pool->driver->exists(snapshot_volume(id.name, to))) pool->driver->rename(id, to);
    global_.write([&](db::Transaction& tx) {
        if (const auto row = snapshots_repository_.find(tx, volume.id, snapshot))
            snapshots_repository_.rename(tx, row->id, to);
    });
}

void StorageManagerImpl::delete_instance_snapshot(const std::string& project, const std::string& instance,
                                                  const std::string& snapshot) {
    const auto volume = find_volume(project, instance);
    if (!volume) return;
    const auto pool = need_pool(volume->pool);
    const auto trash = pool->driver->set_aside(snapshot_volume(volume_name(project, instance), snapshot));
    global_.write([&](db::Transaction& tx) {
        if (const auto row = snapshots_repository_.find(tx, volume->id, snapshot))
            snapshots_repository_.remove(tx, row->id);
    });
    link_snapshots(project, instance, volume->pool);
    if (trash) queue_discard(pool, *trash);
}

void StorageManagerImpl::exchange_volume(const PoolPtr& pool, const Staged& staged, OperationContext& op) {
    Rollback undo;
    undo.add([&] { pool->driver->discard(staged); });
    op.throw_if_cancelled();
    pool->driver->exchange(staged);
    undo.commit();
    queue_discard(pool, staged);
}

void StorageManagerImpl::replace_instance(const std::string& project, const std::string& instance,
                                          const InstanceVolume& source, OperationContext& op) {
    const auto volume = need_volume(project, instance);
    const auto pool = need_pool(volume.pool);
    // Staged without the row: the limit of the volume stays, and what takes its place is counted as it was.
    const auto staged = stage_of(*pool->driver, volume.pool, instance_volume(volume), source, op);
    exchange_volume(pool, staged, op);
}

std::vector<std::string> StorageManagerImpl::instance_snapshots(const std::string& project,
                                                                const std::string& instance) const {
    const auto volume = need_volume(project, instance);
    std::vector<std::string> names;
    for (auto& row : global_.read_value([&](db::Transaction& tx) { return snapshots_repository_.list(tx, volume.id); }))
        names.push_back(std::move(row.name));
    return names;
}

MountedDir StorageManagerImpl::open_instance_snapshot(const std::string& project, const std::string& instance,
                                                      const std::string& snapshot) {
    const auto row = need_volume(project, instance);
    return open_volume(need_pool(row.pool), instance_volume(row, snapshot));
}

/// Rows and snapshots that an interruption left without each other.
void StorageManagerImpl::repair_snapshots(const db::StorageVolumeRow& volume, StorageDriver& driver) const {
    const auto name = volume_name(volume.project, volume.name);
    auto found = driver.list_snapshots(instance_volume(name));
    for (const auto& row :
         global_.read_value([&](db::Transaction& tx) { return snapshots_repository_.list(tx, volume.id); })) {
        if (std::erase(found, row.name) > 0) continue;
        global_.write([&](db::Transaction& tx) { snapshots_repository_.remove(tx, row.id); });
        log_.warning("Snapshot has no directory", {{"pool", volume.pool}, {"volume", name}, {"snapshot", row.name}});
    }
}

} // namespace lxdcore::storage
