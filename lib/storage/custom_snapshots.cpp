// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "config/expiry.hpp"
#include "operation/operation_types.hpp"
#include "operation/volume_operation_types.hpp"
#include "storage/custom_impl.hpp"
#include "storage/manager_impl.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/snapshot_name.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

void require_custom(const std::string& type) {
    if (volume_kind(type) != db::VolumeKind::Custom)
        throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid storage volume type {}", text::quote(type))};
}

std::string data_of(const db::StorageVolumeRow& volume, const std::string& snapshot, const std::string& to = {}) {
    return nlohmann::json{{"pool", volume.pool}, {"snapshot", snapshot}, {"to", to}}.dump();
}

} // namespace

OperationPtr CustomVolumesImpl::start_operation(int type, const Row& row, const char* entity,
                                                OperationService::Work work) {
    return operations_.start(
        {.type = type, .project = row.project, .resources = {{entity, {fmt::format("/1.0/{}/{}", entity, row.name)}}}},
        std::move(work));
}

std::string CustomVolumesImpl::free_snapshot_name(const Row& row, const std::string& pattern) const {
    std::vector<std::string> taken;
    for (const auto& snapshot : snapshot_rows(row))
        taken.push_back(snapshot.name);
    return next_snapshot_name(pattern, api::Time::now().at.value(), taken);
}

OperationPtr CustomVolumesImpl::create_snapshot(const VolumeRef& ref, const api::StorageVolumeSnapshotsPost& request) {
    require_custom(ref.type);
    const auto row = need_row(ref);
    if (used_by_server(row))
        throw Error{ErrorCode::InvalidArgument, "Volumes used by LXD itself cannot have snapshots"};
    const auto name = request.name.empty() ? free_snapshot_name(row, "") : request.name;
    check_snapshot_name(name);
    if (global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, row.id, name); }))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Snapshot {} already in use", text::quote(name))};
    return start_operation(kVolumeSnapshotCreate, row, "storage_volumes",
                           [this, ref, name, expires_at = request.expires_at](OperationContext& op) {
                               auto volume = need_row(ref);
                               const auto guards = lock({&volume});
                               make_snapshot(need_row(ref), name, expires_at, op.stop_token());
                           });
}

void CustomVolumesImpl::make_snapshot(Row row, const std::string& name, const std::optional<api::Time>& expires_at,
                                      std::stop_token stop) {
    finish_shifts(row);
    auto filled = row;
    fill_defaults(filled);
    SnapshotRow snapshot{.volume = row.id, .name = name, .description = row.description, .config = filled.config};
    if (expires_at) {
        snapshot.expires_at = *expires_at;
    } else if (const auto expiry = row.config.find("snapshots.expiry"); expiry != row.config.end()) {
        snapshot.expires_at = config::expiry_of(expiry->second, api::Time::now()).value_or(api::Time{});
    }
    publish_snapshot(row, std::move(snapshot), [&](StorageDriver& driver, const VolumeId& as) {
        return driver.stage_clone(as, custom_volume(row), stop);
    });
    snapshot_event(row, name, "storage-volume-snapshot-created", "type", "custom");
}

void CustomVolumesImpl::publish_snapshot(const Row& volume, SnapshotRow snapshot, const Make& make) {
    if (global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, volume.id, snapshot.name); }))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Snapshot {} already in use", text::quote(snapshot.name))};
    const auto driver = access_.driver(volume.pool);
    const auto intent =
        intents_.begin(intent::kSnapshotCreate, volume.project, volume.name, data_of(volume, snapshot.name));
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("volume-snapshot:intended");
    snapshot.id = global_.write_value([&](db::Transaction& tx) { return snapshots_.insert(tx, snapshot); });
    undo.add([&] { global_.write([&](db::Transaction& tx) { snapshots_.remove(tx, snapshot.id); }); });
    fault_point("volume-snapshot:recorded");
    const auto staged = make(*driver, custom_snapshot(volume, snapshot.name));
    undo.add([&, staged] { driver->discard(staged); });
    fault_point("volume-snapshot:staged");
    driver->publish(staged);
    undo.commit();
    fault_point("volume-snapshot:published");
    intents_.end(intent);
}

