// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/block_content.hpp"
#include "storage/copy_progress.hpp"
#include "storage/custom_impl.hpp"
#include "storage/file_copy.hpp"
#include "storage/volume_stream.hpp"
#include "system/shift.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr const char* kOnDisk = "volatile.idmap.last";
constexpr const char* kWanted = "volatile.idmap.next";

std::string entry_of(const api::StringMap& config, const char* key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

} // namespace

std::pair<db::StorageVolumeRow, std::string>
CustomVolumesImpl::need_source(const std::string& pool, const std::string& project, const std::string& name) const {
    (void)pools_.get(pool);
    const auto slash = name.find('/');
    auto row = find_row(pool, project, name.substr(0, slash));
    const auto snapshot = slash == std::string::npos ? std::string{} : name.substr(slash + 1);
    const bool found = row && (snapshot.empty() || global_.read_value([&](db::Transaction& tx) {
                           return snapshots_.find(tx, row->id, snapshot).has_value();
                       }));
    if (found) return {std::move(*row), snapshot};
    throw Error{ErrorCode::NotFound,
                fmt::format("Storage volume {} in project {} of type \"custom\" does not exist on pool {}: Storage "
                            "volume not found",
                            text::quote(name), text::quote(project), text::quote(pool))};
}

/// Between pools of one backend that has streams; nothing where files are to be copied instead.
std::optional<Staged> CustomVolumesImpl::try_stream(StorageDriver& driver, const std::string& pool, const VolumeId& as,
                                                    const Row& source, const std::string& snapshot, const Base& base,
                                                    std::stop_token stop) const {
    if (driver.send_receive() == nullptr || pools_.get(pool).driver != pools_.get(source.pool).driver)
        return std::nullopt;
    const auto from = access_.driver(source.pool);
    if (from->mounts_volumes() || driver.mounts_volumes()) return std::nullopt;
    // The nearest one that both have; of the volume itself that is the newest.
    std::vector<std::optional<std::string>> parents{std::nullopt};
    for (const auto& one : snapshot_rows(source)) {
        if (one.name == snapshot) break;
        if (std::find(base.snapshots.begin(), base.snapshots.end(), one.name) != base.snapshots.end())
            parents = {one.name, std::nullopt};
    }
    for (const auto& parent : parents) {
        try {
            return stage_stream(*from, snapshot.empty() ? custom_volume(source) : custom_snapshot(source, snapshot),
                                parent ? std::optional{custom_snapshot(source, *parent)} : std::nullopt, driver, as,
                                stop);
        } catch (const Error& error) { // a parent that arrived in another way is none
            if (error.code() == ErrorCode::Cancelled || error.code() == ErrorCode::NoSpace) throw;
            log_.debug("A stream of a volume was refused", {{"volume", source.name}, {"err", error.what()}});
        }
    }
    return std::nullopt;
}

Staged CustomVolumesImpl::stage_block(StorageDriver& driver, VolumeId as, const std::string& pool,
                                      const VolumeId& source, const std::stop_token& stop) const {
    const auto from = access_.open_block(pool, source);
    as.config["size"] = std::to_string(from.size);
    auto staged = driver.stage(as);
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    copy_block(from.file.get(), driver.open_staged_block(staged).get(), stop, from.size);
    undo.commit();
    return staged;
}

/// The attributes of the volume's own directory come along.
Staged CustomVolumesImpl::stage_from(StorageDriver& driver, const std::string& pool, const VolumeId& as,
                                     const Row& source, const std::string& snapshot, const Base& base,
                                     std::stop_token stop, OperationContext* told) const {
    const auto id = snapshot.empty() ? custom_volume(source) : custom_snapshot(source, snapshot);
    // A backend that clones shares all that is the same anyway.
    if (source.pool == pool && (base.older == nullptr || driver.send_receive() != nullptr))
        return driver.stage_clone(as, id, std::move(stop));
    if (source.block && (driver.blocks_are_devices() || access_.driver(source.pool)->blocks_are_devices()))
        return stage_block(driver, as, source.pool, id, stop);
    if (source.pool != pool)
        if (auto staged = try_stream(driver, pool, as, source, snapshot, base, stop)) return std::move(*staged);
    auto staged = driver.stage(as);
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    const auto content = access_.open_content(source.pool, id);
    std::optional<CopyProgress> progress;
    const auto name = custom_name(source.project, source.name);
    if (told != nullptr && source.pool != pool)
        progress.emplace(*told, snapshot.empty() ? name : name + "/" + snapshot);
    copy_tree(content.dir, driver.open_staged(staged),
              {.stop = std::move(stop),
               .devices = true,
               .older = base.older,
               .copied = progress ? progress->copied() : nullptr});
    undo.commit();
    return staged;
}

/// What takes the place of a volume has the ids that its record says. Interrupted, it is not there at all.
void CustomVolumesImpl::shift_staged(StorageDriver& driver, const Staged& staged, const std::string& from,
                                     const std::string& to) const {
    auto map = IdMap::parse(from);
    const auto wanted = IdMap::parse(to);
    if (map == wanted) return;
    const auto tree = driver.open_staged(staged);
    for (const auto& next : shift_route(map, wanted)) {
        shift_tree(tree, map, next);
        map = next;
    }
}

