// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/file_copy.hpp"
#include "storage/manager_impl.hpp"
#include "storage/staged_volumes.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"

namespace lxdcore::storage {

namespace {

constexpr const char* kMove = "volume-move";

} // namespace

void StorageManagerImpl::refresh_instance(const std::string& project, const std::string& instance,
                                          const InstanceVolume& source, OperationContext& op) {
    const auto volume = need_volume(project, instance);
    const auto pool = need_pool(volume.pool);
    auto& driver = *pool->driver;
    const auto id = instance_volume(volume);
    const auto from = need_volume(source.project, source.instance);
    const auto source_id = instance_volume(from, source.snapshot);
    // A backend that clones shares all that is the same anyway.
    if (driver.send_receive() != nullptr && from.pool == volume.pool) {
        exchange_volume(pool, clone_content(driver, id, source_id, op.stop_token()), op);
        return;
    }
    if (const auto sent = try_stream(driver, volume.pool, id, from, source.snapshot, op.stop_token())) {
        exchange_volume(pool, *sent, op);
        return;
    }
    const auto staged = driver.stage(id);
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    {
        const auto mounted_source = open_volume(need_pool(from.pool), source_id);
        const auto mounted_old = open_volume(pool, id);
        const auto &content = mounted_source.dir, &old = mounted_old.dir;
        const auto target = driver.open_staged(staged);
        for (const auto& name : kInstanceContent) {
            if (!content.exists(name)) continue;
            if (name == "metadata.yaml") {
                copy_entry(content, target, name, {.stop = op.stop_token()});
                continue;
            }
            const auto older = name == "rootfs" && old.exists(name) ? std::optional{old.dir(name)} : std::nullopt;
            copy_tree(content.dir(name), target.make_dir(name, 0700),
                      {.stop = op.stop_token(), .devices = true, .older = older ? &*older : nullptr});
        }
    }
    undo.commit();
    exchange_volume(pool, staged, op);
}

/// Beside the old until all of it is there; the row then says which is the real one.
void StorageManagerImpl::move_instance(const std::string& project, const std::string& instance, const std::string& to,
                                       OperationContext& op) {
    const auto row = need_volume(project, instance);
    const auto pool = need_pool(to);
    if (row.pool == to) return;
    auto& driver = *pool->driver;
    const auto name = volume_name(project, instance);
    const auto intent = intents_.begin(kMove, project, instance, nlohmann::json{{"from", row.pool}, {"to", to}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    undo.add([&] { remove_copies(to, name); });
    remove_copies(to, name); // without a row it is what an interruption left
    const auto copy = [&](const VolumeId& as, const std::string& snapshot) {
        op.throw_if_cancelled();
        StagedVolumes{driver, {stage_of(driver, to, as, {project, instance, snapshot}, op)}}.publish_next();
    };
    const auto copy_whole = [&] {
        auto whole = instance_volume(row);
        whole.row = row.id;
        copy(whole, "");
    };
    const bool streams = streams_between(row.pool, to); // as with create_copy()
    if (!streams) copy_whole();
    for (const auto& snapshot : instance_snapshots(project, instance))
        copy(instance_volume(row, snapshot), snapshot);
    if (streams) copy_whole();
    op.throw_if_cancelled();
    fault_point("instance-volume-move:copied");
    global_.write([&](db::Transaction& tx) { volumes_repository_.move(tx, row.id, to); });
    undo.commit();
    fault_point("instance-volume-move:row");
    state_dir_.dir("containers").remove(name);
    link(name, to);
    link_snapshots(project, instance, to);
    remove_copies(row.pool, name);
    intents_.end(intent);
}

void StorageManagerImpl::remove_copies(const std::string& pool_name, const std::string& volume) {
    const auto pool = need_pool(pool_name);
    for (const auto& snapshot : pool->driver->list_snapshots(instance_volume(volume)))
        if (auto trash =
                pool->driver->set_aside({.place = VolumePlace::Instance, .name = volume, .snapshot = snapshot}))
            queue_discard(pool, std::move(*trash));
    if (auto trash = pool->driver->set_aside(instance_volume(volume))) queue_discard(pool, std::move(*trash));
}

/// The row says which of the two pools has the volume; what the other one has goes.
void StorageManagerImpl::repair_moves() {
    for (const auto& intent : intents_.pending(kMove)) {
        try {
            const auto data = nlohmann::json::parse(intent.data);
            const auto from = data.at("from").get<std::string>(), to = data.at("to").get<std::string>();
            const auto row = find_volume(intent.project, intent.entity);
            const auto name = volume_name(intent.project, intent.entity);
            if (row) {
                remove_copies(row->pool == to ? from : to, name);
                state_dir_.dir("containers").remove(name);
                link(name, row->pool);
                link_snapshots(intent.project, intent.entity, row->pool);
            }
            intents_.end(intent.id);
        } catch (const Error& error) { // a pool that is away: the next start tries again
            log_.warning("Failed to finish an interrupted move", {{"volume", intent.entity}, {"err", error.what()}});
        }
    }
}

} // namespace lxdcore::storage
