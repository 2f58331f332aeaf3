// SPDX-License-Identifier: Apache-2.0
#include "db/storage_pool_repository.hpp"

#include <set>

namespace lxdcore::db {

namespace {

constexpr std::string_view kColumns = "SELECT id, name, driver, description, state FROM storage_pools";

StoragePoolRow row_of(Transaction& tx, Rows& rows) {
    StoragePoolRow row{.id = rows.int64(0),
                       .name = rows.text(1),
                       .driver = rows.text(2),
                       .description = rows.text(3),
                       .state = rows.int64(4) == 1 ? StoragePoolRow::Created : StoragePoolRow::Pending};
    auto config = tx.query("SELECT key, value FROM storage_pools_config WHERE storage_pool_id = :id "
                           "AND (node_id IS NULL OR node_id = 1)",
                           {{":id", row.id}});
    while (config.next())
        row.config[config.text(0)] = config.text(1);
    return row;
}

/// Keys that belong to one member of a cluster.
const std::set<std::string, std::less<>> kMemberKeys{
    "size", "source", "volatile.initial_source", "zfs.pool_name", "lvm.thinpool_name", "lvm.vg_name"};

} // namespace

std::vector<StoragePoolRow> StoragePoolRepository::list(Transaction& tx) const {
    std::vector<StoragePoolRow> result;
    auto rows = tx.query(std::string{kColumns} + " ORDER BY name");
    while (rows.next())
        result.push_back(row_of(tx, rows));
    return result;
}

std::optional<StoragePoolRow> StoragePoolRepository::find(Transaction& tx, const std::string& name) const {
    auto rows = tx.query(std::string{kColumns} + " WHERE name = :name", {{":name", name}});
    if (!rows.next()) return std::nullopt;
    return row_of(tx, rows);
}

std::int64_t StoragePoolRepository::insert(Transaction& tx, const StoragePoolRow& row) const {
    const auto id = tx.insert("INSERT INTO storage_pools (name, driver, description, state) "
                              "VALUES (:name, :driver, :description, :state)",
                              {{":name", row.name},
                               {":driver", row.driver},
                               {":description", row.description},
                               {":state", static_cast<int>(row.state)}});
    tx.exec("INSERT INTO storage_pools_nodes (storage_pool_id, node_id, state) VALUES (:id, 1, :state)",
            {{":id", id}, {":state", static_cast<int>(row.state)}});
    write_config(tx, id, row.config);
    return id;
}

void StoragePoolRepository::set_state(Transaction& tx, std::int64_t id, StoragePoolRow::State state) const {
    const std::vector<Bind> binds{{":id", id}, {":state", static_cast<int>(state)}};
    tx.exec("UPDATE storage_pools SET state = :state WHERE id = :id", binds);
    tx.exec("UPDATE storage_pools_nodes SET state = :state WHERE storage_pool_id = :id AND node_id = 1", binds);
}

void StoragePoolRepository::update(Transaction& tx, const StoragePoolRow& row) const {
    tx.exec("UPDATE storage_pools SET description = :description WHERE id = :id",
            {{":id", row.id}, {":description", row.description}});
    tx.exec("DELETE FROM storage_pools_config WHERE storage_pool_id = :id AND (node_id IS NULL OR node_id = 1)",
            {{":id", row.id}});
    write_config(tx, row.id, row.config);
}

void StoragePoolRepository::write_config(Transaction& tx, std::int64_t id, const api::StringMap& config) const {
    for (const auto& [key, value] : config) {
        if (value.empty()) continue;
        tx.insert("INSERT INTO storage_pools_config (storage_pool_id, node_id, key, value) "
                  "VALUES (:id, :node, :key, :value)",
                  {{":id", id},
                   {":node", kMemberKeys.contains(key) ? Value{std::int64_t{1}} : Value{nullptr}},
                   {":key", key},
                   {":value", value}});
    }
}

void StoragePoolRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec("DELETE FROM storage_pools WHERE id = :id", {{":id", id}});
}

std::vector<std::string> StoragePoolRepository::profiles_using(Transaction& tx, const std::string& name) const {
    std::vector<std::string> result;
    auto rows = tx.query(R"sql(
        SELECT DISTINCT p.name, j.name FROM profiles AS p
          JOIN projects AS j ON j.id = p.project_id
          JOIN profiles_devices AS d ON d.profile_id = p.id
          JOIN profiles_devices_config AS c ON c.profile_device_id = d.id
         WHERE c.key = 'pool' AND c.value = :name ORDER BY p.id)sql",
                         {{":name", name}});
    while (rows.next()) {
        const auto project = rows.text(1);
        result.push_back("/1.0/profiles/" + rows.text(0) + (project == "default" ? "" : "?project=" + project));
    }
    return result;
}

} // namespace lxdcore::db
