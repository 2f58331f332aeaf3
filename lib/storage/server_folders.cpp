// SPDX-License-Identifier: Apache-2.0
#include "storage/server_folders.hpp"

#include <cerrno>
#include <climits>
#include <exception>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "db/config_repository.hpp"
#include "db/storage_snapshot_repository.hpp"
#include "db/storage_volume_repository.hpp"
#include "storage/file_copy.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr const char* kImagesKey = "storage.images_volume";
constexpr const char* kBackupsKey = "storage.backups_volume";
constexpr const char* kMove = "server-folder-move";

/// What a filesystem of its own has from the beginning.
bool is_own(const std::string& name) { return name == "lost+found" || name == ".zfs"; }

std::string beside(const std::string& folder) { return "." + folder + "-new"; }

std::string text_of(const nlohmann::json& data, const char* key) {
    return data.is_object() ? data.value(key, std::string{}) : std::string{};
}

struct Look {
    mode_t mode = 0711;
    uid_t uid = 0;
    gid_t gid = 0;
    static Look of(const Dir& dir) {
        struct stat info {};
        if (::fstat(dir.fd(), &info) != 0) throw_errno(dir.path());
        return {info.st_mode & 07777, info.st_uid, info.st_gid};
    }
    void give(const Dir& dir) const {
        if (::fchown(dir.fd(), uid, gid) != 0 || ::fchmod(dir.fd(), mode) != 0) throw_errno(dir.path());
    }
};

void empty(const Dir& volume) {
    for (const auto& name : volume.list())
        if (!is_own(name)) volume.remove_tree(name);
}

/// On disk for good, and nobody else's.
void copy_into(const Dir& from, const Dir& to) {
    Look{.mode = 0700}.give(to);
    for (const auto& name : from.list())
        if (!is_own(name)) copy_entry(from, to, name, {});
    if (::syncfs(to.fd()) != 0) throw_errno(to.path());
}

} // namespace

ServerFolders::ServerFolders(const Needs& needs)
    : s_{needs}, intents_{needs.local}, images_{[this] { return open("images"); }}, backups_{[this] {
          return open("backups");
      }} {
    agree("images", kImagesKey);
    agree("backups", kBackupsKey);
}

ServerFolders::Volume ServerFolders::parse(const std::string& setting) {
    const auto parts = text::split(setting, '/');
    if (parts.size() != 2) throw Error{ErrorCode::Internal, "Invalid syntax for volume, must be <pool>/<volume>"};
    return {parts[0], parts[1]};
}

bool ServerFolders::uses(db::Transaction& tx, const std::string& pool, const std::string& volume) {
    const auto config = db::ConfigRepository::all(tx);
    for (const auto* key : {kImagesKey, kBackupsKey})
        if (const auto it = config.find(key); it != config.end() && it->second == pool + "/" + volume) return true;
    return false;
}

std::string ServerFolders::link_to(const std::string& setting) const {
    const auto volume = parse(setting);
    return fmt::format("{}/storage-pools/{}/custom/{}", s_.state_dir.path(), volume.pool, volume.directory());
}

std::string ServerFolders::linked(const Dir& state_dir, const std::string& folder) {
    const auto status = state_dir.stat_if_exists(folder);
    if (!status || !S_ISLNK(status->st_mode)) return {};
    const auto held = state_dir.open_file(folder, O_PATH | O_NOFOLLOW);
    char target[PATH_MAX];
    const auto length = ::readlinkat(held.get(), "", target, sizeof target);
    if (length < 0) throw_errno(folder);
    const auto parts = text::split({target, static_cast<std::size_t>(length)}, '/');
    const std::string_view project = "default_";
    const auto n = parts.size();
    if (n < 4 || parts[n - 4] != "storage-pools" || parts[n - 2] != "custom" || !parts[n - 1].starts_with(project))
        throw Error{ErrorCode::Internal,
                    fmt::format("{}/{} is a link to something else than a custom volume", state_dir.path(), folder)};
    return parts[n - 3] + "/" + parts[n - 1].substr(project.size());
}

/// The setting is stored before anything moves: of an interrupted change it may be ahead.
void ServerFolders::agree(const std::string& folder, const std::string& key) {
    const auto actual = linked(folder);
    const auto config = s_.local.read_value([](db::Transaction& tx) { return db::ConfigRepository::all(tx); });
    const auto it = config.find(key);
    if ((it == config.end() ? std::string{} : it->second) == actual) return;
    s_.local.write([&](db::Transaction& tx) { db::ConfigRepository::set(tx, {{key, actual}}); });
    s_.log.warning("An interrupted change of a setting is undone", {{"key", key}, {"value", actual}});
}

void ServerFolders::start() {
    for (const auto* folder : {"images", "backups"}) {
        try {
            repair(folder);
        } catch (const std::exception& error) { // the next start tries again
            s_.log.warning("Failed to finish a move", {{"folder", folder}, {"err", error.what()}});
        }
    }
}

void ServerFolders::repair(const std::string& folder) {
    for (const auto& intent : intents_.pending(kMove)) {
        if (intent.entity != folder) continue;
        const auto data = nlohmann::json::parse(intent.data, nullptr, false);
        const auto from = text_of(data, "from"), to = text_of(data, "to");
        const bool done = linked(folder) == to;
        if (const auto& other = done ? from : to; !other.empty()) {
            const auto volume = open_volume(other);
            empty(volume.dir);
            if (!done && data.contains("mode"))
                Look{data["mode"].get<mode_t>(), data["uid"].get<uid_t>(), data["gid"].get<gid_t>()}.give(volume.dir);
        }
        s_.state_dir.remove_tree(beside(folder));
        intents_.end(intent.id);
        s_.log.warning("Cleaned up after an interrupted move", {{"folder", folder}});
    }
}

