// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// One row of `instances` with what hangs on it. Snapshots are not instances here.
struct InstanceRow {
    std::int64_t id = 0;
    std::string project = "default", name;
    int architecture = 0;
    int type = 0; ///< 0 container
    bool ephemeral = false, stateful = false;
    api::Time created_at, last_used_at;
    std::string description;
    api::StringMap config;
    api::Devices devices;
    std::vector<std::string> profiles; ///< in order of application
};

/// Profiles as the expansion of instances needs them.
struct ProfileRow {
    std::string name;
    api::StringMap config;
    api::Devices devices;
};

/// The tables instances, instances_config, instances_devices(_config), instances_profiles. Reentrant; the caller owns
/// the transaction.
class InstanceRepository {
public:
    /// All instances of @p project ("": of all), by name; a fixed number of queries however many there are.
    std::vector<InstanceRow> list(Transaction& tx, const std::string& project) const;
    std::vector<std::string> names(Transaction& tx, const std::string& project) const;
    std::optional<InstanceRow> find(Transaction& tx, const std::string& project, const std::string& name) const;
    std::vector<ProfileRow> profiles(Transaction& tx, const std::string& project) const;
    std::vector<std::string> using_profile(Transaction& tx, const std::string& project,
                                           const std::string& profile) const;
    bool project_exists(Transaction& tx, const std::string& project) const;

    /// @throws Error AlreadyExists, NotFound for an unknown profile
    std::int64_t insert(Transaction& tx, const InstanceRow& row) const;
    /// The editable part, by id.
    void update(Transaction& tx, const InstanceRow& row) const;
    /// Single config keys; "" removes one.
    void set_config(Transaction& tx, std::int64_t id, const api::StringMap& changes) const;
    void set_last_used(Transaction& tx, std::int64_t id, const api::Time& when) const;
    void rename(Transaction& tx, std::int64_t id, const std::string& name) const;
    void remove(Transaction& tx, std::int64_t id) const;

private:
    std::vector<InstanceRow> load(Transaction& tx, const std::string& where, const std::vector<Bind>& binds) const;
    void write_children(Transaction& tx, const InstanceRow& row) const;
};

/// LXD's number of a device type in instances_devices.type; 0 for none and unknown ones.
int device_type_id(const std::string& type);

} // namespace lxdcore::db
