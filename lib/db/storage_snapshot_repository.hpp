// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

struct StorageSnapshotRow {
    std::int64_t id = 0;     ///< from the numbers of storage_volumes: the two tables share them
    std::int64_t volume = 0; ///< id of the volume it belongs to
    std::string name;
    std::string description;
    api::Time expires_at;
    api::StringMap config;
};

/// Snapshots of volumes: the tables storage_volumes_snapshots and storage_volumes_snapshots_config. They go with the
/// row of their volume. Reentrant.
class StorageSnapshotRepository {
public:
    std::vector<StorageSnapshotRow> list(Transaction& tx, std::int64_t volume) const; ///< by id
    std::optional<StorageSnapshotRow> find(Transaction& tx, std::int64_t volume, const std::string& name) const;
    /// @throws Error AlreadyExists
    std::int64_t insert(Transaction& tx, const StorageSnapshotRow& row) const;
    /// Description, expiry and configuration, by id.
    void update(Transaction& tx, const StorageSnapshotRow& row) const;
    void rename(Transaction& tx, std::int64_t id, const std::string& name) const;
    void remove(Transaction& tx, std::int64_t id) const;
};

} // namespace lxdcore::db
