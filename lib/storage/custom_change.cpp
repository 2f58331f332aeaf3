// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "storage/custom_impl.hpp"
#include "storage/manager_impl.hpp"
#include "storage/server_folders.hpp"
#include "storage/volume_users.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

std::string entry_of(const api::StringMap& config, const char* key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

constexpr const char* kFilesystem = "block.filesystem";

bool flag(const api::StringMap& config, const char* key) { return text::is_true(entry_of(config, key)); }

} // namespace

std::vector<std::string> CustomVolumesImpl::running_users(const Row& row) const {
    auto users = global_.read_value([&](db::Transaction& tx) {
        return VolumeUsers{tx, row.project}.instances(row.pool, row.name);
    });
    std::erase_if(users, [&](const std::string& name) { return !running_ || !running_(row.project, name); });
    return users;
}

bool CustomVolumesImpl::used_by_server(const Row& row) const {
    return row.project == "default" &&
           local_.read_value([&](db::Transaction& tx) { return ServerFolders::uses(tx, row.pool, row.name); });
}

void CustomVolumesImpl::update(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) {
    auto row = need_row(ref);
    const auto guards = lock({&row});
    row = need_row(ref);
    api::check_etag(etag(api_volume(row)), if_match);
    if (change.config) check_config(row, *change.config);
    if (!change.restore.empty()) {
        if (row.kind != db::VolumeKind::Custom)
            throw Error{ErrorCode::InvalidArgument,
                        fmt::format("Invalid storage volume type {}", text::quote(ref.type))};
        restore(row, change.restore);
    }
    if (change.config || change.restore.empty())
        store(std::move(row), change.config.value_or(api::StringMap{}), change.description);
}

void CustomVolumesImpl::patch(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) {
    auto row = need_row(ref);
    const auto guards = lock({&row});
    row = need_row(ref);
    api::check_etag(etag(api_volume(row)), if_match);
    auto config = row.config;
    for (const auto& [key, value] : change.config.value_or(api::StringMap{}))
        config[key] = value;
    store(std::move(row), std::move(config), change.description);
}

void CustomVolumesImpl::store(Row row, api::StringMap config, std::string description) {
    check_config(row, config);
    std::erase_if(config, [](const auto& item) { return item.second.empty(); });
    const auto before = row;
    if (row.kind == db::VolumeKind::Custom) {
        // One that is left out stays what it is; no filesystem becomes another.
        if (const auto now = entry_of(row.config, kFilesystem); !now.empty()) {
            if (const auto wanted = entry_of(config, kFilesystem); !wanted.empty() && wanted != now)
                throw Error{ErrorCode::Internal, "Custom volume 'block.filesystem' property cannot be changed"};
            config[kFilesystem] = now;
        }
        // Whose the files on disk are is no matter of taste: what is left out stays.
        for (const char* key : {"volatile.idmap.last", "volatile.idmap.next"})
            if (const auto value = entry_of(row.config, key); !value.empty()) config.emplace(key, value);
        if (flag(row.config, "security.shifted") != flag(config, "security.shifted") && !running_users(row).empty())
            throw Error{ErrorCode::Internal, "Cannot modify shifting with running instances using the volume"};
    }
    row.config = std::move(config);
    row.description = std::move(description);
    const bool resized =
        row.kind == db::VolumeKind::Custom && entry_of(row.config, "size") != entry_of(before.config, "size");
    if (!resized) {
        global_.write([&](db::Transaction& tx) { volumes_.update(tx, row); });
    } else {
        const auto driver = access_.driver(row.pool);
        const auto intent = begin_resize(row);
        Rollback undo;
        undo.add([&] { intents_.end(intent); });
        apply_size(*driver, row, entry_of(before.config, "size"));
        undo.add([&] {
            if (!before.block) apply_size(*driver, before, entry_of(row.config, "size"));
        });
        fault_point("volume-resize:applied");
        global_.write([&](db::Transaction& tx) { volumes_.update(tx, row); });
        undo.commit();
        fault_point("volume-resize:recorded");
        intents_.end(intent);
    }
    if (row.kind == db::VolumeKind::Custom) return event(row, "storage-volume-updated");
    events_.lifecycle(row.project, "storage-volume-updated",
                      fmt::format("/1.0/storage-pools/{}/volumes/{}/{}", row.pool, api_volume(row).type,
                                  volume_name(row.project, row.name)));
}

