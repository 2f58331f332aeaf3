// SPDX-License-Identifier: Apache-2.0
#include "client/remote_volume_backups.hpp"

#include "client/backup_transfer.hpp"
#include "client/volume_url.hpp"

namespace lxdcore::client {

namespace {
const std::string kBackups = "backups";
} // namespace

std::vector<api::StorageVolumeBackup> RemoteVolumeBackups::backups(const VolumeRef& ref) const {
    return rest_->get_as<std::vector<api::StorageVolumeBackup>>(volume_url(ref, kBackups).query("recursion", "1"));
}

api::StorageVolumeBackup RemoteVolumeBackups::backup(const VolumeRef& ref, const std::string& name) const {
    return rest_->get_as<api::StorageVolumeBackup>(volume_url(ref, kBackups, name));
}

OperationPtr RemoteVolumeBackups::create_backup(const VolumeRef& ref, const api::StorageVolumeBackupsPost& request) {
    return rest_->start("POST", volume_url(ref, kBackups), request);
}

OperationPtr RemoteVolumeBackups::rename_backup(const VolumeRef& ref, const std::string& name, const std::string& to) {
    return rest_->start("POST", volume_url(ref, kBackups, name), {{"name", to}});
}

OperationPtr RemoteVolumeBackups::remove_backup(const VolumeRef& ref, const std::string& name) {
    return rest_->start("DELETE", volume_url(ref, kBackups, name));
}

BackupService::File RemoteVolumeBackups::open_backup(const VolumeRef& ref, const std::string& name) {
    return receive_backup(*rest_, volume_url(ref, kBackups + "/" + encode(name) + "/export"),
                          backup(ref, name).created_at.str());
}

OperationPtr RemoteVolumeBackups::import_backup(const VolumeImport& request) {
    return send_backup(*rest_, volumes_url(request.pool, "custom").project(request.project), request.name, "",
                       request.archive);
}

} // namespace lxdcore::client
