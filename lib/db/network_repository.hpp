// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

struct NetworkRow {
    std::int64_t id = 0;
    std::string name, description;
    api::StringMap config;
};

/// Devices of one instance with those of its profiles laid under, reduced to NICs.
struct InstanceNic {
    std::string project, instance, device;
    api::Device config; ///< without "type"
    std::string hwaddr; ///< the configured one, else volatile.<device>.hwaddr
};

struct ProfileNic {
    std::string project, profile, device;
    api::Device config;
};

/// Managed networks in LXD's tables networks, networks_config and networks_nodes. Networks live in the default project.
/// The caller owns the transaction.
class NetworkRepository {
public:
    std::vector<std::string> names(Transaction& tx) const;
    std::vector<NetworkRow> list(Transaction& tx) const; ///< by id
    std::optional<NetworkRow> find(Transaction& tx, const std::string& name) const;
    std::int64_t insert(Transaction& tx, const NetworkRow& network) const; ///< @throws AlreadyExists
    void update(Transaction& tx, const NetworkRow& network) const;
    void rename(Transaction& tx, const std::string& from, const std::string& to) const;
    void remove(Transaction& tx, const std::string& name) const;

    std::vector<InstanceNic> instance_nics(Transaction& tx) const; ///< snapshots excluded
    std::vector<ProfileNic> profile_nics(Transaction& tx) const;
};

} // namespace lxdcore::db
