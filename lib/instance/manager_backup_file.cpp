// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "api/ordered_yaml.hpp"
#include "db/profile_repository.hpp"
#include "instance/manager.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

/// As Dir::write(), but a power cut may leave the old: it is on the way to a running container, and the next start of
/// the daemon writes what differs.
void write_without_sync(const Dir& volume, const std::string& content) {
    const auto temporary = std::string{"."} + kBackupFile + "." + text::random_hex(6);
    const auto fd = volume.open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0400);
    try {
        std::size_t done = 0;
        while (done < content.size()) {
            const auto n = ::write(fd.get(), content.data() + done, content.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(volume.path() + "/" + kBackupFile);
            done += static_cast<std::size_t>(n);
        }
        volume.replace(temporary, kBackupFile);
    } catch (...) {
        volume.remove(temporary);
        throw;
    }
}

} // namespace

BackupDocument Manager::backup_document(const Loaded& instance) const {
    BackupDocument document;
    document.instance = to_api(instance);
    for (const auto& snapshot : snapshots(instance.ref()))
        document.snapshots.push_back(nlohmann::json(snapshot));
    s_.global.read([&](db::Transaction& tx) {
        document.profiles.clear();
        document.volume = db::StorageVolumeRepository{}.find(
            tx, {.project = instance.row.project, .name = instance.row.name, .kind = db::VolumeKind::Container});
        if (document.volume) {
            document.pool = db::StoragePoolRepository{}.find(tx, document.volume->pool);
            document.volume_snapshots = db::StorageSnapshotRepository{}.list(tx, document.volume->id);
        }
        for (const auto& name : instance.row.profiles)
            if (auto profile = db::ProfileRepository::find(tx, instance.row.project, name))
                document.profiles.push_back(std::move(*profile));
    });
    return document;
}

void Manager::write_backup_file(const InstanceRef& ref) const noexcept {
    try {
        const std::lock_guard lock{metadata_mutex_}; // whoever writes last has read last
        const auto content = api::encode_ordered_yaml(backup_document(load(ref)).json());
        const auto mounted = s_.storage.open_instance(ref.project, ref.name);
        const auto& volume = mounted.dir;
        // R2: whatever has its name and is no file of its own goes.
        if (const auto found = volume.stat_if_exists(kBackupFile); found && !S_ISREG(found->st_mode))
            volume.remove_tree(kBackupFile);
        write_without_sync(volume, content);
    } catch (const std::exception& error) {
        s_.log.warning("Failed to write backup.yaml", {{"instance", ref.name}, {"err", error.what()}});
    }
}

/// Files that a power cut took, or that an earlier version did not write.
void Manager::refresh_backup_files() const {
    for (const auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const InstanceRef ref{row.project, row.name};
        try {
            const auto now = backup_document(load(ref));
            const auto file = s_.storage.open_instance(ref.project, ref.name).dir.read_if_exists(kBackupFile, 16 << 20);
            if (!file || *file != api::encode_ordered_yaml(now.json())) write_backup_file(ref);
        } catch (const Error& error) { // gone meanwhile, or its pool is away
            s_.log.debug("backup.yaml is not looked at", {{"instance", ref.name}, {"err", error.what()}});
        }
    }
}

} // namespace lxdcore::instance

namespace lxdcore {

BackupService::~BackupService() = default;

} // namespace lxdcore