/// A block volume cannot shrink: what was interrupted is finished, so all of the change is noted.
std::int64_t CustomVolumesImpl::begin_resize(const Row& row) {
    const nlohmann::json change{{"pool", row.pool}, {"config", row.config}, {"description", row.description}};
    return intents_.begin(intent::kResize, row.project, row.name, change.dump());
}

void CustomVolumesImpl::restore(Row row, const std::string& name) {
    const auto snapshot = global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, row.id, name); });
    if (!snapshot) throw Error{ErrorCode::Internal, "Snapshot not found"};
    if (!running_users(row).empty())
        throw Error{ErrorCode::Internal, "Cannot restore custom volume used by running instances"};
    const auto driver = access_.driver(row.pool);
    finish_shifts(row);
    auto id = custom_volume(row);
    id.row = 0; // the limit of the volume stays, and what takes its place is counted as it was
    const auto staged = driver->stage_clone(id, custom_snapshot(row, name), {});
    std::optional<std::int64_t> resize;
    Rollback undo;
    undo.add([&] {
        driver->discard(staged);
        if (resize) intents_.end(*resize);
    });
    shift_staged(*driver, staged, entry_of(snapshot->config, "volatile.idmap.last"),
                 entry_of(row.config, "volatile.idmap.last"));
    fault_point("volume-restore:staged");
    if (driver->mounts_volumes()) resize = begin_resize(row); // a device is as large as it was then
    driver->exchange(staged);
    undo.commit();
    fault_point("volume-restore:exchanged");
    access_.discard_later(row.pool, staged);
    if (resize) {
        apply_size(*driver, row, entry_of(row.config, "size"));
        intents_.end(*resize);
    }
    event(row, "storage-volume-restored", "snapshot", name);
}

void CustomVolumesImpl::remove(const VolumeRef& ref) {
    auto row = need_row(ref);
    if (row.kind != db::VolumeKind::Custom)
        throw Error{
            ErrorCode::InvalidArgument,
            fmt::format("Storage volumes of type {} cannot be deleted with the storage API", text::quote(ref.type))};
    const auto guards = lock({&row});
    row = need_row(ref);
    const auto users = global_.read_value([&](db::Transaction& tx) {
        return VolumeUsers{tx, row.project}.urls(row.pool, row.name);
    });
    if (!users.empty() || used_by_server(row)) throw Error{ErrorCode::BadState, "The storage volume is still in use"};
    remove_row(row);
}

/// From the intent on there is no way back: the next start goes on where this was interrupted.
void CustomVolumesImpl::remove_row(const Row& row) {
    (void)access_.driver(row.pool);
    const auto snapshots = snapshot_rows(row);
    const nlohmann::json data{{"pool", row.pool}, {"block", row.block}};
    const auto intent = intents_.begin(intent::kDelete, row.project, row.name, data.dump());
    fault_point("volume-delete:intended");
    drop_volume(row.pool, custom_name(row.project, row.name), row.block);
    fault_point("volume-delete:aside");
    global_.write([&](db::Transaction& tx) { volumes_.remove(tx, row.id); });
    fault_point("volume-delete:recorded");
    tell_follower(custom_place(row), "");
    intents_.end(intent);
    for (const auto& snapshot : snapshots)
        snapshot_event(row, snapshot.name, "storage-volume-snapshot-deleted");
    event(row, "storage-volume-deleted");
}

/// All of a volume; absent is fine.
void CustomVolumesImpl::drop_volume(const std::string& pool, const std::string& name, bool block) {
    const auto driver = access_.driver(pool);
    VolumeId id{.place = VolumePlace::Custom, .name = name};
    id.block = block;
    for (const auto& snapshot : driver->list_snapshots(id)) {
        auto one = id;
        one.snapshot = snapshot;
        if (auto trash = driver->set_aside(one)) access_.discard_later(pool, std::move(*trash));
        fault_point("volume-delete:snapshot");
    }
    if (auto trash = driver->set_aside(id)) access_.discard_later(pool, std::move(*trash));
}

} // namespace lxdcore::storage
