// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/volume_backup_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Backups of the server's custom volumes; their files are copied to and from this host. Thread-safe.
class RemoteVolumeBackups final : public VolumeBackupService {
public:
    explicit RemoteVolumeBackups(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::StorageVolumeBackup> backups(const VolumeRef& ref) const override;
    api::StorageVolumeBackup backup(const VolumeRef& ref, const std::string& name) const override;
    OperationPtr create_backup(const VolumeRef& ref, const api::StorageVolumeBackupsPost& request) override;
    OperationPtr rename_backup(const VolumeRef& ref, const std::string& name, const std::string& to) override;
    OperationPtr remove_backup(const VolumeRef& ref, const std::string& name) override;
    BackupService::File open_backup(const VolumeRef& ref, const std::string& name) override;
    OperationPtr import_backup(const VolumeImport& request) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
