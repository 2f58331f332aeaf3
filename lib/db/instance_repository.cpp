// SPDX-License-Identifier: Apache-2.0
#include "db/instance_repository.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include <lxdcore/error.hpp>

namespace lxdcore::db {

namespace {

constexpr std::array kDeviceTypes{"none", "nic",        "disk",  "unix-char",    "unix-block", "usb",
                                  "gpu",  "infiniband", "proxy", "unix-hotplug", "tpm",        "pci"};

api::Time time_of(const Rows& rows, int column) {
    const auto text = rows.text(column);
    if (text.empty() || text == "0") return api::Time::from_unix(0);
    try {
        return api::Time::parse(text);
    } catch (const Error&) { // other programs may have written another form
        return {};
    }
}

/// Row id to position in the result.
using Index = std::unordered_map<std::int64_t, std::size_t>;

std::string with(const char* sql, const std::string& where) { return sql + where; }

} // namespace

int device_type_id(const std::string& type) {
    const auto* it = std::find(kDeviceTypes.begin(), kDeviceTypes.end(), type);
    return it == kDeviceTypes.end() ? 0 : static_cast<int>(it - kDeviceTypes.begin());
}

std::vector<InstanceRow> InstanceRepository::load(Transaction& tx, const std::string& where,
                                                  const std::vector<Bind>& binds) const {
    std::vector<InstanceRow> out;
    Index index;
    auto rows = tx.query(with(R"sql(
        SELECT i.id, p.name, i.name, i.architecture, i.type, i.ephemeral, i.stateful, i.creation_date, i.last_use_date,
               i.description
          FROM instances AS i JOIN projects AS p ON p.id = i.project_id)sql",
                              where + " ORDER BY p.name, i.name"),
                         binds);
    while (rows.next()) {
        index.emplace(rows.int64(0), out.size());
        out.push_back({.id = rows.int64(0),
                       .project = rows.text(1),
                       .name = rows.text(2),
                       .architecture = static_cast<int>(rows.int64(3)),
                       .type = static_cast<int>(rows.int64(4)),
                       .ephemeral = rows.int64(5) != 0,
                       .stateful = rows.int64(6) != 0,
                       .created_at = time_of(rows, 7),
                       .last_used_at = time_of(rows, 8),
                       .description = rows.text(9)});
    }
    const auto row_of = [&](std::int64_t id) -> InstanceRow* {
        const auto it = index.find(id);
        return it == index.end() ? nullptr : &out[it->second];
    };
    if (out.empty()) return out;
    // Of one instance by the index, of many by reading all, which is in the order of the table.
    const bool one = out.size() == 1;
    const auto children = [&](const char* sql, const char* order = "") {
        return one ? tx.query(sql + std::string{" WHERE instance_id = :id"} + order, {{":id", out.front().id}})
                   : tx.query(sql + std::string{order});
    };
    auto config = children("SELECT instance_id, key, value FROM instances_config");
    while (config.next()) // mostly in the order of the keys
        if (auto* row = row_of(config.int64(0)))
            row->config.emplace_hint(row->config.end(), config.text(1), config.text(2));

    auto devices = children(R"sql(SELECT d.instance_id, d.name, c.key, c.value FROM instances_devices AS d
                                    LEFT JOIN instances_devices_config AS c ON c.instance_device_id = d.id)sql");
    while (devices.next()) {
        auto* row = row_of(devices.int64(0));
        if (row == nullptr) continue;
        auto& device = row->devices[devices.text(1)];
        if (!devices.is_null(2)) device[devices.text(2)] = devices.text(3);
    }
    auto profiles = children(R"sql(SELECT ip.instance_id, f.name FROM instances_profiles AS ip
                                     JOIN profiles AS f ON f.id = ip.profile_id)sql",
                             " ORDER BY ip.instance_id, ip.apply_order");
    while (profiles.next())
        if (auto* row = row_of(profiles.int64(0))) row->profiles.push_back(profiles.text(1));
    return out;
}

