// SPDX-License-Identifier: Apache-2.0
#include "client/remote_volumes.hpp"

#include "client/volume_url.hpp"

namespace lxdcore::client {

namespace {

Url snapshot_at(const VolumeRef& ref, const std::string& name) { return volume_url(ref, "snapshots", name); }

/// What is left out stays as it is.
nlohmann::json changes_of(const api::StorageVolumeSnapshotPut& change) {
    auto json = nlohmann::json::object();
    if (change.description) json["description"] = *change.description;
    if (change.expires_at) json["expires_at"] = *change.expires_at;
    return json;
}

nlohmann::json body_of(const api::StorageVolumePut& change) {
    nlohmann::json json = change;
    if (!change.config) json.erase("config");
    if (change.restore.empty()) json.erase("restore");
    return json;
}

} // namespace

std::vector<api::StorageVolume> RemoteVolumes::list(const std::string& pool, const std::string& project,
                                                    const std::string& type) const {
    return rest_->get_as<std::vector<api::StorageVolume>>(
        volumes_url(pool, type).query("recursion", "1").project(project));
}

api::StorageVolume RemoteVolumes::get(const VolumeRef& ref) const {
    return rest_->get_as<api::StorageVolume>(volume_url(ref));
}

api::StorageVolumeState RemoteVolumes::state(const VolumeRef& ref) const {
    return rest_->get_as<api::StorageVolumeState>(volume_url(ref, "state"));
}

OperationPtr RemoteVolumes::create(const std::string& pool, const std::string& project,
                                   const api::StorageVolumesPost& volume) {
    const auto type = volume.type.empty() ? std::string{"custom"} : volume.type;
    return rest_->start_or_done("POST", volumes_url(pool, type).project(project), volume);
}

void RemoteVolumes::update(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) {
    rest_->call("PUT", volume_url(ref), body_of(change), if_match);
}

void RemoteVolumes::patch(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) {
    rest_->call("PATCH", volume_url(ref), body_of(change), if_match);
}

OperationPtr RemoteVolumes::move(const VolumeRef& ref, const api::StorageVolumePost& change) {
    return rest_->start_or_done("POST", volume_url(ref), change);
}

void RemoteVolumes::remove(const VolumeRef& ref) { rest_->call("DELETE", volume_url(ref)); }

std::vector<api::StorageVolumeSnapshot> RemoteVolumes::snapshots(const VolumeRef& ref) const {
    return rest_->get_as<std::vector<api::StorageVolumeSnapshot>>(volume_url(ref, "snapshots").query("recursion", "1"));
}

api::StorageVolumeSnapshot RemoteVolumes::snapshot(const VolumeRef& ref, const std::string& name) const {
    return rest_->get_as<api::StorageVolumeSnapshot>(snapshot_at(ref, name));
}

OperationPtr RemoteVolumes::create_snapshot(const VolumeRef& ref, const api::StorageVolumeSnapshotsPost& snapshot) {
    nlohmann::json body = {{"name", snapshot.name}};
    if (snapshot.expires_at) body["expires_at"] = *snapshot.expires_at;
    return rest_->start("POST", volume_url(ref, "snapshots"), body);
}

void RemoteVolumes::update_snapshot(const VolumeRef& ref, const std::string& name,
                                    const api::StorageVolumeSnapshotPut& change, const std::string& if_match) {
    rest_->call("PUT", snapshot_at(ref, name), changes_of(change), if_match);
}

void RemoteVolumes::patch_snapshot(const VolumeRef& ref, const std::string& name,
                                   const api::StorageVolumeSnapshotPut& change, const std::string& if_match) {
    rest_->call("PATCH", snapshot_at(ref, name), changes_of(change), if_match);
}

OperationPtr RemoteVolumes::rename_snapshot(const VolumeRef& ref, const std::string& name,
                                            const api::StorageVolumeSnapshotPost& change) {
    return rest_->start("POST", snapshot_at(ref, name), change);
}

OperationPtr RemoteVolumes::remove_snapshot(const VolumeRef& ref, const std::string& name) {
    return rest_->start("DELETE", snapshot_at(ref, name));
}

} // namespace lxdcore::client
