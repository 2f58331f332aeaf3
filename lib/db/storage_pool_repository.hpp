// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

struct StoragePoolRow {
    enum State { Pending = 0, Created = 1 };
    std::int64_t id = 0;
    std::string name, driver, description;
    State state = Pending;
    api::StringMap config;
};

/// Storage pools of this member. Reentrant.
class StoragePoolRepository {
public:
    std::vector<StoragePoolRow> list(Transaction& tx) const; ///< by name, as LXD lists them
    std::optional<StoragePoolRow> find(Transaction& tx, const std::string& name) const;
    /// @throws Error AlreadyExists
    std::int64_t insert(Transaction& tx, const StoragePoolRow& row) const;
    void set_state(Transaction& tx, std::int64_t id, StoragePoolRow::State state) const;
    void update(Transaction& tx, const StoragePoolRow& row) const; ///< description and config
    void remove(Transaction& tx, std::int64_t id) const;
    /// URLs of profiles with a disk device on the pool.
    std::vector<std::string> profiles_using(Transaction& tx, const std::string& name) const;

private:
    void write_config(Transaction& tx, std::int64_t id, const api::StringMap& config) const;
};

} // namespace lxdcore::db
