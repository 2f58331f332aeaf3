// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lxdcore/api/backup.hpp>
#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/storage_volume_service.hpp>

namespace lxdcore {

/// A backup that is to become a custom volume.
struct VolumeImport {
    std::string pool, project = "default";
    std::string name; ///< "": as the backup says
    /// The archive: a regular file that nobody else changes; closed with the last copy.
    std::shared_ptr<int> archive;
};

/// Backups of custom volumes, and custom volumes from backups. Thread-safe. All throw Error NotFound "Storage pool not
/// found", "Storage pool volume not found", "Storage volume backup not found", InvalidArgument for other kinds of
/// volumes, and those that touch files Unavailable while the volume that backups are on is away.
class LXDCORE_API VolumeBackupService {
public:
    virtual ~VolumeBackupService();
    /// In the order of their making.
    virtual std::vector<api::StorageVolumeBackup>
    backups(const VolumeRef& ref) const = 0; ///< in the order of their making
    /// One of them.
    virtual api::StorageVolumeBackup backup(const VolumeRef& ref, const std::string& name) const = 0;
    /// The operation has "create_backup_progress" and can be cancelled. @throws Error InvalidArgument (name,
    /// compression). A name that is taken, and no space, fail it.
    virtual OperationPtr create_backup(const VolumeRef& ref, const api::StorageVolumeBackupsPost& request) = 0;
    /// @throws Error InvalidArgument (new name). One that is taken fails the operation (AlreadyExists).
    virtual OperationPtr rename_backup(const VolumeRef& ref, const std::string& name, const std::string& to) = 0;
    /// With its file.
    virtual OperationPtr remove_backup(const VolumeRef& ref, const std::string& name) = 0;
    /// The archive from its beginning; its descriptor is the caller's to close.
    virtual BackupService::File open_backup(const VolumeRef& ref, const std::string& name) = 0;
    /// Checks what the archive says about the volume, then begins. @throws Error InvalidArgument, AlreadyExists
    virtual OperationPtr import_backup(const VolumeImport& request) = 0;
};

} // namespace lxdcore
