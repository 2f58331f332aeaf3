// SPDX-License-Identifier: Apache-2.0
// index.yaml and backup.yaml of backups that come from elsewhere, of instances and of volumes.
#include <set>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/api/instance_snapshot.hpp>

#include "api/ordered_yaml.hpp"
#include "fuzz/fuzz.hpp"
#include "instance/backup_document.hpp"
#include "instance/backup_index.hpp"
#include "instance/volume_index.hpp"
#include "system/idmap.hpp"
#include "util/names.hpp"

using namespace lxdcore;

namespace {

/// A name that becomes a part of a path.
void require_one_part(const std::string& name) {
    fuzz::require(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                  !names::has_control(name));
}

template <class Snapshots>
void require_different(const Snapshots& snapshots) {
    std::set<std::string> seen;
    for (const auto& snapshot : snapshots) {
        require_one_part(snapshot.name);
        fuzz::require(seen.insert(snapshot.name).second);
    }
}

void check(const instance::BackupInstance& read) {
    require_one_part(read.request.name);
    require_one_part(read.project);
    if (!read.pool.empty()) require_one_part(read.pool);
    require_different(read.snapshots);
    for (const auto& [key, value] : read.request.config)
        fuzz::require(!key.starts_with("volatile."));
    for (const auto& [key, value] : read.kept)
        fuzz::require(key.starts_with("volatile.") || key.ends_with(".hwaddr"));
    fuzz::require(IdMap::parse(read.disk_map).json() == read.disk_map);
}

/// What an instance made of it says in a backup of its own.
std::string written(const instance::BackupInstance& read) {
    instance::BackupDocument document;
    auto& instance = document.instance.emplace();
    instance.name = read.request.name;
    instance.project = read.project;
    instance.architecture = read.request.architecture;
    instance.description = read.request.description;
    instance.config = read.request.config;
    instance.config.insert(read.kept.begin(), read.kept.end());
    instance.config["volatile.last_state.idmap"] = read.disk_map;
    instance.devices = read.request.devices;
    instance.profiles = *read.request.requested_profiles;
    instance.created_at = read.created_at;
    for (const auto& one : read.snapshots) {
        api::InstanceSnapshot snapshot;
        snapshot.name = one.name;
        snapshot.created_at = one.created_at;
        snapshot.config = one.config;
        snapshot.devices = one.devices;
        snapshot.profiles = one.profiles;
        document.snapshots.push_back(nlohmann::json(snapshot));
    }
    return api::encode_ordered_yaml(document.json());
}

/// Nothing of it changes on the way through our own backup, and no other reader than ours would see anything else.
void check_way_back(const instance::BackupInstance& read) {
    const auto again = instance::read_backup_instance(api::parse_yaml(written(read)));
    fuzz::require(again.request.name == read.request.name && again.project == read.project);
    fuzz::require(again.request.architecture == read.request.architecture);
    fuzz::require(again.request.description == read.request.description);
    fuzz::require(again.request.config == read.request.config && again.request.devices == read.request.devices);
    fuzz::require(again.request.requested_profiles == read.request.requested_profiles);
    fuzz::require(again.kept == read.kept && again.disk_map == read.disk_map);
    fuzz::require(again.created_at == read.created_at && again.snapshots.size() == read.snapshots.size());
    for (std::size_t i = 0; i < read.snapshots.size(); ++i) {
        const auto &was = read.snapshots[i], &is = again.snapshots[i];
        fuzz::require(is.name == was.name && is.config == was.config && is.devices == was.devices &&
                      is.profiles == was.profiles && is.created_at == was.created_at);
    }
}

bool small(const nlohmann::json& document) { return document.dump().size() < 16 << 10; }

void instance_backup(const nlohmann::json& document) {
    const auto index = instance::read_backup_index(document);
    require_one_part(index.name);
    if (!index.pool.empty()) require_one_part(index.pool);
    std::set<std::string> known, listed;
    for (const auto& snapshot : index.instance.snapshots)
        known.insert(snapshot.name);
    for (const auto& name : index.snapshots)
        fuzz::require(known.contains(name) && listed.insert(name).second);
    check(index.instance);
    if (small(document)) check_way_back(index.instance);
}

void volume_backup(const nlohmann::json& document, const std::string& driver) {
    const auto index = instance::read_volume_index(document, driver);
    require_one_part(index.volume.name);
    require_different(index.snapshots);
    for (const auto& [key, value] : index.volume.config)
        if (key.starts_with("volatile.idmap.")) fuzz::require(IdMap::parse(value).json() == value);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::refused_or_done([&] {
        const auto document = api::parse_yaml(fuzz::text_of(data, size));
        fuzz::refused_or_done([&] { instance_backup(document); });
        fuzz::refused_or_done([&] {
            const auto instance = instance::read_backup_instance(document);
            check(instance);
            if (small(document)) check_way_back(instance);
        });
        for (const char* driver : {"dir", "btrfs", "lvm"})
            fuzz::refused_or_done([&] { volume_backup(document, driver); });
    });
    return 0;
}
