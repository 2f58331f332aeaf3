// SPDX-License-Identifier: Apache-2.0
#include "instance/volume_index.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "config/volume_keys.hpp"
#include "instance/backup_fields.hpp"
#include "system/idmap.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

using namespace backup_fields;

namespace {

/// What this server knows; of what it keeps for itself only how the owners of the files are shifted. Values are judged
/// by whoever makes the volume.
api::StringMap options_of(const Json& object, const std::string& driver) {
    api::StringMap out;
    for (const auto& [key, value] : api::to_string_map(member(object, "config"))) {
        if (value.empty()) continue;
        if (key == "volatile.idmap.last" || key == "volatile.idmap.next")
            out[key] = IdMap::parse(value).json();
        else if (!key.starts_with("volatile.") &&
                 (key.starts_with("user.") || config::find_volume_key(driver, key) != nullptr))
            out[key] = value;
    }
    return out;
}

bool is_block(const Json& object) {
    const auto type = text_at(object, "content_type");
    if (type.empty() || type == "filesystem") return false;
    if (type == "block") return true;
    refuse(fmt::format("{} is no type of content", text::quote(type)));
}

storage::NewVolumeSnapshot snapshot_of(const Json& json, bool block, const std::string& driver) {
    const auto name = text_at(json, "name");
    storage::NewVolumeSnapshot out{.name = name.substr(name.rfind('/') + 1),
                                   .description = text_at(json, "description"),
                                   .expires_at = time_at(json, "expires_at"),
                                   .config = options_of(json, driver)};
    names::check_volume(out.name);
    if (member(json, "content_type").is_string() && is_block(json) != block)
        refuse("a snapshot is of another kind than its volume");
    return out;
}

} // namespace

VolumeIndex read_volume_index(const Json& document, const std::string& driver) {
    VolumeIndex out;
    if (!document.is_object()) refuse("its index is no map");
    if (const auto type = text_at(document, "type"); type != "custom")
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("Backups of type {} cannot become a volume", text::quote(type))};
    out.optimized = flag_at(document, "optimized");
    out.backend = text_at(document, "backend");
    const auto& config = member(document, "config");
    const auto& volume = member(config, "volume");
    if (!volume.is_object()) refuse("it has no volume");
    out.volume.name = text_at(document, "name");
    names::check_volume(out.volume.name);
    if (text_at(volume, "name") != out.volume.name) refuse("it has two names");
    out.volume.pool = text_at(document, "pool");
    out.volume.description = text_at(volume, "description");
    out.volume.block = is_block(volume);
    out.volume.config = options_of(volume, driver);

    std::vector<storage::NewVolumeSnapshot> known;
    std::set<std::string> seen;
    const auto& snapshots = member(config, "volume_snapshots");
    if (!snapshots.is_null() && !snapshots.is_array()) refuse("snapshots are no list");
    if (snapshots.size() > kMostSnapshots) refuse("it has too many snapshots");
    for (const auto& snapshot : snapshots) {
        known.push_back(snapshot_of(snapshot, out.volume.block, driver));
        if (!seen.insert(known.back().name).second) refuse("two snapshots have one name");
    }
    for (const auto& name : list_at(document, "snapshots")) {
        names::check_volume(name);
        const auto it = std::find_if(known.begin(), known.end(), [&](const auto& one) { return one.name == name; });
        if (it == known.end()) refuse(fmt::format("its configuration has no snapshot {}", text::quote(name)));
        out.snapshots.push_back(std::move(*it));
        known.erase(it);
    }
    return out;
}

} // namespace lxdcore::instance
