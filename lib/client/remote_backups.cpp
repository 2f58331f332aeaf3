// SPDX-License-Identifier: Apache-2.0
#include "client/remote_backups.hpp"

#include "client/backup_transfer.hpp"
#include "client/instance_url.hpp"

namespace lxdcore::client {

namespace {
const std::string kBackups = "backups";
} // namespace

std::vector<api::InstanceBackup> RemoteBackups::backups(const InstanceRef& ref) const {
    return rest_->get_as<std::vector<api::InstanceBackup>>(instance_url(ref, kBackups).query("recursion", "1"));
}

std::map<std::string, std::vector<api::InstanceBackup>>
RemoteBackups::backups_by_instance(const std::string& project) const {
    std::map<std::string, std::vector<api::InstanceBackup>> found;
    for (const auto& instance : rest_->get(Url{"/1.0/instances"}.query("recursion", "2").project(project))) {
        const auto list = instance.find(kBackups);
        if (list != instance.end() && list->is_array() && !list->empty())
            found.emplace(instance.value("name", ""), list->get<std::vector<api::InstanceBackup>>());
    }
    return found;
}

api::InstanceBackup RemoteBackups::backup(const InstanceRef& ref, const std::string& name) const {
    return rest_->get_as<api::InstanceBackup>(instance_url(ref, kBackups, name));
}

OperationPtr RemoteBackups::create_backup(const InstanceRef& ref, const api::InstanceBackupsPost& request) {
    return rest_->start("POST", instance_url(ref, kBackups), request);
}

OperationPtr RemoteBackups::rename_backup(const InstanceRef& ref, const std::string& name, const std::string& to) {
    return rest_->start("POST", instance_url(ref, kBackups, name), {{"name", to}});
}

OperationPtr RemoteBackups::remove_backup(const InstanceRef& ref, const std::string& name) {
    return rest_->start("DELETE", instance_url(ref, kBackups, name));
}

BackupService::File RemoteBackups::open_backup(const InstanceRef& ref, const std::string& name) {
    return receive_backup(*rest_, instance_url(ref, kBackups + "/" + encode(name) + "/export"),
                          backup(ref, name).created_at.str());
}

OperationPtr RemoteBackups::import_backup(const BackupImport& request) {
    return send_backup(*rest_, Url{"/1.0/instances"}.project(request.project), request.name, request.pool,
                       request.archive);
}

nlohmann::json RemoteBackups::find_lost(const nlohmann::json& request) {
    return rest_->call("POST", Url{"/internal/recover/validate"}, request);
}

void RemoteBackups::recover_lost(const nlohmann::json& request) {
    rest_->call("POST", Url{"/internal/recover/import"}, request);
}

} // namespace lxdcore::client
