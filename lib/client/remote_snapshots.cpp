// SPDX-License-Identifier: Apache-2.0
#include "client/remote_snapshots.hpp"

#include "client/instance_url.hpp"

namespace lxdcore::client {

namespace {

const std::string kSnapshots = "snapshots";

/// Some servers put the instance's name in front.
api::InstanceSnapshot snapshot_of(const nlohmann::json& json) {
    auto snapshot = json.get<api::InstanceSnapshot>();
    snapshot.name = snapshot.name.substr(snapshot.name.rfind('/') + 1);
    return snapshot;
}

std::vector<api::InstanceSnapshot> snapshots_of(const nlohmann::json& list) {
    std::vector<api::InstanceSnapshot> snapshots;
    for (const auto& entry : list)
        snapshots.push_back(snapshot_of(entry));
    return snapshots;
}

} // namespace

std::vector<std::string> RemoteSnapshots::snapshot_names(const InstanceRef& ref) const {
    return rest_->names(instance_url(ref, kSnapshots));
}

std::vector<api::InstanceSnapshot> RemoteSnapshots::snapshots(const InstanceRef& ref) const {
    return snapshots_of(rest_->get(instance_url(ref, kSnapshots).query("recursion", "1")));
}

std::map<std::string, std::vector<api::InstanceSnapshot>>
RemoteSnapshots::snapshots_by_instance(const std::string& project) const {
    std::map<std::string, std::vector<api::InstanceSnapshot>> found;
    for (const auto& instance : rest_->get(Url{"/1.0/instances"}.query("recursion", "2").project(project))) {
        const auto list = instance.find(kSnapshots);
        if (list != instance.end() && list->is_array() && !list->empty())
            found.emplace(instance.value("name", ""), snapshots_of(*list));
    }
    return found;
}

api::InstanceSnapshot RemoteSnapshots::snapshot(const InstanceRef& ref, const std::string& name) const {
    return snapshot_of(rest_->get(instance_url(ref, kSnapshots, name)));
}

OperationPtr RemoteSnapshots::create_snapshot(const InstanceRef& ref, const api::InstanceSnapshotsPost& request) {
    return rest_->start("POST", instance_url(ref, kSnapshots), request);
}

OperationPtr RemoteSnapshots::update_snapshot(const InstanceRef& ref, const std::string& name,
                                              const api::InstanceSnapshotPut& snapshot, const std::string& if_match) {
    return rest_->start("PUT", instance_url(ref, kSnapshots, name), snapshot, if_match);
}

OperationPtr RemoteSnapshots::rename_snapshot(const InstanceRef& ref, const std::string& name,
                                              const api::InstanceSnapshotPost& request) {
    return rest_->start("POST", instance_url(ref, kSnapshots, name), request);
}

OperationPtr RemoteSnapshots::remove_snapshot(const InstanceRef& ref, const std::string& name) {
    return rest_->start("DELETE", instance_url(ref, kSnapshots, name));
}

OperationPtr RemoteSnapshots::publish(const PublishRequest& request) {
    const bool snapshot = !request.snapshot.empty();
    nlohmann::json body = {{"source",
                            {{"type", snapshot ? "snapshot" : "instance"},
                             {"name", snapshot ? request.instance + "/" + request.snapshot : request.instance}}},
                           {"compression_algorithm", request.compression},
                           {"filename", request.filename},
                           {"public", request.is_public},
                           {"properties", request.properties},
                           {"aliases", request.aliases}};
    if (!request.profiles.empty()) body["profiles"] = request.profiles;
    if (request.expires_at.at) body["expires_at"] = request.expires_at;
    return rest_->start("POST", Url{"/1.0/images"}.project(request.project), body);
}

} // namespace lxdcore::client