std::vector<InstanceRow> InstanceRepository::list(Transaction& tx, const std::string& project) const {
    if (project.empty()) return load(tx, "", {});
    return load(tx, " WHERE p.name = :project", {{":project", project}});
}

std::optional<InstanceRow> InstanceRepository::find(Transaction& tx, const std::string& project,
                                                    const std::string& name) const {
    auto rows = load(tx, " WHERE p.name = :project AND i.name = :name", {{":project", project}, {":name", name}});
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
}

std::vector<std::string> InstanceRepository::names(Transaction& tx, const std::string& project) const {
    std::vector<std::string> out;
    auto rows = tx.query(R"sql(SELECT i.name FROM instances AS i JOIN projects AS p ON p.id = i.project_id
                                WHERE p.name = :project ORDER BY i.name)sql",
                         {{":project", project}});
    while (rows.next())
        out.push_back(rows.text(0));
    return out;
}

std::vector<ProfileRow> InstanceRepository::profiles(Transaction& tx, const std::string& project) const {
    std::vector<ProfileRow> out;
    Index index;
    const std::vector<Bind> binds{{":project", project}};
    auto rows = tx.query(R"sql(SELECT f.id, f.name FROM profiles AS f JOIN projects AS p ON p.id = f.project_id
                                WHERE p.name = :project)sql",
                         binds);
    while (rows.next()) {
        index.emplace(rows.int64(0), out.size());
        out.push_back({.name = rows.text(1)});
    }
    auto config = tx.query("SELECT profile_id, key, value FROM profiles_config");
    while (config.next())
        if (const auto it = index.find(config.int64(0)); it != index.end())
            out[it->second].config[config.text(1)] = config.text(2);
    auto devices = tx.query(R"sql(SELECT d.profile_id, d.name, c.key, c.value, d.type FROM profiles_devices AS d
                                    LEFT JOIN profiles_devices_config AS c ON c.profile_device_id = d.id)sql");
    while (devices.next()) {
        const auto it = index.find(devices.int64(0));
        if (it == index.end()) continue;
        auto& device = out[it->second].devices[devices.text(1)];
        device.emplace("type", kDeviceTypes.at(static_cast<std::size_t>(devices.int64(4))));
        if (!devices.is_null(2)) device[devices.text(2)] = devices.text(3);
    }
    return out;
}

std::vector<std::string> InstanceRepository::using_profile(Transaction& tx, const std::string& project,
                                                           const std::string& profile) const {
    std::vector<std::string> out;
    auto rows = tx.query(R"sql(
        SELECT i.name FROM instances AS i JOIN instances_profiles AS ip ON ip.instance_id = i.id
          JOIN profiles AS f ON f.id = ip.profile_id JOIN projects AS p ON p.id = f.project_id
         WHERE p.name = :project AND f.name = :profile ORDER BY i.name)sql",
                         {{":project", project}, {":profile", profile}});
    while (rows.next())
        out.push_back(rows.text(0));
    return out;
}

bool InstanceRepository::project_exists(Transaction& tx, const std::string& project) const {
    return tx.query("SELECT 1 FROM projects WHERE name = :name", {{":name", project}}).next();
}

std::int64_t InstanceRepository::insert(Transaction& tx, const InstanceRow& row) const {
    auto copy = row;
    try {
        copy.id = tx.insert(R"sql(
            INSERT INTO instances (node_id, name, architecture, type, ephemeral, creation_date, stateful, last_use_date,
                                   description, project_id, expiry_date)
            VALUES ((SELECT min(id) FROM nodes), :name, :architecture, :type, :ephemeral, :created, :stateful, :used,
                    :description, (SELECT id FROM projects WHERE name = :project), '0001-01-01T00:00:00Z'))sql",
                            {{":name", row.name},
                             {":architecture", row.architecture},
                             {":type", row.type},
                             {":ephemeral", row.ephemeral},
                             {":created", row.created_at.str()},
                             {":stateful", row.stateful},
                             {":used", row.last_used_at.str()},
                             {":description", row.description},
                             {":project", row.project}});
    } catch (const Error& error) {
        if (error.code() != ErrorCode::AlreadyExists) throw;
        throw Error{ErrorCode::AlreadyExists, "This \"instances\" entry already exists"};
    }
    write_children(tx, copy);
    return copy.id;
}