void CustomVolumesImpl::copy(Row row, const api::StorageVolumeSource& source, OperationContext& op) {
    const auto project = source.project.empty() ? row.project : source.project;
    auto [from, snapshot] = [&] {
        (void)pools_.get(source.pool);
        try {
            return need_source(source.pool, project, source.name);
        } catch (Error& error) {
            error.add_context("Failed generating volume copy config");
            throw;
        }
    }();
    const auto guards = lock({&row, &from});
    require_free(row);
    finish_shifts(from);
    const auto model = snapshot.empty() ? SnapshotRow{.description = from.description, .config = from.config}
                                        : need_snapshot(from, snapshot);
    if (row.config.empty()) row.config = model.config;
    if (row.description.empty()) row.description = model.description;
    for (const char* key : {kOnDisk, kWanted}) // whose the files are stays true, whatever else is asked for
        if (const auto value = entry_of(model.config, key); !value.empty()) row.config[key] = value;
    row.block = from.block;
    fill_defaults(row);
    check_config(row, row.config);
    const bool with_snapshots = snapshot.empty() && !source.volume_only;
    Base arrived;
    publish_new(
        row,
        [&, &from = from, &snapshot = snapshot](StorageDriver& driver, const VolumeId& as) {
            return stage_from(driver, row.pool, as, from, snapshot, arrived, op.stop_token(), &op);
        },
        [&, &from = from](Row& made, StorageDriver& driver) {
            if (!with_snapshots) return;
            for (auto one : snapshot_rows(from)) {
                one.volume = made.id;
                global_.write([&](db::Transaction& tx) { snapshots_.insert(tx, one); });
                const auto staged = stage_from(driver, row.pool, custom_snapshot(made, one.name), from, one.name,
                                               arrived, op.stop_token(), &op);
                Rollback undo;
                undo.add([&] { driver.discard(staged); });
                driver.publish(staged);
                undo.commit();
                arrived.snapshots.push_back(one.name);
                fault_point("volume-copy:snapshot");
            }
        });
    event(row, "storage-volume-created", "type", "custom");
}

void CustomVolumesImpl::refresh(const Row& target, const api::StorageVolumeSource& source, OperationContext& op) {
    const auto project = source.project.empty() ? target.project : source.project;
    auto [from, snapshot] = [&] {
        (void)pools_.get(source.pool);
        try {
            return need_source(source.pool, project, source.name);
        } catch (Error& error) {
            error.add_context("Failed generating volume refresh config");
            throw;
        }
    }();
    const auto guards = lock({&target, &from});
    auto row = need_custom(target.pool, target.project, target.name);
    finish_shifts(from);
    finish_shifts(row);
    if (row.block != from.block)
        throw Error{ErrorCode::InvalidArgument, "Content type of source and target must be the same"};
    // The content changes places with the new: an instance would keep the old one.
    if (!running_users(row).empty()) throw Error{ErrorCode::BadState, "Volume is still in use by running instances"};
    if (used_by_server(row)) throw Error{ErrorCode::BadState, "The storage volume is still in use"};
    const nlohmann::json data{{"pool", row.pool},
                              {"source", {{"pool", from.pool}, {"project", from.project}, {"name", source.name}}},
                              {"volume_only", source.volume_only}};
    const auto intent = intents_.begin(intent::kRefresh, row.project, row.name, data.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("volume-refresh:intended");
    refresh_content(row, from, snapshot, source.volume_only, op.stop_token(), &op);
    undo.commit();
    intents_.end(intent);
    event(row, "storage-volume-created", "type", "custom");
}

/// Safe to repeat: the volume last, so that what failed before has left its content alone.
void CustomVolumesImpl::refresh_content(const Row& row, const Row& source, const std::string& snapshot,
                                        bool volume_only, std::stop_token stop, OperationContext* told) {
    const auto driver = access_.driver(row.pool);
    Base base;
    if (!volume_only && snapshot.empty()) {
        const auto wanted = snapshot_rows(source);
        const auto there = snapshot_rows(row);
        const auto has = [](const std::vector<SnapshotRow>& rows, const std::string& name) {
            return std::any_of(rows.begin(), rows.end(), [&](const auto& one) { return one.name == name; });
        };
        for (const auto& one : there)
            if (!has(wanted, one.name)) remove_snapshot_of(row, one);
        fault_point("volume-refresh:dropped");
        for (auto one : wanted) {
            base.snapshots.push_back(one.name);
            if (has(there, one.name)) continue;
            one.volume = row.id;
            publish_snapshot(row, one, [&](StorageDriver& to, const VolumeId& as) {
                return stage_from(to, row.pool, as, source, one.name, base, stop, told);
            });
        }
    } else {
        for (const auto& one : snapshot_rows(row))
            base.snapshots.push_back(one.name);
    }
    auto id = custom_volume(row);
    id.row = 0; // the limit of the volume stays, and what takes its place is counted as it was
    std::optional<MountedDir> now;
    if (!row.block || !driver->blocks_are_devices()) now = access_.open_content(row.pool, custom_volume(row));
    const auto owners = entry_of(snapshot.empty() ? source.config : need_snapshot(source, snapshot).config, kOnDisk);
    // Files of the old content are shared with it for a moment: their owners must not have to change.
    if (now && owners == entry_of(row.config, kOnDisk)) base.older = &now->dir;
    const auto staged = stage_from(*driver, row.pool, id, source, snapshot, base, stop, told);
    Rollback undo;
    undo.add([&] { driver->discard(staged); });
    shift_staged(*driver, staged, owners, entry_of(row.config, kOnDisk));
    fault_point("volume-refresh:staged");
    driver->exchange(staged);
    undo.commit();
    fault_point("volume-refresh:exchanged");
    access_.discard_later(row.pool, staged);
}

} // namespace lxdcore::storage
