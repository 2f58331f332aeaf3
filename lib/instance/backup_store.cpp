// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_store.hpp"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::size_t kMaxName = 200;

std::string text_of(const nlohmann::json& data, const char* key) {
    return data.is_object() ? data.value(key, std::string{}) : std::string{};
}

} // namespace

BackupStore::BackupStore(db::Database& local, db::Database& global, storage::ServerFolder& place, Of of,
                         std::string top, std::string not_found)
    : global_{global}, folder_{place}, top_{std::move(top)}, not_found_{std::move(not_found)},
      instances_{of == Of::Instances}, rows_{of}, intents_{local} {}

void BackupStore::check_name(const std::string& name) {
    if (name.find('/') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Backup names may not contain slashes"};
    if (name.empty() || name.size() > kMaxName || name.front() == '.' || names::has_control(name) ||
        !names::is_utf8(name) || name.find('\\') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Invalid backup name " + text::quote(name)};
}

std::vector<db::BackupRow> BackupStore::list(std::int64_t owner) const {
    return global_.read_value([&](db::Transaction& tx) { return rows_.list(tx, owner); });
}

db::BackupRow BackupStore::need(std::int64_t owner, const std::string& name) const {
    for (auto& row : list(owner))
        if (row.name == name) return std::move(row);
    throw Error{ErrorCode::NotFound, not_found_};
}

BackupStore::Reserved BackupStore::reserve(const BackupOwner& owner, const std::string& wanted) {
    const auto begun = begun_.lock();
    const auto known = list(owner.id);
    const auto taken = [&](const std::string& name) {
        return begun->contains({owner.folder, name}) ||
               std::any_of(known.begin(), known.end(), [&](const auto& backup) { return backup.name == name; });
    };
    auto name = wanted;
    for (int i = 0; name.empty(); ++i)
        if (const auto next = fmt::format("backup{}", i); !taken(next)) name = next;
    if (taken(name)) return {};
    begun->emplace(owner.folder, name);
    return {name, std::shared_ptr<void>{
                      nullptr, [this, key = std::pair{owner.folder, name}](void*) { begun_.lock()->erase(key); }}};
}

std::string BackupStore::kind(const char* action) const {
    return std::string{instances_ ? "backup-" : "volume-backup-"} + action;
}

std::int64_t BackupStore::begin(const char* action, const BackupOwner& owner, const std::string& name,
                                const std::string& to) {
    const nlohmann::json data{{"backup", name}, {"to", to}, {"folder", owner.folder}, {"pool", owner.pool}};
    return intents_.begin(kind(action), owner.project, owner.name, data.dump());
}

BackupStore::Place BackupStore::place() const {
    auto held = folder_.use();
    auto dir = held->make_dir(top_, 0700);
    return {std::move(held), std::move(dir)};
}

void BackupStore::create(const BackupOwner& owner, const db::BackupRow& row, const Pack& pack, const There& there) {
    const auto& name = row.name;
    const auto at = place();
    const auto folder = at.dir.make_dir(owner.folder, 0700);
    const auto intent = begin("create", owner, name);
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("backup-create:intent");
    const auto temporary = fmt::format(".{}.{}", text::random_hex(4), name);
    undo.add([&, temporary] { folder.remove(temporary); });
    const auto file = folder.open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
    pack(file.get(), folder);
    fault_point("backup-create:packed");
    if (::fsync(file.get()) != 0) throw_errno("backup");
    folder.replace(temporary, name);
    folder.sync();
    undo.add([&] { folder.remove(name); });
    fault_point("backup-create:file");
    global_.write([&](db::Transaction& tx) {
        if (!there(tx)) throw Error{ErrorCode::NotFound, owner.name + " was renamed or removed meanwhile"};
        rows_.insert(tx, owner.name, row);
    });
    undo.commit();
    fault_point("backup-create:row");
    intents_.end(intent);
}

void BackupStore::rename(const BackupOwner& owner, const std::string& name, const std::string& to) {
    const auto row = need(owner.id, name);
    const auto reserved = reserve(owner, to);
    if (reserved.name.empty()) throw Error{ErrorCode::AlreadyExists, "Backup " + text::quote(to) + " already exists"};
    const auto at = place();
    const auto folder = at.dir.dir(owner.folder);
    const auto intent = begin("rename", owner, name, to);
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("backup-rename:intent");
    folder.rename(name, to);
    undo.add([&] { folder.rename(to, name); });
    folder.sync();
    fault_point("backup-rename:file");
    global_.write([&](db::Transaction& tx) { rows_.rename(tx, row.id, owner.name, to); });
    undo.commit();
    fault_point("backup-rename:row");
    intents_.end(intent);
}

std::optional<Dir> BackupStore::find_folder(const Place& at, const std::string& folder) const {
    if (folder.empty() || !at.dir.exists(folder)) return std::nullopt;
    return at.dir.dir(folder);
}

void BackupStore::remove(const BackupOwner& owner, const std::string& name) {
    const auto row = need(owner.id, name);
    const auto intent = begin("delete", owner, name);
    fault_point("backup-delete:intent");
    const auto at = place();
    if (const auto folder = find_folder(at, owner.folder)) {
        folder->remove(name);
        if (folder->list().empty()) drop(owner.folder);
    }
    fault_point("backup-delete:file");
    global_.write([&](db::Transaction& tx) { rows_.remove(tx, row.id); });
    fault_point("backup-delete:row");
    intents_.end(intent);
}

BackupService::File BackupStore::open(const BackupOwner& owner, const std::string& name) const {
    (void)need(owner.id, name);
    auto file = place().dir.dir(owner.folder).open_file(name, O_RDONLY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno("backup");
    if (!S_ISREG(status.st_mode)) throw Error{ErrorCode::Internal, "The backup is no file"};
    return {
        .fd = file.release(), .size = status.st_size, .modified = api::Time::from_unix(status.st_mtim.tv_sec).str()};
}

void BackupStore::move(const std::string& from, const std::string& to) const {
    const auto at = place();
    const auto& folders = at.dir;
    if (!folders.exists(from)) return;
    folders.remove_tree(to);
    if (const auto slash = to.rfind('/'); slash != std::string::npos) folders.make_dir(to.substr(0, slash), 0700);
    folders.rename(from, to);
    folders.sync();
    drop(from); // and what is empty above it now
}

void BackupStore::drop(const std::string& folder) const {
    const auto at = place();
    const auto& folders = at.dir;
    folders.remove_tree(folder);
    const auto above = folder.substr(0, std::min(folder.find('/'), folder.size()));
    if (above != folder && folders.exists(above) && folders.dir(above).list().empty()) folders.remove(above);
}

bool BackupStore::has_row(const std::optional<BackupOwner>& owner, const std::string& name) const {
    if (!owner) return false;
    const auto known = list(owner->id);
    return std::any_of(known.begin(), known.end(), [&](const auto& row) { return row.name == name; });
}

void BackupStore::repair_one(const Place& at, const std::string& action, const db::Intent& intent,
                             const std::optional<BackupOwner>& owner) {
    const auto data = nlohmann::json::parse(intent.data, nullptr, false);
    const auto name = text_of(data, "backup"), to = text_of(data, "to");
    const auto folder = find_folder(at, owner ? owner->folder : text_of(data, "folder"));
    if (!name.empty() && folder) {
        if (action == "rename") { // the file follows the row
            if (!has_row(owner, to) && folder->exists(to) && !folder->exists(name)) folder->rename(to, name);
        } else if (action == "delete" || !has_row(owner, name)) {
            folder->remove(name);
        }
    }
    if (action != "delete" || !has_row(owner, name)) return;
    const auto row = need(owner->id, name);
    global_.write([&](db::Transaction& tx) { rows_.remove(tx, row.id); });
}

/// Hidden files and what is empty then.
void BackupStore::sweep(const Dir& folders) const {
    for (const auto& name : folders.list()) {
        if (name.starts_with('.')) {
            folders.remove(name);
        } else if (S_ISDIR(folders.stat(name).st_mode)) {
            const auto inner = folders.dir(name);
            sweep(inner);
            if (inner.list().empty()) folders.remove(name);
        }
    }
}

void BackupStore::repair(const Find& find) {
    std::optional<Place> at;
    try {
        at = place();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::Unavailable) return;
        throw;
    }
    for (const auto* action : {"create", "rename", "delete"}) {
        for (const auto& intent : intents_.pending(kind(action))) {
            repair_one(*at, action, intent, find(intent));
            intents_.end(intent.id);
        }
    }
    sweep(at->dir);
}

std::vector<db::BackupRow> BackupStore::expired() const {
    return global_.read_value([&](db::Transaction& tx) { return rows_.expired(tx, api::Time::now()); });
}

} // namespace lxdcore::instance
