// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/backup_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Backups of the server's instances; their files are copied to and from this host. Thread-safe.
class RemoteBackups final : public BackupService {
public:
    explicit RemoteBackups(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::InstanceBackup> backups(const InstanceRef& ref) const override;
    std::map<std::string, std::vector<api::InstanceBackup>>
    backups_by_instance(const std::string& project) const override;
    api::InstanceBackup backup(const InstanceRef& ref, const std::string& name) const override;
    OperationPtr create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) override;
    OperationPtr rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) override;
    OperationPtr remove_backup(const InstanceRef& ref, const std::string& name) override;
    File open_backup(const InstanceRef& ref, const std::string& name) override;
    OperationPtr import_backup(const BackupImport& request) override;
    nlohmann::json find_lost(const nlohmann::json& request) override;
    void recover_lost(const nlohmann::json& request) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
