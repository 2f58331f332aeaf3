// SPDX-License-Identifier: Apache-2.0
#include "db/network_repository.hpp"

#include <map>
#include <utility>

#include <lxdcore/error.hpp>

namespace lxdcore::db {
namespace {

constexpr int kCreated = 1; ///< networks.state
constexpr int kBridge = 0;  ///< networks.type
constexpr int kNic = 1;     ///< instances_devices.type, profiles_devices.type

void write_config(Transaction& tx, std::int64_t id, const api::StringMap& config) {
    tx.exec("DELETE FROM networks_config WHERE network_id = :id", {{":id", id}});
    for (const auto& [key, value] : config) {
        if (value.empty()) continue;
        tx.exec("INSERT INTO networks_config (network_id, node_id, key, value) VALUES (:id, NULL, :key, :value)",
                {{":id", id}, {":key", key}, {":value", value}});
    }
}

api::StringMap read_config(Transaction& tx, std::int64_t id) {
    api::StringMap config;
    auto rows = tx.query("SELECT key, value FROM networks_config WHERE network_id = :id", {{":id", id}});
    while (rows.next())
        config[rows.text(0)] = rows.text(1);
    return config;
}

struct LocalDevice {
    bool nic = false;
    api::Device config;
};
using LocalDevices = std::map<std::string, LocalDevice>;

/// Rows of (owner, device, type, key, value) gathered by owner.
std::map<std::int64_t, LocalDevices> gather(Rows rows) {
    std::map<std::int64_t, LocalDevices> result;
    while (rows.next()) {
        LocalDevice& device = result[rows.int64(0)][rows.text(1)];
        device.nic = rows.int64(2) == kNic;
        if (!rows.is_null(3)) device.config[rows.text(3)] = rows.text(4);
    }
    return result;
}

std::map<std::int64_t, LocalDevices> profile_devices(Transaction& tx) {
    return gather(tx.query(R"sql(
        SELECT d.profile_id, d.name, d.type, c.key, c.value
          FROM profiles_devices AS d LEFT JOIN profiles_devices_config AS c ON c.profile_device_id = d.id)sql"));
}

std::map<std::int64_t, LocalDevices> instance_devices(Transaction& tx) {
    return gather(tx.query(R"sql(
        SELECT d.instance_id, d.name, d.type, c.key, c.value
          FROM instances_devices AS d LEFT JOIN instances_devices_config AS c ON c.instance_device_id = d.id)sql"));
}

/// volatile.<device>.hwaddr by instance and device.
std::map<std::pair<std::int64_t, std::string>, std::string> volatile_macs(Transaction& tx) {
    std::map<std::pair<std::int64_t, std::string>, std::string> result;
    auto rows = tx.query("SELECT instance_id, key, value FROM instances_config WHERE key LIKE 'volatile.%.hwaddr'");
    const std::size_t prefix = std::string{"volatile."}.size();
    while (rows.next()) {
        const std::string key = rows.text(1);
        result[{rows.int64(0), key.substr(prefix, key.size() - prefix - std::string{".hwaddr"}.size())}] = rows.text(2);
    }
    return result;
}

/// Profiles of each instance in the order in which they apply.
std::map<std::int64_t, std::vector<std::int64_t>> profiles_by_instance(Transaction& tx) {
    std::map<std::int64_t, std::vector<std::int64_t>> result;
    auto rows = tx.query("SELECT instance_id, profile_id FROM instances_profiles ORDER BY instance_id, apply_order");
    while (rows.next())
        result[rows.int64(0)].push_back(rows.int64(1));
    return result;
}

} // namespace

std::vector<std::string> NetworkRepository::names(Transaction& tx) const {
    std::vector<std::string> result;
    auto rows = tx.query("SELECT name FROM networks ORDER BY id");
    while (rows.next())
        result.push_back(rows.text(0));
    return result;
}

std::vector<NetworkRow> NetworkRepository::list(Transaction& tx) const {
    std::vector<NetworkRow> result;
    {
        auto rows =
            tx.query("SELECT id, name, description FROM networks WHERE type = :type ORDER BY id", {{":type", kBridge}});
        while (rows.next())
            result.push_back({rows.int64(0), rows.text(1), rows.text(2), {}});
    }
    for (NetworkRow& row : result)
        row.config = read_config(tx, row.id);
    return result;
}

std::optional<NetworkRow> NetworkRepository::find(Transaction& tx, const std::string& name) const {
    NetworkRow row;
    {
        auto rows = tx.query("SELECT id, name, description FROM networks WHERE name = :name", {{":name", name}});
        if (!rows.next()) return std::nullopt;
        row = {rows.int64(0), rows.text(1), rows.text(2), {}};
    }
    row.config = read_config(tx, row.id);
    return row;
}

std::int64_t NetworkRepository::insert(Transaction& tx, const NetworkRow& network) const {
    const std::int64_t id = tx.insert(
        R"sql(
        INSERT INTO networks (project_id, name, description, state, type)
        VALUES ((SELECT id FROM projects WHERE name = 'default'), :name, :description, :state, :type))sql",
        {{":name", network.name}, {":description", network.description}, {":state", kCreated}, {":type", kBridge}});
    tx.exec("INSERT INTO networks_nodes (network_id, node_id, state) SELECT :id, id, :state FROM nodes",
            {{":id", id}, {":state", kCreated}});
    write_config(tx, id, network.config);
    return id;
}

void NetworkRepository::update(Transaction& tx, const NetworkRow& network) const {
    tx.exec("UPDATE networks SET description = :description WHERE id = :id",
            {{":description", network.description}, {":id", network.id}});
    write_config(tx, network.id, network.config);
}

void NetworkRepository::rename(Transaction& tx, const std::string& from, const std::string& to) const {
    tx.exec("UPDATE networks SET name = :to WHERE name = :from", {{":to", to}, {":from", from}});
}

void NetworkRepository::remove(Transaction& tx, const std::string& name) const {
    tx.exec("DELETE FROM networks WHERE name = :name", {{":name", name}});
}

std::vector<InstanceNic> NetworkRepository::instance_nics(Transaction& tx) const {
    const auto of_profiles = profile_devices(tx);
    const auto of_instances = instance_devices(tx);
    const auto profiles = profiles_by_instance(tx);
    const auto macs = volatile_macs(tx);
    std::vector<InstanceNic> result;
    auto rows = tx.query(
        "SELECT i.id, p.name, i.name FROM instances AS i JOIN projects AS p ON p.id = i.project_id ORDER BY i.id");
    while (rows.next()) {
        const std::int64_t id = rows.int64(0);
        LocalDevices expanded;
        const auto lay = [&](const std::map<std::int64_t, LocalDevices>& source, std::int64_t owner) {
            if (const auto it = source.find(owner); it != source.end())
                for (const auto& [name, device] : it->second)
                    expanded[name] = device;
        };
        if (const auto it = profiles.find(id); it != profiles.end())
            for (const std::int64_t profile : it->second)
                lay(of_profiles, profile);
        lay(of_instances, id);
        for (auto& [name, device] : expanded) {
            if (!device.nic) continue;
            const auto own = device.config.find("hwaddr");
            const auto kept = macs.find({id, name});
            std::string mac = own != device.config.end() ? own->second : kept != macs.end() ? kept->second : "";
            result.push_back({rows.text(1), rows.text(2), name, std::move(device.config), std::move(mac)});
        }
    }
    return result;
}

std::vector<ProfileNic> NetworkRepository::profile_nics(Transaction& tx) const {
    const auto devices = profile_devices(tx);
    std::vector<ProfileNic> result;
    auto rows = tx.query(
        "SELECT f.id, p.name, f.name FROM profiles AS f JOIN projects AS p ON p.id = f.project_id ORDER BY f.id");
    while (rows.next()) {
        const auto it = devices.find(rows.int64(0));
        if (it == devices.end()) continue;
        for (const auto& [name, device] : it->second)
            if (device.nic) result.push_back({rows.text(1), rows.text(2), name, device.config});
    }
    return result;
}

} // namespace lxdcore::db