MountedDir ServerFolders::open_volume(const std::string& setting) const {
    const auto volume = parse(setting);
    return s_.access.open_content(volume.pool, {.place = VolumePlace::Custom, .name = volume.directory()});
}

MountedDir ServerFolders::open(const std::string& folder) const {
    const auto setting = linked(folder);
    if (setting.empty()) return {nullptr, s_.state_dir.make_dir(folder, 0700)};
    return open_volume(setting);
}

void ServerFolders::change(const api::StringMap& changed) {
    const auto config = s_.local.read_value([](db::Transaction& tx) { return db::ConfigRepository::all(tx); });
    const auto now = [&](const char* key) {
        const auto it = config.find(key);
        return it == config.end() ? std::string{} : it->second;
    };
    Rollback undo;
    const auto before = linked("backups");
    if (const auto it = changed.find(kBackupsKey); it != changed.end()) {
        move("backups", backups_, it->second, now(kImagesKey));
        undo.add([this, before] { move("backups", backups_, before, ""); });
    }
    if (const auto it = changed.find(kImagesKey); it != changed.end())
        move("images", images_, it->second, now(kBackupsKey));
    undo.commit();
}

/// As LXD looks at it, with LXD's texts.
MountedDir ServerFolders::check(const std::string& setting, const std::string& other) const {
    const auto volume = parse(setting);
    std::string driver;
    try {
        driver = s_.pools.get(volume.pool).driver;
    } catch (Error& error) {
        error.add_context(fmt::format("Unable to load storage pool {}", text::quote(volume.pool)));
        throw;
    }
    if (driver == "ceph" || driver == "cephfs")
        throw Error{ErrorCode::Internal, "Server storage volumes cannot be stored on Ceph"};
    const auto row = s_.global.read_value([&](db::Transaction& tx) {
        return db::StorageVolumeRepository{}.find(
            tx, {.pool = volume.pool, .project = "default", .name = volume.name, .kind = db::VolumeKind::Custom});
    });
    if (!row)
        throw Error{ErrorCode::NotFound,
                    fmt::format("Failed loading storage volume {} in \"default\" project: Storage volume not found",
                                text::quote(setting))};
    if (row->block)
        throw Error{ErrorCode::Internal,
                    fmt::format("Storage volume {} in \"default\" project is not filesystem content type",
                                text::quote(setting))};
    const auto snapshots =
        s_.global.read_value([&](db::Transaction& tx) { return db::StorageSnapshotRepository{}.list(tx, row->id); });
    if (!snapshots.empty())
        throw Error{ErrorCode::Internal, "Storage volumes for use by LXD itself cannot have snapshots"};
    // LXD takes it, and moves the one together with the other from then on.
    if (setting == other) throw Error{ErrorCode::Internal, "The server uses the storage volume already"};
    auto content = open_volume(setting);
    for (const auto& name : content.dir.list())
        if (!is_own(name))
            throw Error{ErrorCode::Internal, fmt::format("Storage volume {} isn't empty", text::quote(setting))};
    return content;
}

void ServerFolders::move(const std::string& folder, ServerFolder& place, const std::string& to,
                         const std::string& other) {
    const auto from = linked(folder);
    if (from == to) return;
    std::optional<MountedDir> target;
    try {
        if (!to.empty()) target = check(to, other);
    } catch (Error& error) {
        error.add_context(fmt::format("Failed validation of \"storage.{}_volume\"", folder));
        throw;
    }
    place.move([&] { carry(folder, from, to, target ? &*target : nullptr); });
}

void ServerFolders::carry(const std::string& folder, const std::string& from, const std::string& to,
                          const MountedDir* target) {
    nlohmann::json data{{"from", from}, {"to", to}};
    const auto look = target != nullptr ? Look::of(target->dir) : Look{};
    if (target != nullptr) data.update({{"mode", look.mode}, {"uid", look.uid}, {"gid", look.gid}});
    const auto intent = intents_.begin(kMove, "", folder, data.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("server-folder:intended");
    s_.state_dir.remove_tree(beside(folder));
    undo.add([&] { s_.state_dir.remove_tree(beside(folder)); });
    if (target != nullptr) {
        undo.add([&] {
            empty(target->dir);
            look.give(target->dir);
        });
        copy_into(open(folder).dir, target->dir);
        s_.state_dir.symlink(link_to(to), beside(folder));
    } else {
        copy_into(open(folder).dir, s_.state_dir.make_dir(beside(folder), 0700));
    }
    fault_point("server-folder:copied");
    s_.state_dir.exchange(beside(folder), folder);
    s_.state_dir.sync();
    undo.commit();
    fault_point("server-folder:exchanged");
    try {
        if (!from.empty()) empty(open_volume(from).dir);
        fault_point("server-folder:emptied");
        s_.state_dir.remove_tree(beside(folder));
        intents_.end(intent);
    } catch (const Error& error) { // the move is done; the next start tries again
        s_.log.warning("Failed to remove what was moved", {{"folder", folder}, {"err", error.what()}});
    }
}

} // namespace lxdcore::storage
