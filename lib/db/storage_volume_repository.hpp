// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// LXD's numbers in storage_volumes.type.
enum class VolumeKind : int { Container = 0, Image = 1, Custom = 2, VirtualMachine = 3 };

struct StorageVolumeRow {
    std::int64_t id = 0;
    std::string pool, project, name;
    VolumeKind kind = VolumeKind::Container;
    std::string description;
    bool block = false; ///< content type
    api::StringMap config;
};

/// Volumes of this member. Reentrant.
class StorageVolumeRepository {
public:
    struct Filter {
        std::optional<std::string> pool, project, name;
        std::optional<VolumeKind> kind;
    };
    std::vector<StorageVolumeRow> list(Transaction& tx, const Filter& filter) const; ///< by id
    std::optional<StorageVolumeRow> find(Transaction& tx, const Filter& filter) const;
    /// @throws Error AlreadyExists, NotFound for an unknown pool or project
    std::int64_t insert(Transaction& tx, const StorageVolumeRow& row) const;
    /// Description and configuration, by id.
    void update(Transaction& tx, const StorageVolumeRow& row) const;
    /// Single config keys; "" removes one.
    void set_config(Transaction& tx, std::int64_t id, const api::StringMap& changes) const;
    /// To the pool, project and name of @p row, by id; with all that hangs on it.
    /// @throws Error AlreadyExists, NotFound for an unknown pool or project
    void move(Transaction& tx, const StorageVolumeRow& row) const;
    /// Disks of instances and profiles in @p project that name the volume name another from now on.
    void redirect_devices(Transaction& tx, const StorageVolumeRow& from, const StorageVolumeRow& to) const;
    void rename(Transaction& tx, std::int64_t id, const std::string& name) const;
    void move(Transaction& tx, std::int64_t id, const std::string& pool) const; ///< @throws NotFound
    void remove(Transaction& tx, std::int64_t id) const;
    /// Whether an instance with the volume's name exists.
    bool has_instance(Transaction& tx, const std::string& project, const std::string& name) const;
};

} // namespace lxdcore::db
