// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_index.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "config/validators.hpp"
#include "instance/backup_fields.hpp"
#include "system/idmap.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

using namespace backup_fields;

namespace {

api::Devices devices_at(const Json& object) {
    const auto& value = member(object, "devices");
    if (value.is_null()) return {};
    if (!value.is_object()) refuse("devices are no map");
    api::Devices devices;
    for (const auto& [name, device] : value.items()) {
        names::check_device(name);
        devices[name] = api::to_string_map(device);
    }
    return devices;
}

bool is_mac(std::string_view text) {
    if (text.size() != 17) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (i % 3 == 2 ? text[i] != ':' : std::string_view{"0123456789abcdef"}.find(text[i]) == std::string_view::npos)
            return false;
    return true;
}

/// Volatile keys that tell who the instance is, not how it runs; the rest is made anew.
bool is_kept(const std::string& key, const std::string& value) {
    if (key == "volatile.uuid" || key == "volatile.cloud-init.instance-id") {
        config::check::uuid(value);
        return true;
    }
    if (key == "volatile.base_image") {
        names::check_fingerprint(value);
        return true;
    }
    if (key == "volatile.apply_template") return value == "create" || value == "copy" || value == "rename";
    return key.ends_with(".hwaddr") && is_mac(value);
}

void split_config(BackupInstance& out, const api::StringMap& config) {
    for (const auto& [key, value] : config) {
        if (!key.starts_with("volatile.")) {
            out.request.config[key] = value;
        } else if (key == "volatile.last_state.idmap") {
            if (value.empty()) continue;
            out.disk_map = IdMap::parse(value).json();
        } else if (!value.empty() && is_kept(key, value)) {
            out.kept[key] = value;
        }
    }
    for (const char* key : {"volatile.uuid", "volatile.cloud-init.instance-id"})
        out.kept.try_emplace(key, text::uuid4());
}

BackupSnapshot read_snapshot(const Json& json) {
    BackupSnapshot out;
    const auto name = text_at(json, "name");
    out.name = name.substr(name.rfind('/') + 1); // older ones have the instance's in front
    names::check_volume(out.name);
    out.created_at = time_at(json, "created_at");
    out.expires_at = time_at(json, "expires_at");
    out.config = api::to_string_map(member(json, "config"));
    out.devices = devices_at(json);
    out.profiles = list_at(json, "profiles");
    return out;
}

} // namespace

BackupInstance read_backup_instance(const Json& document) {
    BackupInstance out;
    const auto& container = member(document, "container");
    if (!container.is_object()) refuse("it has no instance");
    auto& request = out.request;
    request.name = text_at(container, "name");
    names::check_instance(request.name);
    if (const auto type = text_at(container, "type"); !type.empty() && type != "container")
        throw Error{ErrorCode::Unsupported, "Instance type " + text::quote(type) + " is not supported on this server"};
    request.architecture = text_at(container, "architecture");
    request.description = text_at(container, "description");
    request.ephemeral = flag_at(container, "ephemeral");
    if (flag_at(container, "stateful"))
        throw Error{ErrorCode::Unsupported, "Instances with their running state are not supported on this server"};
    request.devices = devices_at(container);
    request.requested_profiles = list_at(container, "profiles");
    for (const auto& profile : *request.requested_profiles)
        names::check_profile(profile);
    split_config(out, api::to_string_map(member(container, "config")));
    out.created_at = time_at(container, "created_at");
    out.last_used_at = time_at(container, "last_used_at");
    if (const auto project = text_at(container, "project"); !project.empty()) out.project = project;
    names::check_project(out.project);

    const auto& snapshots = member(document, "snapshots");
    if (!snapshots.is_null() && !snapshots.is_array()) refuse("snapshots are no list");
    if (snapshots.size() > kMostSnapshots) refuse("it has too many snapshots");
    std::set<std::string> seen;
    for (const auto& snapshot : snapshots) {
        out.snapshots.push_back(read_snapshot(snapshot));
        if (!seen.insert(out.snapshots.back().name).second) refuse("two snapshots have one name");
    }
    if (const auto& pool = member(document, "pool"); !pool.is_null()) out.pool = text_at(pool, "name");
    if (!out.pool.empty()) names::check_pool(out.pool);
    return out;
}

BackupIndex read_backup_index(const Json& document) {
    BackupIndex out;
    if (!document.is_object()) refuse("its index is no map");
    out.name = text_at(document, "name");
    names::check_instance(out.name);
    if (const auto type = text_at(document, "type"); type == "virtual-machine" || type == "custom")
        throw Error{ErrorCode::Unsupported, "Backups of type " + text::quote(type) + " cannot become an instance here"};
    else if (!type.empty() && type != "container" && type != "unknown")
        refuse("its type is unknown");
    out.optimized = flag_at(document, "optimized");
    out.backend = text_at(document, "backend");
    out.pool = text_at(document, "pool");
    if (!out.pool.empty()) names::check_pool(out.pool);
    out.instance = read_backup_instance(member(document, "config"));
    for (auto name : list_at(document, "snapshots")) {
        names::check_volume(name);
        const auto& known = out.instance.snapshots;
        if (std::none_of(known.begin(), known.end(), [&](const auto& snapshot) { return snapshot.name == name; }))
            refuse(fmt::format("its configuration has no snapshot {}", text::quote(name)));
        if (std::find(out.snapshots.begin(), out.snapshots.end(), name) != out.snapshots.end())
            refuse("two snapshots have one name");
        out.snapshots.push_back(std::move(name));
    }
    return out;
}

} // namespace lxdcore::instance