void CustomVolumesImpl::update_snapshot(const VolumeRef& ref, const std::string& name,
                                        const api::StorageVolumeSnapshotPut& change, const std::string& if_match) {
    const auto row = need_row(ref);
    const auto guards = lock({&row});
    api::check_etag(etag(snapshot(ref, name)), if_match);
    auto changed = need_snapshot(row, name);
    changed.description = change.description.value_or("");
    changed.expires_at = change.expires_at.value_or(api::Time{});
    store_snapshot(row, std::move(changed));
}

void CustomVolumesImpl::patch_snapshot(const VolumeRef& ref, const std::string& name,
                                       const api::StorageVolumeSnapshotPut& change, const std::string& if_match) {
    const auto row = need_row(ref);
    const auto guards = lock({&row});
    api::check_etag(etag(snapshot(ref, name)), if_match);
    auto changed = need_snapshot(row, name);
    if (change.description) changed.description = *change.description;
    if (change.expires_at) changed.expires_at = *change.expires_at;
    store_snapshot(row, std::move(changed));
}

void CustomVolumesImpl::store_snapshot(const Row& row, SnapshotRow snapshot) {
    global_.write([&](db::Transaction& tx) { snapshots_.update(tx, snapshot); });
    events_.lifecycle(row.project, "storage-volume-snapshot-updated",
                      fmt::format("/1.0/storage-pools/{}/volumes/{}/{}/snapshots/{}{}", row.pool, api_volume(row).type,
                                  row.name, snapshot.name, row.project == "default" ? "" : "?project=" + row.project));
}

OperationPtr CustomVolumesImpl::rename_snapshot(const VolumeRef& ref, const std::string& name,
                                                const api::StorageVolumeSnapshotPost& change) {
    require_custom(ref.type);
    names::check_volume(change.name);
    check_snapshot_name(change.name);
    if (change.migration) throw Error{ErrorCode::Unsupported, "Volumes cannot be sent to other servers"};
    const auto row = need_row(ref);
    return start_operation(kVolumeSnapshotRename, row, "storage_volume_snapshots",
                           [this, ref, name, to = change.name](OperationContext&) {
                               const auto volume = need_row(ref);
                               const auto guards = lock({&volume});
                               (void)need_source(ref.pool, ref.project, ref.name + "/" + name);
                               rename_snapshot_of(need_row(ref), name, to);
                           });
}

void CustomVolumesImpl::rename_snapshot_of(const Row& row, const std::string& name, const std::string& to) {
    const auto snapshot = need_snapshot(row, name);
    if (global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, row.id, to); }))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Snapshot {} already in use", text::quote(to))};
    const auto driver = access_.driver(row.pool);
    const auto intent = intents_.begin(intent::kSnapshotRename, row.project, row.name, data_of(row, name, to));
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    driver->rename(custom_snapshot(row, name), to);
    undo.add([&] { driver->rename(custom_snapshot(row, to), name); });
    fault_point("volume-snapshot-rename:renamed");
    global_.write([&](db::Transaction& tx) { snapshots_.rename(tx, snapshot.id, to); });
    undo.commit();
    fault_point("volume-snapshot-rename:recorded");
    intents_.end(intent);
    snapshot_event(row, name, "storage-volume-snapshot-renamed", "old_name", name);
}

OperationPtr CustomVolumesImpl::remove_snapshot(const VolumeRef& ref, const std::string& name) {
    require_custom(ref.type);
    const auto row = need_row(ref);
    (void)need_snapshot(row, name);
    return start_operation(kVolumeSnapshotDelete, row, "storage_volume_snapshots",
                           [this, ref, name](OperationContext&) {
                               const auto volume = need_row(ref);
                               const auto guards = lock({&volume});
                               remove_snapshot_of(volume, need_snapshot(volume, name));
                           });
}

void CustomVolumesImpl::remove_snapshot_of(const Row& row, const SnapshotRow& snapshot) {
    const auto driver = access_.driver(row.pool);
    const auto intent = intents_.begin(intent::kSnapshotDelete, row.project, row.name, data_of(row, snapshot.name));
    fault_point("volume-snapshot-delete:intended");
    const auto trash = driver->set_aside(custom_snapshot(row, snapshot.name));
    fault_point("volume-snapshot-delete:aside");
    global_.write([&](db::Transaction& tx) { snapshots_.remove(tx, snapshot.id); });
    if (trash) access_.discard_later(row.pool, *trash);
    intents_.end(intent);
    snapshot_event(row, snapshot.name, "storage-volume-snapshot-deleted");
}

} // namespace lxdcore::storage
