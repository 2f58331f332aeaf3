// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "config/validators.hpp"
#include "db/config_repository.hpp"
#include "instance/manager_backup_work.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kFolder = "backups/instances";
constexpr std::size_t kMaxName = 200;

void check_backup_name(const std::string& name) {
    if (name.find('/') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Backup names may not contain slashes"};
    if (name.empty() || name.size() > kMaxName || name.front() == '.' || names::has_control(name) ||
        !names::is_utf8(name) || name.find('\\') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Invalid backup name " + text::quote(name)};
}

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

std::string text_of(const nlohmann::json& data, const char* key) {
    return data.is_object() ? data.value(key, std::string{}) : std::string{};
}

} // namespace

std::vector<api::InstanceBackup> Manager::backups(const InstanceRef& ref) const {
    const auto id = load(ref).row.id;
    std::vector<api::InstanceBackup> out;
    for (const auto& row : s_.global.read_value([&](db::Transaction& tx) { return backups_.list(tx, id); }))
        out.push_back(shown(row));
    return out;
}

db::BackupRow Manager::need_backup(const InstanceRef& ref, const std::string& name) const {
    const auto id = load(ref).row.id;
    for (auto& row : s_.global.read_value([&](db::Transaction& tx) { return backups_.list(tx, id); }))
        if (row.name == name) return std::move(row);
    throw Error{ErrorCode::NotFound, "Load backup from database: Instance backup not found"};
}

api::InstanceBackup Manager::backup(const InstanceRef& ref, const std::string& name) const {
    return shown(need_backup(ref, name));
}

/// The name is the caller's until it takes it out of backups_begun_; "" if another has it.
std::string Manager::reserve_backup(const InstanceRef& ref, const std::string& wanted) {
    const auto begun = backups_begun_.lock();
    const auto known = backups(ref);
    const auto taken = [&](const std::string& name) {
        return begun->contains({ref, name}) ||
               std::any_of(known.begin(), known.end(), [&](const auto& backup) { return backup.name == name; });
    };
    auto name = wanted;
    for (int i = 0; name.empty(); ++i)
        if (const auto next = fmt::format("backup{}", i); !taken(next)) name = next;
    if (taken(name)) return {};
    begun->emplace(ref, name);
    return name;
}

OperationPtr Manager::create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) {
    auto work = std::make_shared<BackupWork>();
    work->ref = ref;
    work->instance = load(ref).row.id;
    if (!request.name.empty()) check_backup_name(request.name);
    auto compression = request.compression_algorithm;
    if (compression.empty()) {
        const auto settings = s_.global.read_value([&](db::Transaction& tx) { return db::ConfigRepository::all(tx); });
        if (const auto it = settings.find("backups.compression_algorithm"); it != settings.end())
            compression = it->second;
    }
    if (!compression.empty()) config::check::compression(compression);
    work->compression = Compression::parse(compression);
    const auto name = reserve_backup(ref, request.name);
    work->row = {.owner = work->instance,
                 .name = name,
                 .created_at = api::Time::from_unix(api::Time::now().unix_seconds()),
                 .expires_at = request.expires_at,
                 .alone = request.instance_only || request.container_only};
    auto options = operation_options(kBackupCreate, ref);
    options.resources["backups"] = {"/1.0/backups/" + (name.empty() ? request.name : name)};
    // Released with the last copy, however the operation ends.
    const std::shared_ptr<void> reserved{nullptr, [this, ref, name](void*) {
                                             if (!name.empty()) backups_begun_.lock()->erase({ref, name});
                                         }};
    return s_.operations.start(std::move(options), [this, work, reserved, wanted = request.name](OperationContext& op) {
        if (work->row.name.empty())
            throw Error{ErrorCode::AlreadyExists,
                        "Create backup: Backup " + text::quote(work->ref.name + "/" + wanted) + " already exists"};
        run_backup(*work, op);
    });
}

