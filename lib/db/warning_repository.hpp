// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "db/database.hpp"

namespace lxdcore::db {

/// LXD's numbers in warnings.type_code.
enum class WarningType : int {
    NoCgroupBlkio = 1,
    NoCgroupBlkioWeight = 2,
    NoCgroupCpu = 3,
    NoCgroupCpuset = 4,
    NoCgroupCpuacct = 5,
    NoCgroupDevices = 6,
    NoCgroupFreezer = 7,
    NoCgroupHugetlb = 8,
    NoCgroupMemory = 9,
    NoCgroupNetworkPriority = 10,
    NoCgroupPids = 11,
    NoSwapAccounting = 12,
    AppArmorDisabled = 14,
    NetworkUnavailable = 20,
    InstanceAutostartFailure = 22,
    StoragePoolUnavailable = 24
};

/// The table warnings, for those about the host or one instance, network or pool: one row for each type, counted.
/// Reentrant.
class WarningRepository {
public:
    /// Adds the warning, or counts it once more and makes a resolved one new again. Nothing if the instance is gone.
    void raise(Transaction& tx, WarningType type, const std::string& project, const std::string& instance,
               const std::string& message) const;
    /// The cause is gone.
    void resolve(Transaction& tx, WarningType type, const std::string& project, const std::string& instance) const;
    void raise_pool(Transaction& tx, WarningType type, const std::string& pool, const std::string& message) const;
    void resolve_pool(Transaction& tx, WarningType type, const std::string& pool) const;
    void raise_network(Transaction& tx, WarningType type, const std::string& network, const std::string& message) const;
    void resolve_network(Transaction& tx, WarningType type, const std::string& network) const;
    /// About no entity at all.
    void raise_host(Transaction& tx, WarningType type, const std::string& message) const;
    void resolve_host(Transaction& tx, WarningType type) const;
    bool unresolved(Transaction& tx, WarningType type, const std::string& project, const std::string& instance) const;
};

} // namespace lxdcore::db
