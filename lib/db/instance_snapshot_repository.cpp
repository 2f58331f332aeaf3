// SPDX-License-Identifier: Apache-2.0
#include "db/instance_snapshot_repository.hpp"

#include <unordered_map>

#include <lxdcore/error.hpp>

#include "db/instance_repository.hpp"

namespace lxdcore::db {

namespace {

api::Time time_of(const Rows& rows, int column) {
    try {
        const auto text = rows.text(column);
        return text.empty() || text == "0" ? api::Time{} : api::Time::parse(text);
    } catch (const Error&) { // other programs may have written another form
        return {};
    }
}

} // namespace

std::vector<InstanceSnapshotRow> InstanceSnapshotRepository::load(Transaction& tx, const std::string& where,
                                                                  const std::vector<Bind>& binds) const {
    std::vector<InstanceSnapshotRow> out;
    std::unordered_map<std::int64_t, std::size_t> index;
    auto rows =
        tx.query("SELECT s.id, s.instance_id, s.name, s.creation_date, s.expiry_date, s.stateful, s.description "
                 "FROM instances_snapshots AS s" +
                     where + " ORDER BY s.creation_date, s.id",
                 binds);
    while (rows.next()) {
        index.emplace(rows.int64(0), out.size());
        out.push_back({.id = rows.int64(0),
                       .instance = rows.int64(1),
                       .name = rows.text(2),
                       .created_at = time_of(rows, 3),
                       .expires_at = time_of(rows, 4),
                       .stateful = rows.int64(5) != 0,
                       .description = rows.text(6)});
    }
    if (out.empty()) return out;
    const auto row_of = [&](std::int64_t id) -> InstanceSnapshotRow* {
        const auto it = index.find(id);
        return it == index.end() ? nullptr : &out[it->second];
    };
    auto config = tx.query("SELECT c.instance_snapshot_id, c.key, c.value FROM instances_snapshots_config AS c "
                           "JOIN instances_snapshots AS s ON s.id = c.instance_snapshot_id" +
                               where,
                           binds);
    while (config.next())
        if (auto* row = row_of(config.int64(0))) row->config[config.text(1)] = config.text(2);
    auto devices = tx.query(R"sql(SELECT d.instance_snapshot_id, d.name, c.key, c.value
                                    FROM instances_snapshots_devices AS d
                                    JOIN instances_snapshots AS s ON s.id = d.instance_snapshot_id
                                    LEFT JOIN instances_snapshots_devices_config AS c
                                      ON c.instance_snapshot_device_id = d.id)sql" +
                                where,
                            binds);
    while (devices.next()) {
        auto* row = row_of(devices.int64(0));
        if (row == nullptr) continue;
        auto& device = row->devices[devices.text(1)];
        if (!devices.is_null(2)) device[devices.text(2)] = devices.text(3);
    }
    return out;
}

std::vector<InstanceSnapshotRow> InstanceSnapshotRepository::list(Transaction& tx, std::int64_t instance) const {
    return load(tx, " WHERE s.instance_id = :instance", {{":instance", instance}});
}

std::map<std::int64_t, std::vector<InstanceSnapshotRow>>
InstanceSnapshotRepository::by_instance(Transaction& tx) const {
    std::map<std::int64_t, std::vector<InstanceSnapshotRow>> out;
    for (auto& row : load(tx, "", {}))
        out[row.instance].push_back(std::move(row));
    return out;
}

std::vector<std::string> InstanceSnapshotRepository::names(Transaction& tx, std::int64_t instance) const {
    std::vector<std::string> out;
    auto rows =
        tx.query("SELECT name FROM instances_snapshots WHERE instance_id = :instance ORDER BY creation_date, id",
                 {{":instance", instance}});
    while (rows.next())
        out.push_back(rows.text(0));
    return out;
}

std::optional<InstanceSnapshotRow> InstanceSnapshotRepository::find(Transaction& tx, std::int64_t instance,
                                                                    const std::string& name) const {
    auto rows =
        load(tx, " WHERE s.instance_id = :instance AND s.name = :name", {{":instance", instance}, {":name", name}});
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
}

namespace {

void add_devices(Transaction& tx, std::int64_t id, const api::Devices& devices) {
    for (const auto& [name, device] : devices) {
        const auto type = device.find("type");
        const auto device_id = tx.insert(
            "INSERT INTO instances_snapshots_devices (instance_snapshot_id, name, type) VALUES (:id, :name, :type)",
            {{":id", id}, {":name", name}, {":type", type == device.end() ? 0 : device_type_id(type->second)}});
        for (const auto& [key, value] : device)
            if (!value.empty())
                tx.exec("INSERT INTO instances_snapshots_devices_config (instance_snapshot_device_id, key, value) "
                        "VALUES (:id, :key, :value)",
                        {{":id", device_id}, {":key", key}, {":value", value}});
    }
}

} // namespace

std::int64_t InstanceSnapshotRepository::insert(Transaction& tx, const InstanceSnapshotRow& row) const {
    std::int64_t id = 0;
    try {
        id = tx.insert("INSERT INTO instances_snapshots (instance_id, name, creation_date, stateful, description, "
                       "expiry_date) VALUES (:instance, :name, :created, :stateful, :description, :expiry)",
                       {{":instance", row.instance},
                        {":name", row.name},
                        {":created", row.created_at.str()},
                        {":stateful", row.stateful},
                        {":description", row.description},
                        {":expiry", row.expires_at.str()}});
    } catch (const Error& error) {
        if (error.code() != ErrorCode::AlreadyExists) throw;
        throw Error{ErrorCode::AlreadyExists, "This \"instances_snapshots\" entry already exists"};
    }
    for (const auto& [key, value] : row.config)
        if (!value.empty())
            tx.exec("INSERT INTO instances_snapshots_config (instance_snapshot_id, key, value) "
                    "VALUES (:id, :key, :value)",
                    {{":id", id}, {":key", key}, {":value", value}});
    add_devices(tx, id, row.devices);
    return id;
}

void InstanceSnapshotRepository::set_devices(Transaction& tx, std::int64_t id, const api::Devices& devices) const {
    tx.exec("DELETE FROM instances_snapshots_devices WHERE instance_snapshot_id = :id", {{":id", id}});
    add_devices(tx, id, devices);
}

void InstanceSnapshotRepository::set_expiry(Transaction& tx, std::int64_t id, const api::Time& expires_at) const {
    tx.exec("UPDATE instances_snapshots SET expiry_date = :expiry WHERE id = :id",
            {{":expiry", expires_at.str()}, {":id", id}});
}

void InstanceSnapshotRepository::rename(Transaction& tx, std::int64_t id, const std::string& name) const {
    tx.exec("UPDATE instances_snapshots SET name = :name WHERE id = :id", {{":name", name}, {":id", id}});
}

void InstanceSnapshotRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec("DELETE FROM instances_snapshots WHERE id = :id", {{":id", id}});
}

} // namespace lxdcore::db
