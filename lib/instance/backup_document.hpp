// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <lxdcore/api/instance.hpp>
#include <lxdcore/api/resources.hpp>

#include "db/storage_pool_repository.hpp"
#include "db/storage_snapshot_repository.hpp"
#include "db/storage_volume_repository.hpp"

namespace lxdcore::instance {

constexpr const char* kBackupFile = "backup.yaml";

/// All that makes an instance beside its files: what backup.yaml in its volume says, and the index of a backup.
struct BackupDocument {
    std::optional<api::Instance> instance;         ///< none: of a custom volume
    std::vector<nlohmann::ordered_json> snapshots; ///< api::InstanceSnapshot, oldest first
    std::optional<db::StoragePoolRow> pool;
    std::vector<api::Profile> profiles;
    std::optional<db::StorageVolumeRow> volume;
    std::vector<db::StorageSnapshotRow> volume_snapshots;

    nlohmann::ordered_json json() const; ///< in the order of LXD's fields
};

} // namespace lxdcore::instance
