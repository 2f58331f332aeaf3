// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <set>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/custom_impl.hpp"

namespace lxdcore::storage {

namespace {

std::string value(const nlohmann::json& data, const char* key) {
    return data.is_object() ? data.value(key, std::string{}) : std::string{};
}

nlohmann::json parsed(const db::Intent& intent) { return nlohmann::json::parse(intent.data, nullptr, false); }

/// Where interrupted changes were under way.
std::set<std::string> pools_of(const db::IntentLog& intents) {
    std::set<std::string> pools;
    for (const auto* kind : {intent::kSnapshotCreate, intent::kSnapshotDelete, intent::kCreate, intent::kRename,
                             intent::kMove, intent::kDelete, intent::kRefresh})
        for (const auto& one : intents.pending(kind)) {
            const auto data = parsed(one);
            pools.insert(value(data, "pool"));
            for (const char* side : {"from", "to"})
                if (data.is_object() && data.contains(side)) pools.insert(value(data[side], "pool"));
        }
    pools.erase("");
    return pools;
}

bool of_block(const nlohmann::json& data) { return data.is_object() && data.value("block", false); }

VolumeId by_name(const std::string& name, bool block, const std::string& snapshot = {}) {
    VolumeId id{.place = VolumePlace::Custom, .name = name, .snapshot = snapshot};
    id.block = block;
    return id;
}

} // namespace

void CustomVolumesImpl::start(Running running) {
    running_ = std::move(running);
    const auto touched = pools_of(intents_);
    repair(intent::kSnapshotCreate, [this](const auto& intent) { repair_snapshot_create(intent); });
    repair(intent::kSnapshotRename, [this](const auto& intent) { repair_snapshot_rename(intent); });
    repair(intent::kSnapshotDelete, [this](const auto& intent) { repair_snapshot_delete(intent); });
    repair(intent::kCreate, [this](const auto& intent) { repair_create(intent); });
    repair(intent::kRename, [this](const auto& intent) { repair_rename(intent); });
    repair(intent::kMove, [this](const auto& intent) { repair_move(intent); });
    repair(intent::kDelete, [this](const auto& intent) { repair_delete(intent); });
    repair(intent::kResize, [this](const auto& intent) { repair_resize(intent); });
    repair(intent::kShift, [this](const auto& intent) { repair_shift(intent); });
    repair(intent::kRefresh, [this](const auto& intent) { repair_refresh(intent); });
    for (const auto& pool : touched) { // empty directories of snapshots are left
        try {
            access_.driver(pool)->sweep();
        } catch (const std::exception& error) {
            log_.warning("Failed to sweep a storage pool", {{"pool", pool}, {"err", error.what()}});
        }
    }
}

/// What cannot be repaired now, because its pool is away, is tried again at the next start.
template <class Repair>
void CustomVolumesImpl::repair(const char* kind, Repair&& one) {
    for (const auto& intent : intents_.pending(kind)) {
        try {
            one(intent);
            intents_.end(intent.id);
        } catch (const std::exception& error) {
            log_.warning("Failed to repair a storage volume",
                         {{"change", kind}, {"volume", intent.entity}, {"err", error.what()}});
        }
    }
}

void CustomVolumesImpl::repair_create(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto pool = value(data, "pool");
    const auto row = find_row(pool, intent.project, intent.entity);
    const auto driver = access_.driver(pool);
    const auto name = custom_name(intent.project, intent.entity);
    const bool block = of_block(data);
    if (row && driver->exists(by_name(name, block))) return settle(*driver, *row);
    for (const auto& snapshot : driver->list_snapshots(by_name(name, block)))
        driver->remove(by_name(name, block, snapshot));
    if (row) global_.write([&](db::Transaction& tx) { volumes_.remove(tx, row->id); });
}

void CustomVolumesImpl::repair_rename(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto pool = value(data, "pool"), to = value(data, "to");
    const auto done = find_row(pool, intent.project, to);
    const auto driver = access_.driver(pool);
    const auto right = custom_name(intent.project, done ? to : intent.entity);
    const auto wrong = custom_name(intent.project, done ? intent.entity : to);
    const bool block = of_block(data);
    if (driver->exists(by_name(right, block)) || driver->exists(by_name(wrong, block)))
        driver->rename(by_name(wrong, block), right);
    if (done) tell_follower(pool + "/" + wrong, pool + "/" + right);
}

void CustomVolumesImpl::repair_move(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto from = data.at("from"), to = data.at("to");
    const auto rows =
        global_.read_value([&](db::Transaction& tx) { return volumes_.list(tx, {.kind = db::VolumeKind::Custom}); });
    const auto id = data.at("id").get<std::int64_t>();
    for (const auto& row : rows) {
        if (row.id != id) continue;
        const bool done = row.pool == value(to, "pool") && custom_name(row.project, row.name) == value(to, "name");
        const auto& other = done ? from : to;
        drop_volume(value(other, "pool"), value(other, "name"), of_block(data));
        if (done) tell_follower(value(from, "pool") + "/" + value(from, "name"), custom_place(row));
        return;
    }
}

void CustomVolumesImpl::repair_delete(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto pool = value(data, "pool");
    drop_volume(pool, custom_name(intent.project, intent.entity), of_block(data));
    if (const auto row = find_row(pool, intent.project, intent.entity))
        global_.write([&](db::Transaction& tx) { volumes_.remove(tx, row->id); });
    tell_follower(pool + "/" + custom_name(intent.project, intent.entity), "");
}

void CustomVolumesImpl::repair_resize(const db::Intent& intent) {
    const auto data = parsed(intent);
    auto row = find_row(value(data, "pool"), intent.project, intent.entity);
    if (!row) return;
    row->config = data.at("config").get<api::StringMap>();
    row->description = value(data, "description");
    apply_size(*access_.driver(row->pool), *row, "?");
    global_.write([&](db::Transaction& tx) { volumes_.update(tx, *row); });
}

void CustomVolumesImpl::repair_snapshot_create(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto name = value(data, "snapshot");
    const auto row = find_row(value(data, "pool"), intent.project, intent.entity);
    if (!row) return; // the intent of the volume itself takes care of it
    const auto snapshot = global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, row->id, name); });
    const auto driver = access_.driver(row->pool);
    if (snapshot && driver->exists(custom_snapshot(*row, name))) return;
    driver->remove(custom_snapshot(*row, name));
    if (snapshot) global_.write([&](db::Transaction& tx) { snapshots_.remove(tx, snapshot->id); });
}