void Manager::run_backup(BackupWork& work, OperationContext& op) {
    const auto& [ref, name] = std::pair{work.ref, work.row.name};
    const auto folder = s_.state_dir.make_dir(kFolder, 0700).make_dir(dir_name(ref), 0700);
    const auto intent = intents_.begin("backup-create", ref.project, ref.name, nlohmann::json{{"backup", name}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("backup-create:intent");
    const auto temporary = fmt::format(".{}.{}", text::random_hex(4), name);
    undo.add([&] { folder.remove(temporary); });
    const auto file = folder.open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
    write_backup_file(ref);
    try {
        pack_backup(work, file.get(), folder, op);
        fault_point("backup-create:packed");
        if (::fsync(file.get()) != 0) throw_errno("backup");
    } catch (Error& error) {
        if (error.code() == ErrorCode::NoSpace) throw Error{ErrorCode::NoSpace, "No space left for the backup"};
        error.add_context("Create backup");
        throw;
    }
    op.throw_if_cancelled();
    folder.replace(temporary, name);
    folder.sync();
    undo.add([&] { folder.remove(name); });
    fault_point("backup-create:file");
    s_.global.write([&](db::Transaction& tx) {
        const auto now = repo_.find(tx, ref.project, ref.name);
        if (!now || now->id != work.instance)
            throw Error{ErrorCode::NotFound, "The instance was renamed or removed meanwhile"};
        backups_.insert(tx, ref.name, work.row);
    });
    undo.commit();
    fault_point("backup-create:row");
    intents_.end(intent);
    s_.events.lifecycle(ref.project, "instance-backup-created", backup_url(ref, name));
}

OperationPtr Manager::rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) {
    (void)need_backup(ref, name);
    check_backup_name(to);
    return s_.operations.start(operation_options(kBackupRename, ref),
                               [this, ref, name, to](OperationContext&) { run_rename_backup(ref, name, to); });
}

void Manager::run_rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) {
    const auto claim = claims_.wait(ref, "update", std::chrono::seconds{10});
    const auto row = need_backup(ref, name);
    if (reserve_backup(ref, to).empty())
        throw Error{ErrorCode::AlreadyExists, "Backup " + text::quote(to) + " already exists"};
    Rollback undo;
    undo.add([&] { backups_begun_.lock()->erase({ref, to}); });
    const auto folder = s_.state_dir.dir(kFolder).dir(dir_name(ref));
    const auto intent =
        intents_.begin("backup-rename", ref.project, ref.name, nlohmann::json{{"backup", name}, {"to", to}}.dump());
    undo.add([&] { intents_.end(intent); });
    fault_point("backup-rename:intent");
    folder.rename(name, to);
    undo.add([&] { folder.rename(to, name); });
    folder.sync();
    fault_point("backup-rename:file");
    s_.global.write([&](db::Transaction& tx) { backups_.rename(tx, row.id, ref.name, to); });
    undo.commit();
    fault_point("backup-rename:row");
    intents_.end(intent);
    backups_begun_.lock()->erase({ref, to});
    s_.events.lifecycle(ref.project, "instance-backup-renamed", backup_url(ref, to), {{"old_name", name}});
}

OperationPtr Manager::remove_backup(const InstanceRef& ref, const std::string& name) {
    (void)need_backup(ref, name);
    OperationOptions options{.type = kBackupRemove, .project = ref.project, .resources = {}};
    options.resources["container"] = {"/1.0/container/" + ref.name}; // LXD's spelling
    return s_.operations.start(std::move(options),
                               [this, ref, name](OperationContext&) { run_remove_backup(ref, name); });
}

