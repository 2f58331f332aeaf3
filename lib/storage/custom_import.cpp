// SPDX-License-Identifier: Apache-2.0
// Volumes that are made from outside, and what follows a volume.
#include <optional>
#include <utility>

#include <lxdcore/error.hpp>

#include "storage/custom_impl.hpp"
#include "storage/staged_volumes.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"

namespace lxdcore::storage {

void CustomVolumesImpl::create_staged(const NewVolume& volume, const std::vector<NewVolumeSnapshot>& snapshots,
                                      const StageContent& stage) {
    names::check_volume(volume.name);
    for (const auto& snapshot : snapshots)
        check_snapshot_name(snapshot.name);
    const Row row{.pool = volume.pool,
                  .project = volume.project,
                  .name = volume.name,
                  .kind = db::VolumeKind::Custom,
                  .description = volume.description,
                  .block = volume.block,
                  .config = volume.config};
    const auto guards = lock({&row});
    require_free(row);
    check_config(row, row.config);
    const auto pool = access_.driver(row.pool);
    std::optional<StagedVolumes> staged; // by the time that the volume's turn has come
    publish_new(
        row, [&](StorageDriver&, const VolumeId&) { return staged->take_last(); },
        [&](Row& made, StorageDriver&) {
            std::vector<VolumeId> ids;
            for (const auto& one : snapshots)
                ids.push_back(custom_snapshot(made, one.name));
            ids.push_back(custom_volume(made));
            staged.emplace(*pool, stage(*pool, ids));
            for (const auto& one : snapshots) {
                global_.write([&](db::Transaction& tx) {
                    snapshots_.insert(tx, {.volume = made.id,
                                           .name = one.name,
                                           .description = one.description,
                                           .expires_at = one.expires_at,
                                           .config = one.config});
                });
                staged->publish_next();
                fault_point("volume-import:snapshot");
            }
        });
    event(row, "storage-volume-created", "type", "custom");
}

std::string custom_place(const db::StorageVolumeRow& row) {
    return row.pool + "/" + custom_name(row.project, row.name);
}

void CustomVolumesImpl::tell_follower(const std::string& from, const std::string& to) const {
    if (follow_) follow_(from, to);
}

} // namespace lxdcore::storage
