// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_document.hpp"

#include <lxdcore/api/json_text.hpp>

namespace lxdcore::instance {

namespace {

using Json = nlohmann::ordered_json;

/// Maps that are empty stay maps.
Json map_of(const auto& map) {
    auto json = Json::object();
    for (const auto& [key, value] : map)
        json[key] = value;
    return json;
}

Json instance_json(const api::Instance& instance) {
    std::string text;
    api::append_json(text, instance);
    return Json::parse(text);
}

Json pool_json(const db::StoragePoolRow& pool) {
    return {{"config", map_of(pool.config)},
            {"description", pool.description},
            {"name", pool.name},
            {"driver", pool.driver},
            {"used_by", Json::array()},
            {"status", "Created"},
            {"locations", Json::array({"none"})}};
}

Json profile_json(const api::Profile& profile) {
    auto devices = Json::object();
    for (const auto& [name, device] : profile.devices)
        devices[name] = map_of(device);
    return {{"config", map_of(profile.config)},
            {"description", profile.description},
            {"devices", std::move(devices)},
            {"name", profile.name},
            {"used_by", Json::array()}};
}

Json volume_json(const db::StorageVolumeRow& volume) {
    return {{"config", map_of(volume.config)},
            {"description", volume.description},
            {"name", volume.name},
            {"type", volume.kind == db::VolumeKind::Custom ? "custom" : "container"},
            {"used_by", Json::array()},
            {"location", "none"},
            {"content_type", volume.block ? "block" : "filesystem"},
            {"project", volume.project},
            {"created_at", api::Time{}.str()}};
}

Json volume_snapshot_json(const db::StorageSnapshotRow& snapshot, bool block) {
    return {{"description", snapshot.description},
            {"expires_at", snapshot.expires_at.str()},
            {"name", snapshot.name},
            {"config", map_of(snapshot.config)},
            {"content_type", block ? "block" : "filesystem"},
            {"created_at", api::Time{}.str()}};
}

} // namespace

/// Lists of which there is nothing are left out, as LXD does.
nlohmann::ordered_json BackupDocument::json() const {
    auto json = Json::object();
    if (instance) json["container"] = instance_json(*instance);
    if (!snapshots.empty()) json["snapshots"] = snapshots;
    if (pool) json["pool"] = pool_json(*pool);
    for (const auto& profile : profiles)
        json["profiles"].push_back(profile_json(profile));
    if (volume) json["volume"] = volume_json(*volume);
    for (const auto& snapshot : volume_snapshots)
        json["volume_snapshots"].push_back(volume_snapshot_json(snapshot, volume && volume->block));
    return json;
}

} // namespace lxdcore::instance
