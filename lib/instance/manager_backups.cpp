// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include <lxdcore/error.hpp>

#include "instance/backup_writer.hpp"
#include "instance/manager_backup_work.hpp"
#include "operation/operation_types.hpp"
#include "storage/pool_access.hpp"
#include "storage/storage_driver.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

api::InstanceBackup shown(const db::BackupRow& row) {
    return {.name = row.name,
            .created_at = row.created_at,
            .expires_at = row.expires_at,
            .instance_only = row.alone,
            .container_only = row.alone,
            .optimized_storage = row.optimized};
}

std::string backup_url(const InstanceRef& ref, const std::string& name) {
    const auto url = "/1.0/instances/" + ref.name + "/backups/" + name;
    return ref.project == "default" ? url : url + "?project=" + ref.project;
}

} // namespace

BackupOwner Manager::backup_owner(const InstanceRef& ref) const {
    return {.id = load(ref).row.id, .project = ref.project, .name = ref.name, .folder = dir_name(ref)};
}

std::vector<api::InstanceBackup> Manager::backups(const InstanceRef& ref) const {
    std::vector<api::InstanceBackup> out;
    for (const auto& row : backup_store_.list(load(ref).row.id))
        out.push_back(shown(row));
    return out;
}

std::map<std::string, std::vector<api::InstanceBackup>> Manager::backups_by_instance(const std::string& project) const {
    std::map<std::int64_t, std::string> names;
    std::vector<db::BackupRow> rows;
    s_.global.read([&](db::Transaction& tx) {
        names.clear();
        rows = backups_.all(tx);
        if (rows.empty()) return;
        for (const auto& instance : repo_.list(tx, project))
            names[instance.id] = instance.name;
    });
    std::map<std::string, std::vector<api::InstanceBackup>> out;
    for (const auto& row : rows)
        if (const auto it = names.find(row.owner); it != names.end()) out[it->second].push_back(shown(row));
    return out;
}

api::InstanceBackup Manager::backup(const InstanceRef& ref, const std::string& name) const {
    return shown(backup_store_.need(load(ref).row.id, name));
}

OperationPtr Manager::create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) {
    auto work = std::make_shared<BackupWork>();
    work->ref = ref;
    const auto owner = backup_owner(ref);
    if (!request.name.empty()) BackupStore::check_name(request.name);
    work->compression = backup_compression(s_.global, request.compression_algorithm);
    auto reserved = backup_store_.reserve(owner, request.name);
    const auto pool = s_.storage.pool_of(ref.project, ref.name);
    const bool streams = storage::PoolAccess::of(s_.storage).driver(pool)->send_receive() != nullptr;
    work->row = {.owner = owner.id,
                 .name = reserved.name,
                 .created_at = api::Time::from_unix(api::Time::now().unix_seconds()),
                 .expires_at = request.expires_at,
                 .alone = request.instance_only || request.container_only,
                 .optimized = request.optimized_storage && streams};
    auto options = operation_options(kBackupCreate, ref);
    options.resources["backups"] = {"/1.0/backups/" + (reserved.name.empty() ? request.name : reserved.name)};
    // The name is free before the operation is seen to have ended, so that it can be used again at once.
    const auto held = std::make_shared<std::shared_ptr<void>>(std::move(reserved.held));
    return s_.operations.start(std::move(options), [this, work, held, wanted = request.name](OperationContext& op) {
        const auto reservation = std::move(*held);
        if (work->row.name.empty())
            throw Error{ErrorCode::AlreadyExists,
                        "Create backup: Backup " + text::quote(work->ref.name + "/" + wanted) + " already exists"};
        run_backup(*work, op);
    });
}

void Manager::run_backup(BackupWork& work, OperationContext& op) {
    const auto& ref = work.ref;
    write_backup_file(ref);
    const auto pack = [&](int file, const Dir& folder) {
        try {
            pack_backup(work, file, folder, op);
        } catch (Error& error) {
            if (error.code() == ErrorCode::NoSpace) throw Error{ErrorCode::NoSpace, "No space left for the backup"};
            error.add_context("Create backup");
            throw;
        }
        op.throw_if_cancelled();
    };
    const auto there = [&](db::Transaction& tx) {
        const auto now = repo_.find(tx, ref.project, ref.name);
        return now && now->id == work.row.owner;
    };
    backup_store_.create(backup_owner(ref), work.row, pack, there);
    s_.events.lifecycle(ref.project, "instance-backup-created", backup_url(ref, work.row.name));
}

OperationPtr Manager::rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) {
    (void)backup(ref, name);
    BackupStore::check_name(to);
    return s_.operations.start(operation_options(kBackupRename, ref), [this, ref, name, to](OperationContext&) {
        const auto claim = claims_.wait(ref, "update", std::chrono::seconds{10});
        backup_store_.rename(backup_owner(ref), name, to);
        s_.events.lifecycle(ref.project, "instance-backup-renamed", backup_url(ref, to), {{"old_name", name}});
    });
}

OperationPtr Manager::remove_backup(const InstanceRef& ref, const std::string& name) {
    (void)backup(ref, name);
    OperationOptions options{.type = kBackupRemove, .project = ref.project, .resources = {}};
    options.resources["container"] = {"/1.0/container/" + ref.name}; // LXD's spelling
    return s_.operations.start(std::move(options),
                               [this, ref, name](OperationContext&) { run_remove_backup(ref, name); });
}

void Manager::run_remove_backup(const InstanceRef& ref, const std::string& name) {
    const auto claim = claims_.wait(ref, "update", std::chrono::seconds{10});
    backup_store_.remove(backup_owner(ref), name);
    s_.events.lifecycle(ref.project, "instance-backup-deleted", backup_url(ref, name));
}

BackupService::File Manager::open_backup(const InstanceRef& ref, const std::string& name) {
    auto file = backup_store_.open(backup_owner(ref), name);
    s_.events.lifecycle(ref.project, "instance-backup-retrieved", backup_url(ref, name));
    return file;
}

void Manager::repair_backups() {
    const auto find = [this](const db::Intent& intent) -> std::optional<BackupOwner> {
        try {
            return backup_owner({intent.project, intent.entity});
        } catch (const Error&) { // gone meanwhile
            return std::nullopt;
        }
    };
    try {
        backup_store_.repair(find);
    } catch (const Error& error) { // a disk that cannot be written to: a later start tries again
        s_.log.warning("Failed to clean up after interrupted backups", {{"err", error.what()}});
    }
}

/// Once an hour, by the clock on the wall: after a jump of it what has expired goes, and once only (R59).
void Manager::expire_backups() {
    std::vector<std::pair<InstanceRef, std::string>> over;
    if (const auto expired = backup_store_.expired(); !expired.empty())
        for (const auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); }))
            for (const auto& backup : expired)
                if (backup.owner == row.id) over.emplace_back(InstanceRef{row.project, row.name}, backup.name);
    for (const auto& [ref, name] : over) {
        try {
            run_remove_backup(ref, name);
        } catch (const std::exception& error) {
            s_.log.warning("Failed to remove an expired backup",
                           {{"instance", ref.name}, {"backup", name}, {"err", error.what()}});
        }
    }
    post_after(std::chrono::hours{1}, [this] { expire_backups(); });
}

} // namespace lxdcore::instance
