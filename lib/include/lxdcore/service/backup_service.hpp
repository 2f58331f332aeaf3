// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/backup.hpp>
#include <lxdcore/service/instance_service.hpp>

namespace lxdcore {

/// A backup that is to become an instance.
struct BackupImport {
    std::string project = "default";
    std::string name; ///< "": as the backup says
    std::string pool; ///< "": where it was, or else where the default profile has its root disk
    /// The archive: a regular file that nobody else changes; closed with the last copy.
    std::shared_ptr<int> archive;
};

/// Backups of instances, and instances from backups and from pools whose database was lost. Thread-safe. All throw
/// Error NotFound "Instance not found", "Load backup from database: Instance backup not found".
class LXDCORE_API BackupService {
public:
    virtual ~BackupService();
    virtual std::vector<api::InstanceBackup>
    backups(const InstanceRef& ref) const = 0; ///< in the order of their making
    /// Of all instances of a project that have any, by their names.
    virtual std::map<std::string, std::vector<api::InstanceBackup>>
    backups_by_instance(const std::string& project) const = 0;
    virtual api::InstanceBackup backup(const InstanceRef& ref, const std::string& name) const = 0;
    /// The operation has "create_backup_progress" and can be cancelled.
    virtual OperationPtr create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) = 0;
    virtual OperationPtr rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) = 0;
    virtual OperationPtr remove_backup(const InstanceRef& ref, const std::string& name) = 0;
    struct File {
        int fd = -1; ///< the caller's to close
        std::int64_t size = 0;
        std::string modified; ///< RFC 3339
    };
    virtual File open_backup(const InstanceRef& ref, const std::string& name) = 0;

    /// Checks what the archive says about the instance, then begins. @throws InvalidArgument and what create() throws
    virtual OperationPtr import_backup(const BackupImport& request) = 0;

    /// What LXD's /internal/recover/validate and /internal/recover/import take and give: pools that are known or to be
    /// looked at, and what was found on them or what it needs.
    virtual nlohmann::json find_lost(const nlohmann::json& request) = 0;
    virtual void recover_lost(const nlohmann::json& request) = 0;
};

} // namespace lxdcore
