// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "instance/volume_backups_impl.hpp"
#include "operation/volume_operation_types.hpp"
#include "storage/pool_access.hpp"
#include "storage/server_folders.hpp"
#include "storage/storage_driver.hpp"
#include "util/text.hpp"

namespace lxdcore {

VolumeBackupService::~VolumeBackupService() = default;

namespace instance {

namespace {

api::StorageVolumeBackup shown(const db::BackupRow& row) {
    return {.name = row.name,
            .created_at = row.created_at,
            .expires_at = row.expires_at,
            .volume_only = row.alone,
            .optimized_storage = row.optimized};
}

void require_custom(const std::string& type) {
    if (type == "custom") return;
    if (type != "container" && type != "image" && type != "virtual-machine")
        throw Error{ErrorCode::InvalidArgument, "Invalid storage volume type name"};
    throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid storage volume type {}", text::quote(type))};
}

OperationOptions change_options(int type, const VolumeRef& ref) {
    return {.type = type, .project = ref.project, .resources = {{"volume", {"/1.0/volume/" + ref.name}}}}; // LXD's
}

} // namespace

std::unique_ptr<VolumeBackups> make_volume_backups(const VolumeBackupsNeeds& needs) {
    return std::make_unique<VolumeBackupsImpl>(needs);
}

VolumeBackupsImpl::VolumeBackupsImpl(const VolumeBackupsNeeds& needs)
    : s_{needs}, store_{needs.local,
                        needs.global,
                        storage::PoolAccess::of(needs.pools).server_folders().backups(),
                        BackupStore::Of::Volumes,
                        "custom",
                        "Storage volume backup not found"} {
    s_.volumes.set_follower([this](const std::string& from, const std::string& to) {
        if (to.empty())
            store_.drop(from);
        else
            store_.move(from, to);
    });
}

VolumeBackupsImpl::~VolumeBackupsImpl() { s_.volumes.set_follower({}); }

std::optional<db::StorageVolumeRow> VolumeBackupsImpl::find(const VolumeRef& ref) const {
    return s_.global.read_value([&](db::Transaction& tx) {
        return volumes_.find(
            tx, {.pool = ref.pool, .project = ref.project, .name = ref.name, .kind = db::VolumeKind::Custom});
    });
}

db::StorageVolumeRow VolumeBackupsImpl::need(const VolumeRef& ref) const {
    require_custom(ref.type);
    (void)s_.pools.get(ref.pool);
    auto row = find(ref);
    if (!row) throw Error{ErrorCode::NotFound, "Storage pool volume not found"};
    return std::move(*row);
}

BackupOwner VolumeBackupsImpl::owner_of(const Row& row) {
    return {.id = row.id,
            .project = row.project,
            .name = row.name,
            .folder = fmt::format("{}/{}_{}", row.pool, row.project, row.name),
            .pool = row.pool};
}

std::vector<api::StorageVolumeBackup> VolumeBackupsImpl::backups(const VolumeRef& ref) const {
    std::vector<api::StorageVolumeBackup> out;
    for (const auto& row : store_.list(need(ref).id))
        out.push_back(shown(row));
    return out;
}

api::StorageVolumeBackup VolumeBackupsImpl::backup(const VolumeRef& ref, const std::string& name) const {
    return shown(store_.need(need(ref).id, name));
}

OperationPtr VolumeBackupsImpl::create_backup(const VolumeRef& ref, const api::StorageVolumeBackupsPost& request) {
    const auto volume = need(ref);
    if (!request.name.empty()) BackupStore::check_name(request.name);
    const auto compression = backup_compression(s_.global, request.compression_algorithm);
    auto reserved = store_.reserve(owner_of(volume), request.name);
    const auto driver = storage::PoolAccess::of(s_.pools).driver(ref.pool);
    const db::BackupRow row{.owner = volume.id,
                            .name = reserved.name,
                            .created_at = api::Time::from_unix(api::Time::now().unix_seconds()),
                            .expires_at = request.expires_at,
                            .alone = request.volume_only,
                            .optimized = request.optimized_storage && driver->send_receive() != nullptr};
    const auto name = reserved.name.empty() ? request.name : reserved.name;
    OperationOptions how{.type = kVolumeBackupCreate,
                         .project = ref.project,
                         .resources = {{"storage_volumes", {"/1.0/storage_volumes/" + ref.name}},
                                       {"backups", {"/1.0/backups/" + name}}}};
    // The name is free before the operation is seen to have ended, so that it can be used again at once.
    const auto held = std::make_shared<std::shared_ptr<void>>(std::move(reserved.held));
    return s_.operations.start(std::move(how), [this, volume, row, held, compression, name](OperationContext& op) {
        const auto reservation = std::move(*held);
        if (row.name.empty())
            throw Error{ErrorCode::AlreadyExists, fmt::format("Create volume backup: Backup {} already exists",
                                                              text::quote(volume.name + "/" + name))};
        const auto write = [&](int file, const Dir& folder) {
            try {
                pack(volume, row, compression, file, folder, op);
            } catch (Error& error) {
                if (error.code() == ErrorCode::NoSpace) throw Error{ErrorCode::NoSpace, "No space left for the backup"};
                error.add_context("Create volume backup");
                throw;
            }
            op.throw_if_cancelled();
        };
        const auto there = [&](db::Transaction& tx) {
            const auto now = volumes_.find(
                tx, {.pool = volume.pool, .project = volume.project, .name = volume.name, .kind = volume.kind});
            return now && now->id == volume.id;
        };
        store_.create(owner_of(volume), row, write, there);
        tell(volume, "storage-volume-backup-created", row.name, {{"type", "custom"}});
    });
}

OperationPtr VolumeBackupsImpl::rename_backup(const VolumeRef& ref, const std::string& name, const std::string& to) {
    (void)backup(ref, name);
    BackupStore::check_name(to);
    return s_.operations.start(change_options(kVolumeBackupRename, ref), [this, ref, name, to](OperationContext&) {
        const auto volume = need(ref);
        store_.rename(owner_of(volume), name, to);
        tell(volume, "storage-volume-backup-renamed", to, {{"old_name", name}});
    });
}

OperationPtr VolumeBackupsImpl::remove_backup(const VolumeRef& ref, const std::string& name) {
    (void)backup(ref, name);
    return s_.operations.start(change_options(kVolumeBackupRemove, ref),
                               [this, ref, name](OperationContext&) { run_remove(need(ref), name); });
}

void VolumeBackupsImpl::run_remove(const Row& volume, const std::string& name) {
    store_.remove(owner_of(volume), name);
    tell(volume, "storage-volume-backup-deleted", name, nullptr);
}

BackupService::File VolumeBackupsImpl::open_backup(const VolumeRef& ref, const std::string& name) {
    const auto volume = need(ref);
    auto file = store_.open(owner_of(volume), name);
    tell(volume, "storage-volume-backup-retrieved", name, nullptr);
    return file;
}

void VolumeBackupsImpl::start() {
    const auto owner = [this](const db::Intent& intent) -> std::optional<BackupOwner> {
        const auto data = nlohmann::json::parse(intent.data, nullptr, false);
        const auto pool = data.is_object() ? data.value("pool", std::string{}) : std::string{};
        const auto row = find({.pool = pool, .project = intent.project, .name = intent.entity});
        if (!row) return std::nullopt;
        return owner_of(*row);
    };
    try {
        store_.repair(owner);
    } catch (const Error& error) { // a disk that cannot be written to: a later start tries again
        s_.log.warning("Failed to clean up after interrupted backups of volumes", {{"err", error.what()}});
    }
}

void VolumeBackupsImpl::start_expiry() {
    timer_ = std::make_unique<MinuteTimer>([this](Schedule::Time, Schedule::Time) { expire(); });
}

/// By the clock on the wall: after a jump of it what has expired goes, and once only (R59).
void VolumeBackupsImpl::expire() {
    try {
        const auto over = store_.expired();
        if (over.empty()) return;
        const auto rows = s_.global.read_value(
            [&](db::Transaction& tx) { return volumes_.list(tx, {.kind = db::VolumeKind::Custom}); });
        for (const auto& row : rows)
            for (const auto& backup : over)
                if (backup.owner == row.id) run_remove(row, backup.name);
    } catch (const std::exception& error) {
        s_.log.warning("Failed to remove expired backups of volumes", {{"err", error.what()}});
    }
}

void VolumeBackupsImpl::tell(const Row& volume, const char* action, const std::string& backup,
                             const nlohmann::json& context) const {
    const auto source = fmt::format("/1.0/storage-pools/{}/volumes/custom/{}/backups/{}{}", volume.pool, volume.name,
                                    backup, volume.project == "default" ? "" : "?project=" + volume.project);
    if (context.is_null()) return s_.events.lifecycle(volume.project, action, source);
    s_.events.lifecycle(volume.project, action, source, context);
}

} // namespace instance
} // namespace lxdcore
