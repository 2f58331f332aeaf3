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
/// Error NotFound "Instance not found", "Load backup from database: Instance backup not found", and those that touch
/// files Unavailable while the volume that backups are on is away.
class LXDCORE_API BackupService {
public:
    virtual ~BackupService();
    /// In the order of their making.
    virtual std::vector<api::InstanceBackup>
    backups(const InstanceRef& ref) const = 0; ///< in the order of their making
    /// Of all instances of a project that have any, by their names.
    virtual std::map<std::string, std::vector<api::InstanceBackup>>
    backups_by_instance(const std::string& project) const = 0;
    /// One of them.
    virtual api::InstanceBackup backup(const InstanceRef& ref, const std::string& name) const = 0;
    /// The operation has "create_backup_progress" and can be cancelled. @throws Error InvalidArgument (name,
    /// compression). A name that is taken, and no space, fail it.
    virtual OperationPtr create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) = 0;
    /// @throws Error InvalidArgument (new name). One that is taken fails the operation (AlreadyExists).
    virtual OperationPtr rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) = 0;
    /// With its file.
    virtual OperationPtr remove_backup(const InstanceRef& ref, const std::string& name) = 0;
    /// An archive, open.
    struct File {
        int fd = -1;           ///< for reading, the caller's to close
        std::int64_t size = 0; ///< bytes
        std::string modified;  ///< RFC 3339
    };
    /// The archive from its beginning.
    virtual File open_backup(const InstanceRef& ref, const std::string& name) = 0;

    /// Checks what the archive says about the instance, then begins. @throws Error InvalidArgument (archive, name,
    /// profiles), NotFound (project, pool), and what InstanceService::create() throws
    virtual OperationPtr import_backup(const BackupImport& request) = 0;

    /// What LXD's /internal/recover/validate takes and gives: pools that are known or to be looked at, and what was
    /// found on them or what it needs. @throws Error InvalidArgument, Internal for volumes whose backup.yaml does not
    /// fit. Core only.
    virtual nlohmann::json find_lost(const nlohmann::json& request) = 0;
    /// Brings it back: LXD's /internal/recover/import. @throws Error as find_lost(), and InvalidArgument "… is missing"
    /// for what it needs
    virtual void recover_lost(const nlohmann::json& request) = 0;
};

} // namespace lxdcore
