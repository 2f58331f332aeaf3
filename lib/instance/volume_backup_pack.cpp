// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/ordered_yaml.hpp"
#include "instance/backup_document.hpp"
#include "instance/optimized_backup.hpp"
#include "instance/volume_backups_impl.hpp"
#include "storage/pool_access.hpp"
#include "storage/tree_archive.hpp"

namespace lxdcore::instance {

/// As a backup of an instance: index.yaml, the snapshots, oldest first, then the volume.
void VolumeBackupsImpl::pack(const Row& volume, const db::BackupRow& backup, const Compression& compression, int file,
                             const Dir& folder, OperationContext& op) const {
    BackupDocument document{
        .instance = {}, .snapshots = {}, .pool = {}, .profiles = {}, .volume = volume, .volume_snapshots = {}};
    if (!backup.alone)
        document.volume_snapshots = s_.global.read_value(
            [&](db::Transaction& tx) { return db::StorageSnapshotRepository{}.list(tx, volume.id); });
    std::vector<std::string> snapshots;
    for (const auto& snapshot : document.volume_snapshots)
        snapshots.push_back(snapshot.name);
    const auto driver = s_.pools.get(volume.pool).driver;
    nlohmann::ordered_json index{{"name", volume.name}, {"backend", driver}, {"pool", volume.pool}};
    if (!snapshots.empty()) index["snapshots"] = snapshots;
    index["optimized"] = backup.optimized;
    index["optimized_header"] = backup.optimized && has_backup_header(driver);
    index["type"] = "custom";
    index["config"] = document.json();

    BackupWriter writer{file, folder, compression, op};
    writer.file("backup/index.yaml", api::encode_ordered_yaml(index));
    const auto layout = BackupLayout::of_volume();
    if (backup.optimized) {
        storage::VolumeId id{.place = storage::VolumePlace::Custom, .name = volume.project + "_" + volume.name};
        id.block = volume.block;
        write_optimized(writer, layout, *storage::PoolAccess::of(s_.pools).driver(volume.pool), id, snapshots,
                        has_backup_header(driver), folder, op);
        return writer.finish();
    }
    const auto add = [&](const std::string& snapshot) {
        const auto name = layout.at(snapshot);
        if (volume.block) {
            const auto content = s_.volumes.open_block(volume.pool, volume.project, volume.name, snapshot);
            return writer.file(name + ".img", content);
        }
        const auto content = s_.volumes.open(volume.pool, volume.project, volume.name, snapshot);
        storage::archive_tree(content.dir, writer.tar(), {.prefix = name, .stop = op.stop_token()});
    };
    for (const auto& snapshot : snapshots)
        add(snapshot);
    add("");
    writer.finish();
}

} // namespace lxdcore::instance
