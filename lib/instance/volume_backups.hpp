// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <lxdcore/service/volume_backup_service.hpp>

#include "storage/custom_volumes.hpp"
#include "util/helper_program.hpp"

namespace lxdcore::instance {

struct VolumeBackupsNeeds {
    db::Database& local;
    db::Database& global;
    const Dir& state_dir;
    storage::StorageManager& pools;
    storage::CustomVolumes& volumes;
    OperationService& operations;
    EventService& events;
    const HelperProgram& helper;
    const Logger& log;
};

/// Beside the backups of instances, whose archives they resemble.
class VolumeBackups : public VolumeBackupService {
public:
    /// Finishes or undoes interrupted changes; after the volumes.
    virtual void start() = 0;
    virtual void start_expiry() = 0; ///< removes what has expired from now on
    virtual void stop() noexcept = 0;
};

std::unique_ptr<VolumeBackups> make_volume_backups(const VolumeBackupsNeeds& needs);

} // namespace lxdcore::instance
