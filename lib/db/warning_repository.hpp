// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "db/database.hpp"

namespace lxdcore::db {

/// LXD's numbers in warnings.type_code.
enum class WarningType : int { InstanceAutostartFailure = 22, StoragePoolUnavailable = 24 };

/// The table warnings, for those about one instance or pool: one row for each type, counted. Reentrant.
class WarningRepository {
public:
    /// Adds the warning, or counts it once more and makes a resolved one new again. Nothing if the instance is gone.
    void raise(Transaction& tx, WarningType type, const std::string& project, const std::string& instance,
               const std::string& message) const;
    /// The cause is gone.
    void resolve(Transaction& tx, WarningType type, const std::string& project, const std::string& instance) const;
    void raise_pool(Transaction& tx, WarningType type, const std::string& pool, const std::string& message) const;
    void resolve_pool(Transaction& tx, WarningType type, const std::string& pool) const;
    bool unresolved(Transaction& tx, WarningType type, const std::string& project, const std::string& instance) const;
};

} // namespace lxdcore::db
