// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/instance.hpp>

namespace lxdcore::instance {

/// What a snapshot in a backup or in backup.yaml says of itself.
struct BackupSnapshot {
    std::string name;
    api::Time created_at, expires_at;
    api::StringMap config;
    api::Devices devices;
    std::vector<std::string> profiles;
};

/// The instance of a backup.yaml (R24: the one place that configuration is taken from), its names checked (R8) and its
/// volatile keys apart. Values are judged by whoever makes an instance of it.
struct BackupInstance {
    api::InstancesPost request;  ///< name, config without volatile keys, devices, profiles, …
    api::StringMap kept;         ///< volatile keys that an instance keeps all its life, valid ones only
    std::string disk_map = "[]"; ///< volatile.last_state.idmap
    api::Time created_at, last_used_at;
    std::vector<BackupSnapshot> snapshots;
    std::string pool; ///< where it was
    std::string project = "default";
};

/// backup.yaml, or "config" of an index. @throws Error InvalidArgument naming what is wrong
BackupInstance read_backup_instance(const nlohmann::json& document);

/// index.yaml of a backup of an instance.
struct BackupIndex {
    std::string name, pool;
    std::string backend;                ///< storage driver
    bool optimized = false;             ///< in the form of the driver
    std::vector<std::string> snapshots; ///< that the archive has, oldest first; the instance has said all of them
    BackupInstance instance;
};
/// @throws Error InvalidArgument, Unsupported (of a virtual machine)
BackupIndex read_backup_index(const nlohmann::json& document);

} // namespace lxdcore::instance
