// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

struct BackupRow {
    std::int64_t id = 0;
    std::int64_t owner = 0; ///< id of the instance or the volume
    std::string name;       ///< without the owner's, which the table has in front of it
    api::Time created_at, expires_at;
    bool alone = false; ///< without snapshots
    bool optimized = false;
};

/// Backups of instances (instances_backups) or of volumes (storage_volumes_backups). They go with the row of their
/// owner. Reentrant; the caller owns the transaction.
class BackupRepository {
public:
    enum class Of { Instances, Volumes };
    explicit BackupRepository(Of of) : instances_{of == Of::Instances} {}

    std::vector<BackupRow> list(Transaction& tx, std::int64_t owner) const; ///< by id
    std::vector<BackupRow> all(Transaction& tx) const;                      ///< of all owners, by id
    std::vector<BackupRow> expired(Transaction& tx, const api::Time& now) const;
    /// @p owner_name: what stands before '/' in the table. @throws Error AlreadyExists
    std::int64_t insert(Transaction& tx, const std::string& owner_name, const BackupRow& row) const;
    void rename(Transaction& tx, std::int64_t id, const std::string& owner_name, const std::string& name) const;
    /// After the owner has got another name.
    void rename_owner(Transaction& tx, std::int64_t owner, const std::string& owner_name) const;
    void remove(Transaction& tx, std::int64_t id) const;

private:
    std::vector<BackupRow> load(Transaction& tx, const std::string& where, const std::vector<Bind>& binds) const;
    const char* table() const { return instances_ ? "instances_backups" : "storage_volumes_backups"; }
    const char* owner_column() const { return instances_ ? "instance_id" : "storage_volume_id"; }
    const char* alone_column() const { return instances_ ? "container_only" : "volume_only"; }
    bool instances_;
};

} // namespace lxdcore::db
