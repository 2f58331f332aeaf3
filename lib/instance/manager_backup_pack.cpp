// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "api/ordered_yaml.hpp"
#include "instance/backup_writer.hpp"
#include "instance/manager_backup_work.hpp"
#include "instance/optimized_backup.hpp"
#include "storage/pool_access.hpp"
#include "storage/tree_archive.hpp"

namespace lxdcore::instance {

namespace {

/// What else lies in a volume is not the instance's.
bool belongs_to_backup(const std::string& name) {
    return name == kBackupFile || name == "metadata.yaml" || name == "rootfs" || name == "templates";
}

nlohmann::ordered_json index_of(const std::string& name, const BackupDocument& document,
                                const std::vector<std::string>& snapshots, bool optimized) {
    const auto driver = document.pool ? document.pool->driver : "";
    nlohmann::ordered_json index{
        {"name", name}, {"backend", driver}, {"pool", document.pool ? document.pool->name : ""}};
    if (!snapshots.empty()) index["snapshots"] = snapshots;
    index["optimized"] = optimized;
    index["optimized_header"] = optimized && has_backup_header(driver);
    index["type"] = "container";
    index["config"] = document.json();
    return index;
}

} // namespace

/// index.yaml, then the snapshots, oldest first, then the instance: as real ones are.
void Manager::pack_backup(const BackupWork& work, int file, const Dir& folder, OperationContext& op) const {
    const auto& ref = work.ref;
    auto document = backup_document(load(ref));
    if (work.row.alone) {
        document.snapshots.clear();
        document.volume_snapshots.clear();
    }
    std::vector<std::string> snapshots;
    for (const auto& snapshot : document.snapshots)
        snapshots.push_back(snapshot.at("name").get<std::string>());
    BackupWriter writer{file, folder, work.compression, op};
    writer.file("backup/index.yaml",
                api::encode_ordered_yaml(index_of(ref.name, document, snapshots, work.row.optimized)));
    const auto layout = BackupLayout::of_instance();
    if (work.row.optimized) {
        const storage::VolumeId volume{.place = storage::VolumePlace::Instance, .name = dir_name(ref)};
        write_optimized(writer, layout, *storage::PoolAccess::of(s_.storage).driver(document.pool->name), volume,
                        snapshots, has_backup_header(document.pool->driver), folder, op);
        return writer.finish();
    }
    for (const auto& name : snapshots)
        storage::archive_tree(s_.storage.open_instance_snapshot(ref.project, ref.name, name).dir, writer.tar(),
                              {.prefix = layout.at(name), .wanted = belongs_to_backup, .stop = op.stop_token()});
    storage::archive_tree(s_.storage.open_instance(ref.project, ref.name).dir, writer.tar(),
                          {.prefix = layout.at(""), .wanted = belongs_to_backup, .stop = op.stop_token()});
    writer.finish();
}

} // namespace lxdcore::instance
