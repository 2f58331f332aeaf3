// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "image/cage.hpp"
#include "instance/backup_content.hpp"
#include "instance/volume_backups_impl.hpp"
#include "instance/volume_index.hpp"
#include "operation/volume_operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"

namespace lxdcore::instance {

OperationPtr VolumeBackupsImpl::import_backup(const VolumeImport& request) {
    const auto driver = s_.pools.get(request.pool).driver;
    s_.pools.require_pool(request.pool);
    if (!request.name.empty()) names::check_volume(request.name);
    auto index = read_volume_index(image::Cage{s_.helper}.backup_index(*request.archive, {}), driver);
    index.volume.pool = request.pool;
    index.volume.project = request.project;
    if (!request.name.empty()) index.volume.name = request.name;
    return s_.operations.start({.type = kVolumeBackupRestore, .project = request.project},
                               [this, request, index](OperationContext& op) {
                                   try {
                                       run_import(request, index, op);
                                   } catch (Error& error) {
                                       error.add_context("Create custom volume from backup");
                                       throw;
                                   }
                               });
}

void VolumeBackupsImpl::run_import(const VolumeImport& request, const VolumeIndex& index, OperationContext& op) {
    BackupContent content{.kind = index.volume.block ? BackupContent::Kind::Block : BackupContent::Kind::Filesystem,
                          .archive = request.archive};
    if (index.optimized) {
        std::vector<std::string> names;
        for (const auto& snapshot : index.snapshots)
            names.push_back(snapshot.name);
        content.parts = backup_parts(image::Cage{s_.helper}, *request.archive, index.backend, names,
                                     s_.pools.get(request.pool).driver);
    }
    const auto space = s_.state_dir.dir("storage-pools").dir(request.pool);
    s_.volumes.create_staged(index.volume, index.snapshots,
                             [&](storage::StorageDriver& driver, const std::vector<storage::VolumeId>& as) {
                                 auto staged = content.stage(s_.helper, driver, as, space, op.stop_token());
                                 fault_point("volume-import:staged");
                                 return staged;
                             });
}

} // namespace lxdcore::instance
