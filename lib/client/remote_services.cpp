// SPDX-License-Identifier: Apache-2.0
#include "client/remote_services.hpp"

namespace lxdcore::client {

namespace {

const std::string kProfiles = "/1.0/profiles", kNetworks = "/1.0/networks", kPools = "/1.0/storage-pools",
                  kWarnings = "/1.0/warnings";

Url at(const std::string& kind, const std::string& project, const std::string& name, const std::string& below = {}) {
    auto path = (Url{kind} / name).str();
    if (!below.empty()) path += "/" + below;
    return Url{path}.project(project);
}

Url all_of(const std::string& kind, const std::string& project = "default") {
    return Url{kind}.query("recursion", "1").project(project);
}

api::Warning warning_of(const nlohmann::json& json) {
    api::Warning warning;
    warning.status = json.value("status", "");
    warning.uuid = json.value("uuid", "");
    warning.project = json.value("project", "");
    warning.type = json.value("type", "");
    warning.count = json.value("count", std::int64_t{0});
    warning.first_seen_at = api::Time::parse(json.value("first_seen_at", ""));
    warning.last_seen_at = api::Time::parse(json.value("last_seen_at", ""));
    warning.last_message = json.value("last_message", "");
    warning.severity = json.value("severity", "");
    warning.entity_url = json.value("entity_url", "");
    return warning;
}

} // namespace

std::vector<api::Profile> RemoteProfiles::list(const std::string& project) const {
    return rest_->get_as<std::vector<api::Profile>>(all_of(kProfiles, project));
}
std::vector<std::string> RemoteProfiles::names(const std::string& project) const {
    return rest_->names(Url{kProfiles}.project(project));
}
api::Profile RemoteProfiles::get(const std::string& project, const std::string& name) const {
    return rest_->get_as<api::Profile>(at(kProfiles, project, name));
}
void RemoteProfiles::create(const std::string& project, const api::ProfilesPost& profile) {
    rest_->call("POST", Url{kProfiles}.project(project), profile);
}
void RemoteProfiles::update(const std::string& project, const std::string& name, const api::ProfilePut& profile,
                            const std::string& if_match) {
    rest_->call("PUT", at(kProfiles, project, name), profile, if_match);
}
void RemoteProfiles::patch(const std::string& project, const std::string& name, const api::ProfilePatch& profile,
                           const std::string& if_match) {
    rest_->call("PATCH", at(kProfiles, project, name), profile, if_match);
}
void RemoteProfiles::rename(const std::string& project, const std::string& name, const std::string& new_name) {
    rest_->call("POST", at(kProfiles, project, name), {{"name", new_name}});
}
void RemoteProfiles::remove(const std::string& project, const std::string& name) {
    rest_->call("DELETE", at(kProfiles, project, name));
}

std::vector<api::Network> RemoteNetworks::list(const std::string& project) const {
    return rest_->get_as<std::vector<api::Network>>(all_of(kNetworks, project));
}
std::vector<std::string> RemoteNetworks::names(const std::string& project) const {
    return rest_->names(Url{kNetworks}.project(project));
}
api::Network RemoteNetworks::get(const std::string& project, const std::string& name) const {
    return rest_->get_as<api::Network>(at(kNetworks, project, name));
}
void RemoteNetworks::create(const std::string& project, const api::NetworksPost& network) {
    rest_->call("POST", Url{kNetworks}.project(project), network);
}
void RemoteNetworks::update(const std::string& project, const std::string& name, const api::NetworkPut& network,
                            const std::string& if_match) {
    rest_->call("PUT", at(kNetworks, project, name), network, if_match);
}
void RemoteNetworks::patch(const std::string& project, const std::string& name, const api::NetworkPatch& network,
                           const std::string& if_match) {
    rest_->call("PATCH", at(kNetworks, project, name), network, if_match);
}
void RemoteNetworks::rename(const std::string& project, const std::string& name, const std::string& new_name) {
    rest_->call("POST", at(kNetworks, project, name), {{"name", new_name}});
}
void RemoteNetworks::remove(const std::string& project, const std::string& name) {
    rest_->call("DELETE", at(kNetworks, project, name));
}
std::vector<api::NetworkLease> RemoteNetworks::leases(const std::string& project, const std::string& name) const {
    return rest_->get_as<std::vector<api::NetworkLease>>(at(kNetworks, project, name, "leases"));
}
api::NetworkState RemoteNetworks::state(const std::string& project, const std::string& name) const {
    return rest_->get_as<api::NetworkState>(at(kNetworks, project, name, "state"));
}

std::vector<api::StoragePool> RemoteStorage::list() const {
    return rest_->get_as<std::vector<api::StoragePool>>(all_of(kPools));
}
std::vector<std::string> RemoteStorage::names() const { return rest_->names(Url{kPools}); }
api::StoragePool RemoteStorage::get(const std::string& name) const {
    return rest_->get_as<api::StoragePool>(at(kPools, "default", name));
}
void RemoteStorage::create(const api::StoragePoolsPost& pool) { rest_->call("POST", Url{kPools}, pool); }
void RemoteStorage::update(const std::string& name, const api::StoragePoolPut& pool, const std::string& if_match) {
    rest_->call("PUT", at(kPools, "default", name), pool, if_match);
}
void RemoteStorage::patch(const std::string& name, const api::StoragePoolPatch& pool, const std::string& if_match) {
    rest_->call("PATCH", at(kPools, "default", name), pool, if_match);
}
void RemoteStorage::remove(const std::string& name) { rest_->call("DELETE", at(kPools, "default", name)); }
api::StoragePoolResources RemoteStorage::resources(const std::string& name) const {
    return rest_->get_as<api::StoragePoolResources>(at(kPools, "default", name, "resources"));
}
std::vector<api::StorageVolume> RemoteStorage::volumes(const std::string& pool, const std::string& project,
                                                       const std::string& type) const {
    auto url = at(kPools, "default", pool, type.empty() ? "volumes" : "volumes/" + encode(type));
    return rest_->get_as<std::vector<api::StorageVolume>>(url.query("recursion", "1").project(project));
}
api::StorageVolume RemoteStorage::volume(const std::string& pool, const std::string& project, const std::string& type,
                                         const std::string& name) const {
    const auto below = "volumes/" + encode(type) + "/" + encode(name);
    return rest_->get_as<api::StorageVolume>(at(kPools, project, pool, below));
}

std::vector<api::Warning> RemoteWarnings::list(const std::string& project) const {
    std::vector<api::Warning> list;
    for (const auto& entry : rest_->get(Url{kWarnings}.query("recursion", "1").query("project", project)))
        list.push_back(warning_of(entry));
    return list;
}
api::Warning RemoteWarnings::get(const std::string& uuid) const {
    return warning_of(rest_->get(at(kWarnings, "default", uuid)));
}
void RemoteWarnings::set_status(const std::string& uuid, const std::string& status) {
    rest_->call("PUT", at(kWarnings, "default", uuid), {{"status", status}});
}
void RemoteWarnings::remove(const std::string& uuid) { rest_->call("DELETE", at(kWarnings, "default", uuid)); }

/// The server gives all projects or one; with several, each is asked for.
std::string RemoteMetrics::metrics(const std::vector<std::string>& projects) {
    if (projects.empty()) return rest_->text(Url{"/1.0/metrics"});
    std::string all;
    for (const auto& project : projects)
        all += rest_->text(Url{"/1.0/metrics"}.query("project", project));
    return all;
}

} // namespace lxdcore::client
