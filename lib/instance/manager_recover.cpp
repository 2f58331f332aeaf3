// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "device/device.hpp"
#include "instance/backup_index.hpp"
#include "instance/manager_creation.hpp"
#include "util/fault_point.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

/// A volume of a pool that no row speaks of, and what its backup.yaml says.
struct Manager::Lost {
    std::string pool;
    storage::LostVolume volume;
    std::optional<BackupInstance> instance; ///< none: a custom volume
};

namespace {

std::vector<api::StoragePoolsPost> pools_of(const nlohmann::json& request) {
    std::vector<api::StoragePoolsPost> pools;
    for (const auto* key : {"Pools", "pools"})
        if (request.is_object() && request.contains(key) && request[key].is_array())
            for (const auto& pool : request[key])
                pools.push_back(pool.get<api::StoragePoolsPost>());
    return pools;
}

/// backup.yaml is as hostile as the guest could make it: a single file of its own, bounded, and about this volume.
BackupInstance read_lost(const Dir& content, const storage::LostVolume& volume, const std::string& pool) {
    auto instance = read_backup_instance(api::parse_yaml(content.read(kBackupFile)));
    const auto who = fmt::format("Instance {} in project {}", text::quote(volume.name), text::quote(volume.project));
    const auto check = [&](const char* what, const std::string& told, const std::string& real) {
        if (told != real)
            throw Error{ErrorCode::Internal,
                        fmt::format("{} has {} mismatch in its backup file ({} doesn't match's pool's {})", who, what,
                                    text::quote(told), text::quote(real))};
    };
    check("instance name", instance.request.name, volume.name);
    check("pool name", instance.pool, pool);
    check("project name", instance.project, volume.project);
    return instance;
}

} // namespace

std::vector<Manager::Lost> Manager::look_for_lost(const nlohmann::json& request) {
    std::vector<Lost> found;
    for (const auto& pool : pools_of(request)) {
        s_.storage.lost_volumes(pool, [&](const storage::LostVolume& volume, const Dir& content) {
            Lost lost{.pool = pool.name, .volume = volume, .instance = {}};
            try {
                if (!volume.custom) lost.instance = read_lost(content, volume, pool.name);
            } catch (const Error& error) {
                throw Error{ErrorCode::Internal,
                            fmt::format("Failed checking volumes on pool {}: {}{}", text::quote(pool.name),
                                        error.code() == ErrorCode::Internal
                                            ? ""
                                            : fmt::format("Instance {}: ", text::quote(volume.name)),
                                        error.what())};
            }
            found.push_back(std::move(lost));
        });
    }
    return found;
}

/// What has to be made before it can be recovered, as LXD names it.
std::set<std::string> Manager::missing_for(const Lost& lost) const {
    std::set<std::string> missing;
    const auto& project = lost.volume.project;
    if (!s_.global.read_value([&](db::Transaction& tx) { return repo_.project_exists(tx, project); })) {
        missing.insert(fmt::format("Project {}", text::quote(project)));
        return missing;
    }
    if (!lost.instance) return missing;
    const auto profiles = expander(project);
    const auto& request = lost.instance->request;
    db::InstanceRow row;
    row.devices = request.devices;
    for (const auto& profile : *request.requested_profiles) {
        if (profiles.knows(profile))
            row.profiles.push_back(profile);
        else
            missing.insert(fmt::format("Profile {} in project {}", text::quote(profile), text::quote(project)));
    }
    const auto networks = s_.network.names(project);
    for (const auto& [name, device] : profiles.expand(std::move(row)).devices) {
        const auto network = device.find("network");
        if (network == device.end() || std::find(networks.begin(), networks.end(), network->second) != networks.end())
            continue;
        missing.insert(fmt::format("Network {} in project {}", text::quote(network->second), text::quote(project)));
    }
    return missing;
}

nlohmann::json Manager::find_lost(const nlohmann::json& request) {
    auto volumes = nlohmann::json::array(), errors = nlohmann::json::array();
    std::set<std::string> missing;
    for (const auto& lost : look_for_lost(request)) {
        volumes.push_back({{"name", lost.volume.name},
                           {"type", lost.instance ? "container" : "volume"},
                           {"snapshotCount", lost.volume.snapshots.size()},
                           {"project", lost.volume.project},
                           {"pool", lost.pool}});
        missing.merge(missing_for(lost));
    }
    for (const auto& text : missing)
        errors.push_back(text);
    return {{"UnknownVolumes", volumes.empty() ? nlohmann::json{} : std::move(volumes)},
            {"DependencyErrors", errors.empty() ? nlohmann::json{} : std::move(errors)}};
}

void Manager::recover_lost(const nlohmann::json& request) {
    const auto found = look_for_lost(request);
    for (const auto& lost : found)
        if (const auto missing = missing_for(lost); !missing.empty())
            throw Error{ErrorCode::InvalidArgument, *missing.begin() + " is missing"};
    for (const auto& pool : pools_of(request))
        s_.storage.adopt_pool(pool);
    for (const auto& lost : found) {
        if (!lost.instance) {
            s_.storage.adopt_volume(lost.pool, lost.volume, {});
            continue;
        }
        try {
            recover_instance(lost);
        } catch (Error& error) {
            error.add_context(fmt::format("Failed recreating instance {} in project {}", text::quote(lost.volume.name),
                                          text::quote(lost.volume.project)));
            throw;
        }
    }
}

/// The rows of an instance whose volume is there. It is a new one in all that its backup.yaml does not say (R22, R24).
void Manager::recover_instance(const Lost& lost) {
    Creation creation;
    creation.ref = {lost.volume.project, lost.volume.name};
    const auto claim = claims_.take(creation.ref, "create");
    creation.request = lost.instance->request;
    creation.import = Creation::Import{.archive = nullptr,
                                       .snapshots = lost.volume.snapshots,
                                       .records = lost.instance->snapshots,
                                       .disk_map = lost.instance->disk_map,
                                       .kept = lost.instance->kept,
                                       .created_at = lost.instance->created_at,
                                       .last_used_at = lost.instance->last_used_at};
    place_root(creation, lost.pool);
    build_row(creation);
    add_devices(creation.instance);
    s_.storage.adopt_volume(lost.pool, lost.volume, [&](db::Transaction& tx) {
        creation.instance.row.id = repo_.insert(tx, creation.instance.row);
        copy_snapshot_rows(tx, creation);
    });
    release_slot(creation.ref);
    fault_point("recover-instance:recorded");
    write_backup_file(creation.ref);
    fault_point("recover-instance:written");
    s_.events.lifecycle(creation.ref.project, "instance-created", instance_url(creation.ref),
                        {{"type", "container"}, {"storage-pool", lost.pool}});
}

} // namespace lxdcore::instance
