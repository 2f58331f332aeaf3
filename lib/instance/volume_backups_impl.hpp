// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "db/storage_volume_repository.hpp"
#include "instance/backup_store.hpp"
#include "instance/backup_writer.hpp"
#include "instance/volume_backups.hpp"
#include "util/minute_timer.hpp"

namespace lxdcore::instance {

struct VolumeIndex;

/// Archives are written in volume_backup_pack.cpp and read in volume_import.cpp.
class VolumeBackupsImpl final : public VolumeBackups {
public:
    explicit VolumeBackupsImpl(const VolumeBackupsNeeds& needs);
    ~VolumeBackupsImpl() override;

    void start() override;
    void start_expiry() override;
    void stop() noexcept override { timer_.reset(); }

    std::vector<api::StorageVolumeBackup> backups(const VolumeRef& ref) const override;
    api::StorageVolumeBackup backup(const VolumeRef& ref, const std::string& name) const override;
    OperationPtr create_backup(const VolumeRef& ref, const api::StorageVolumeBackupsPost& request) override;
    OperationPtr rename_backup(const VolumeRef& ref, const std::string& name, const std::string& to) override;
    OperationPtr remove_backup(const VolumeRef& ref, const std::string& name) override;
    BackupService::File open_backup(const VolumeRef& ref, const std::string& name) override;
    OperationPtr import_backup(const VolumeImport& request) override;

private:
    using Row = db::StorageVolumeRow;
    std::optional<Row> find(const VolumeRef& ref) const;
    Row need(const VolumeRef& ref) const;
    static BackupOwner owner_of(const Row& row);
    void pack(const Row& volume, const db::BackupRow& backup, const Compression& compression, int file,
              const Dir& folder, OperationContext& op) const;
    void run_remove(const Row& volume, const std::string& name);
    void expire();
    void run_import(const VolumeImport& request, const VolumeIndex& index, OperationContext& op);
    void tell(const Row& volume, const char* action, const std::string& backup, const nlohmann::json& context) const;

    VolumeBackupsNeeds s_;
    db::StorageVolumeRepository volumes_;
    BackupStore store_;
    std::unique_ptr<MinuteTimer> timer_; ///< last: it ends before what it uses
};

} // namespace lxdcore::instance
