// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// The table `config` that each of the two databases has. The caller owns the transaction. Reentrant.
class ConfigRepository {
public:
    static api::StringMap all(Transaction& tx);
    /// An empty value removes the key.
    static void set(Transaction& tx, const api::StringMap& changes);
};

/// Projects with config and what they hold. The caller owns the transaction. Reentrant.
class ProjectRepository {
public:
    static std::vector<api::Project> list(Transaction& tx); ///< by name
};

} // namespace lxdcore::db