void InstanceRepository::update(Transaction& tx, const InstanceRow& row) const {
    const std::vector<Bind> id{{":id", row.id}};
    tx.exec(R"sql(UPDATE instances SET architecture = :architecture, ephemeral = :ephemeral, description = :description
                   WHERE id = :id)sql",
            {{":architecture", row.architecture},
             {":ephemeral", row.ephemeral},
             {":description", row.description},
             {":id", row.id}});
    tx.exec("DELETE FROM instances_config WHERE instance_id = :id", id);
    tx.exec("DELETE FROM instances_devices WHERE instance_id = :id", id);
    tx.exec("DELETE FROM instances_profiles WHERE instance_id = :id", id);
    write_children(tx, row);
}

void InstanceRepository::write_children(Transaction& tx, const InstanceRow& row) const {
    for (const auto& [key, value] : row.config)
        if (!value.empty())
            tx.exec("INSERT INTO instances_config (instance_id, key, value) VALUES (:id, :key, :value)",
                    {{":id", row.id}, {":key", key}, {":value", value}});
    for (const auto& [name, device] : row.devices) {
        const auto type = device.find("type");
        const auto device_id = tx.insert(
            "INSERT INTO instances_devices (instance_id, name, type) VALUES (:id, :name, :type)",
            {{":id", row.id}, {":name", name}, {":type", type == device.end() ? 0 : device_type_id(type->second)}});
        for (const auto& [key, value] : device)
            if (!value.empty())
                tx.exec("INSERT INTO instances_devices_config (instance_device_id, key, value) VALUES (:id, :key, "
                        ":value)",
                        {{":id", device_id}, {":key", key}, {":value", value}});
    }
    int order = 1;
    for (const auto& profile : row.profiles) {
        auto found = tx.query(R"sql(SELECT f.id FROM profiles AS f JOIN projects AS p ON p.id = f.project_id
                                     WHERE p.name = :project AND f.name = :name)sql",
                              {{":project", row.project}, {":name", profile}});
        if (!found.next()) throw Error{ErrorCode::NotFound, "Profile not found"};
        tx.exec("INSERT INTO instances_profiles (instance_id, profile_id, apply_order) VALUES (:id, :profile, :order)",
                {{":id", row.id}, {":profile", found.int64(0)}, {":order", order++}});
    }
}

void InstanceRepository::set_config(Transaction& tx, std::int64_t id, const api::StringMap& changes) const {
    for (const auto& [key, value] : changes) {
        tx.exec("DELETE FROM instances_config WHERE instance_id = :id AND key = :key", {{":id", id}, {":key", key}});
        if (!value.empty())
            tx.exec("INSERT INTO instances_config (instance_id, key, value) VALUES (:id, :key, :value)",
                    {{":id", id}, {":key", key}, {":value", value}});
    }
}

void InstanceRepository::set_last_used(Transaction& tx, std::int64_t id, const api::Time& when) const {
    tx.exec("UPDATE instances SET last_use_date = :when WHERE id = :id", {{":when", when.str()}, {":id", id}});
}

void InstanceRepository::rename(Transaction& tx, std::int64_t id, const std::string& name) const {
    tx.exec("UPDATE instances SET name = :name WHERE id = :id", {{":name", name}, {":id", id}});
}

void InstanceRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec("DELETE FROM instances WHERE id = :id", {{":id", id}});
}

} // namespace lxdcore::db