/// Repeatable after a crash at any point (R42).
void Manager::run_remove_backup(const InstanceRef& ref, const std::string& name) {
    const auto claim = claims_.wait(ref, "update", std::chrono::seconds{10});
    const auto row = need_backup(ref, name);
    const auto intent = intents_.begin("backup-delete", ref.project, ref.name, nlohmann::json{{"backup", name}}.dump());
    fault_point("backup-delete:intent");
    const auto folders = s_.state_dir.dir(kFolder);
    if (folders.exists(dir_name(ref))) {
        const auto folder = folders.dir(dir_name(ref));
        folder.remove(name);
        if (folder.list().empty()) folders.remove(dir_name(ref));
    }
    fault_point("backup-delete:file");
    s_.global.write([&](db::Transaction& tx) { backups_.remove(tx, row.id); });
    fault_point("backup-delete:row");
    intents_.end(intent);
    s_.events.lifecycle(ref.project, "instance-backup-deleted", backup_url(ref, name));
}

BackupService::File Manager::open_backup(const InstanceRef& ref, const std::string& name) {
    (void)need_backup(ref, name);
    auto file = s_.state_dir.dir(kFolder).dir(dir_name(ref)).open_file(name, O_RDONLY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno("backup");
    if (!S_ISREG(status.st_mode)) throw Error{ErrorCode::Internal, "The backup is no file"};
    s_.events.lifecycle(ref.project, "instance-backup-retrieved", backup_url(ref, name));
    return {
        .fd = file.release(), .size = status.st_size, .modified = api::Time::from_unix(status.st_mtim.tv_sec).str()};
}

/// The files follow the rows, which say the new name already. Safe to repeat.
void Manager::move_backups(const InstanceRef& from, const InstanceRef& to) const {
    const auto folders = s_.state_dir.make_dir(kFolder, 0700);
    if (!folders.exists(dir_name(from))) return;
    folders.remove_tree(dir_name(to));
    folders.rename(dir_name(from), dir_name(to));
    folders.sync();
}

/// Finishes or undoes what was interrupted (R41). Nothing is being made now: every hidden file is a leftover.
void Manager::repair_backups() {
    const auto folders = s_.state_dir.make_dir(kFolder, 0700);
    const auto has_row = [&](const InstanceRef& ref, const std::string& name) {
        try {
            (void)need_backup(ref, name);
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    for (const auto* kind : {"backup-create", "backup-rename", "backup-delete"}) {
        for (const auto& intent : intents_.pending(kind)) {
            const auto data = nlohmann::json::parse(intent.data, nullptr, false);
            const auto name = text_of(data, "backup"), to = text_of(data, "to");
            const InstanceRef ref{intent.project, intent.entity};
            if (!name.empty() && folders.exists(dir_name(ref))) {
                const auto folder = folders.dir(dir_name(ref));
                if (std::string_view{kind} == "backup-rename") {
                    // The file follows the row.
                    if (!has_row(ref, to) && folder.exists(to) && !folder.exists(name)) folder.rename(to, name);
                } else if (std::string_view{kind} == "backup-delete" || !has_row(ref, name)) {
                    folder.remove(name);
                }
            }
            if (std::string_view{kind} == "backup-delete" && has_row(ref, name)) {
                const auto row = need_backup(ref, name);
                s_.global.write([&](db::Transaction& tx) { backups_.remove(tx, row.id); });
            }
            intents_.end(intent.id);
        }
    }
    for (const auto& owner : folders.list()) {
        const auto folder = folders.dir(owner);
        for (const auto& name : folder.list())
            if (name.starts_with('.')) folder.remove(name);
        if (folder.list().empty()) folders.remove(owner);
    }
}

/// Once an hour, by the clock on the wall: after a jump of it what has expired goes, and once only (R59).
void Manager::expire_backups() {
    std::vector<std::pair<InstanceRef, std::string>> over;
    s_.global.read([&](db::Transaction& tx) {
        over.clear();
        const auto expired = backups_.expired(tx, api::Time::now());
        if (expired.empty()) return;
        for (const auto& row : repo_.list(tx, ""))
            for (const auto& backup : expired)
                if (backup.owner == row.id) over.emplace_back(InstanceRef{row.project, row.name}, backup.name);
    });
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
