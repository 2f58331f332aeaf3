// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

struct InstanceSnapshotRow {
    std::int64_t id = 0;
    std::int64_t instance = 0; ///< id of the instance it belongs to
    std::string name;
    api::Time created_at, expires_at;
    bool stateful = false;
    std::string description;
    api::StringMap config;
    api::Devices devices;
};

/// The tables instances_snapshots, instances_snapshots_config, instances_snapshots_devices(_config). Rows go with that
/// of their instance. Reentrant; the caller owns the transaction.
class InstanceSnapshotRepository {
public:
    std::vector<InstanceSnapshotRow> list(Transaction& tx, std::int64_t instance) const; ///< in the order of making
    /// All, by the id of their instance; a fixed number of queries however many there are.
    std::map<std::int64_t, std::vector<InstanceSnapshotRow>> by_instance(Transaction& tx) const;
    std::vector<std::string> names(Transaction& tx, std::int64_t instance) const;
    std::optional<InstanceSnapshotRow> find(Transaction& tx, std::int64_t instance, const std::string& name) const;

    /// @throws Error AlreadyExists
    std::int64_t insert(Transaction& tx, const InstanceSnapshotRow& row) const;
    void set_expiry(Transaction& tx, std::int64_t id, const api::Time& expires_at) const;
    void set_devices(Transaction& tx, std::int64_t id, const api::Devices& devices) const;
    void rename(Transaction& tx, std::int64_t id, const std::string& name) const;
    void remove(Transaction& tx, std::int64_t id) const;

private:
    std::vector<InstanceSnapshotRow> load(Transaction& tx, const std::string& where,
                                          const std::vector<Bind>& binds) const;
};

} // namespace lxdcore::db
