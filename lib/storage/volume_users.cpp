// SPDX-License-Identifier: Apache-2.0
#include "storage/volume_users.hpp"

#include "config/config_keys.hpp"
#include "db/instance_repository.hpp"
#include "db/url.hpp"

namespace lxdcore::storage {

namespace {

const std::string& value(const api::Device& device, const char* key) {
    static const std::string none;
    const auto it = device.find(key);
    return it == device.end() ? none : it->second;
}

/// Calls @p found with pool and volume of each disk that is on a custom volume, once for each.
template <class Found>
void each_volume(const api::Devices& devices, Found&& found) {
    std::map<std::pair<std::string, std::string>, bool> seen;
    for (const auto& [name, device] : devices) {
        if (value(device, "type") != "disk" || value(device, "pool").empty()) continue;
        const auto& source = value(device, "source");
        if (source.empty() || value(device, "path") == "/") continue;
        if (seen.emplace(std::pair{value(device, "pool"), source}, true).second) found(value(device, "pool"), source);
    }
}

} // namespace

VolumeUsers::VolumeUsers(db::Transaction& tx, const std::string& project) : project_{project} {
    const db::InstanceRepository repository;
    std::map<std::string, api::Devices> profiles;
    for (auto& profile : repository.profiles(tx, project)) {
        each_volume(profile.devices, [&](const std::string& pool, const std::string& volume) {
            profiles_[{pool, volume}].push_back(profile.name);
        });
        profiles.emplace(profile.name, std::move(profile.devices));
    }
    for (const auto& row : repository.list(tx, project)) {
        std::vector<const api::Devices*> applied;
        for (const auto& name : row.profiles)
            if (const auto it = profiles.find(name); it != profiles.end()) applied.push_back(&it->second);
        each_volume(config::expand_devices(row.devices, applied),
                    [&](const std::string& pool, const std::string& volume) {
                        instances_[{pool, volume}].push_back(row.name);
                    });
    }
}

std::vector<std::string> VolumeUsers::instances(const std::string& pool, const std::string& volume) const {
    const auto it = instances_.find({pool, volume});
    return it == instances_.end() ? std::vector<std::string>{} : it->second;
}

std::vector<std::string> VolumeUsers::urls(const std::string& pool, const std::string& volume) const {
    std::vector<std::string> urls;
    for (const auto& name : instances(pool, volume))
        urls.push_back(db::entity_url("instances", name, project_));
    if (const auto it = profiles_.find({pool, volume}); it != profiles_.end())
        for (const auto& name : it->second)
            urls.push_back(db::entity_url("profiles", name, project_));
    return urls;
}

} // namespace lxdcore::storage
