// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// Profiles and who uses them. The caller owns the transaction. Reentrant.
class ProfileRepository {
public:
    static std::vector<std::string> names(Transaction& tx, const std::string& project);
    /// By name, with used_by.
    static std::vector<api::Profile> list(Transaction& tx, const std::string& project);
    static std::optional<api::Profile> find(Transaction& tx, const std::string& project, const std::string& name);
    static std::optional<std::int64_t> id(Transaction& tx, const std::string& project, const std::string& name);
    /// Empty values are not stored. @throws Error AlreadyExists, NotFound (project)
    static void insert(Transaction& tx, const std::string& project, const api::ProfilesPost& profile);
    static void update(Transaction& tx, std::int64_t id, const api::ProfilePut& profile);
    static void rename(Transaction& tx, std::int64_t id, const std::string& name);
    static void remove(Transaction& tx, std::int64_t id);
};

} // namespace lxdcore::db