void CustomVolumesImpl::repair_snapshot_rename(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto from = value(data, "snapshot"), to = value(data, "to");
    const auto row = find_row(value(data, "pool"), intent.project, intent.entity);
    if (!row) return;
    const bool done =
        global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, row->id, to).has_value(); });
    const auto driver = access_.driver(row->pool);
    const auto& right = done ? to : from;
    const auto& wrong = done ? from : to;
    if (!driver->exists(custom_snapshot(*row, right)) && driver->exists(custom_snapshot(*row, wrong)))
        driver->rename(custom_snapshot(*row, wrong), right);
}

void CustomVolumesImpl::repair_snapshot_delete(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto name = value(data, "snapshot");
    const auto row = find_row(value(data, "pool"), intent.project, intent.entity);
    if (!row) return;
    access_.driver(row->pool)->remove(custom_snapshot(*row, name));
    const auto snapshot = global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, row->id, name); });
    if (snapshot) global_.write([&](db::Transaction& tx) { snapshots_.remove(tx, snapshot->id); });
}

void CustomVolumesImpl::repair_shift(const db::Intent& intent) {
    if (auto row = find_row(value(parsed(intent), "pool"), intent.project, intent.entity)) finish_shifts(*row);
}

/// Once begun it is finished, if the source is still there: snapshots may have changed already.
void CustomVolumesImpl::repair_refresh(const db::Intent& intent) {
    const auto data = parsed(intent);
    const auto row = find_row(value(data, "pool"), intent.project, intent.entity);
    if (!row) return;
    const auto& source = data.at("source");
    try {
        const auto [from, snapshot] =
            need_source(value(source, "pool"), value(source, "project"), value(source, "name"));
        refresh_content(*row, from, snapshot, data.value("volume_only", false), {}, nullptr);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::NotFound) throw;
        log_.warning("The source of an interrupted refresh is gone", {{"pool", row->pool}, {"volume", row->name}});
    }
}

} // namespace lxdcore::storage
