// SPDX-License-Identifier: Apache-2.0
#include "db/storage_volume_repository.hpp"

#include <lxdcore/error.hpp>

namespace lxdcore::db {

namespace {

std::int64_t id_of(Transaction& tx, std::string_view sql, const std::string& name, const char* missing) {
    auto rows = tx.query(sql, {{":name", name}});
    if (!rows.next()) throw Error{ErrorCode::NotFound, missing};
    return rows.int64(0);
}

void write_config(Transaction& tx, std::int64_t id, const api::StringMap& config) {
    for (const auto& [key, value] : config)
        if (!value.empty())
            tx.insert("INSERT INTO storage_volumes_config (storage_volume_id, key, value) VALUES (:id, :key, :value)",
                      {{":id", id}, {":key", key}, {":value", value}});
}

/// @p owners "instances", @p owner "instance": the tables of devices differ in these words only.
void redirect(Transaction& tx, const std::string& owners, const std::string& owner, const StorageVolumeRow& from,
              const StorageVolumeRow& to) {
    const auto config = owners + "_devices_config", device = owner + "_device_id";
    auto rows = tx.query("SELECT d.id FROM " + owners + "_devices AS d JOIN " + owners + " AS o ON o.id = d." + owner +
                             "_id JOIN projects AS p ON p.id = o.project_id JOIN " + config + " AS s ON s." + device +
                             " = d.id AND s.key = 'source' JOIN " + config + " AS q ON q." + device +
                             " = d.id AND q.key = 'pool' "
                             "WHERE p.name = :project AND s.value = :name AND q.value = :pool",
                         {{":project", from.project}, {":name", from.name}, {":pool", from.pool}});
    std::vector<std::int64_t> devices;
    while (rows.next())
        devices.push_back(rows.int64(0));
    for (const auto id : devices) {
        for (const auto& [key, value] : {std::pair{"source", to.name}, std::pair{"pool", to.pool}})
            tx.exec("UPDATE " + config + " SET value = :value WHERE " + device + " = :id AND key = :key",
                    {{":id", id}, {":key", key}, {":value", value}});
    }
}

Value text_or_null(const std::optional<std::string>& text) { return text ? Value{*text} : Value{nullptr}; }

} // namespace

std::vector<StorageVolumeRow> StorageVolumeRepository::list(Transaction& tx, const Filter& filter) const {
    std::vector<StorageVolumeRow> result;
    auto rows = tx.query(
        R"sql(
        SELECT v.id, s.name, p.name, v.name, v.type, v.description, v.content_type FROM storage_volumes AS v
          JOIN storage_pools AS s ON s.id = v.storage_pool_id
          JOIN projects AS p ON p.id = v.project_id
         WHERE (:pool IS NULL OR s.name = :pool) AND (:project IS NULL OR p.name = :project)
           AND (:name IS NULL OR v.name = :name) AND (:kind IS NULL OR v.type = :kind)
         ORDER BY v.id)sql",
        {{":pool", text_or_null(filter.pool)},
         {":project", text_or_null(filter.project)},
         {":name", text_or_null(filter.name)},
         {":kind", filter.kind ? Value{std::int64_t{static_cast<int>(*filter.kind)}} : Value{nullptr}}});
    while (rows.next()) {
        StorageVolumeRow row{.id = rows.int64(0),
                             .pool = rows.text(1),
                             .project = rows.text(2),
                             .name = rows.text(3),
                             .kind = static_cast<VolumeKind>(rows.int64(4)),
                             .description = rows.text(5),
                             .block = rows.int64(6) == 1};
        auto config =
            tx.query("SELECT key, value FROM storage_volumes_config WHERE storage_volume_id = :id", {{":id", row.id}});
        while (config.next())
            row.config[config.text(0)] = config.text(1);
        result.push_back(std::move(row));
    }
    return result;
}

std::optional<StorageVolumeRow> StorageVolumeRepository::find(Transaction& tx, const Filter& filter) const {
    auto rows = list(tx, filter);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
}

std::int64_t StorageVolumeRepository::insert(Transaction& tx, const StorageVolumeRow& row) const {
    const auto pool = id_of(tx, "SELECT id FROM storage_pools WHERE name = :name", row.pool, "Storage pool not found");
    const auto project = id_of(tx, "SELECT id FROM projects WHERE name = :name", row.project, "Project not found");
    const auto id =
        tx.insert("INSERT INTO storage_volumes (name, storage_pool_id, node_id, type, description, project_id, "
                  "content_type) VALUES (:name, :pool, 1, :kind, :description, :project, :content)",
                  {{":name", row.name},
                   {":pool", pool},
                   {":kind", static_cast<int>(row.kind)},
                   {":description", row.description},
                   {":project", project},
                   {":content", row.block}});
    write_config(tx, id, row.config);
    return id;
}

void StorageVolumeRepository::update(Transaction& tx, const StorageVolumeRow& row) const {
    tx.exec("UPDATE storage_volumes SET description = :description WHERE id = :id",
            {{":id", row.id}, {":description", row.description}});
    tx.exec("DELETE FROM storage_volumes_config WHERE storage_volume_id = :id", {{":id", row.id}});
    write_config(tx, row.id, row.config);
}

void StorageVolumeRepository::set_config(Transaction& tx, std::int64_t id, const api::StringMap& changes) const {
    for (const auto& [key, value] : changes)
        tx.exec("DELETE FROM storage_volumes_config WHERE storage_volume_id = :id AND key = :key",
                {{":id", id}, {":key", key}});
    write_config(tx, id, changes);
}

void StorageVolumeRepository::move(Transaction& tx, const StorageVolumeRow& row) const {
    const auto taken = find(tx, {.pool = row.pool, .project = row.project, .name = row.name, .kind = row.kind});
    if (taken && taken->id != row.id) throw Error{ErrorCode::AlreadyExists, "Volume by that name already exists"};
    const auto pool = id_of(tx, "SELECT id FROM storage_pools WHERE name = :name", row.pool, "Storage pool not found");
    const auto project = id_of(tx, "SELECT id FROM projects WHERE name = :name", row.project, "Project not found");
    tx.exec("UPDATE storage_volumes SET storage_pool_id = :pool, project_id = :project, name = :name WHERE id = :id",
            {{":id", row.id}, {":pool", pool}, {":project", project}, {":name", row.name}});
    tx.exec("UPDATE storage_volumes_backups SET name = :name || substr(name, instr(name, '/')) "
            "WHERE storage_volume_id = :id",
            {{":id", row.id}, {":name", row.name}});
}

void StorageVolumeRepository::redirect_devices(Transaction& tx, const StorageVolumeRow& from,
                                               const StorageVolumeRow& to) const {
    redirect(tx, "instances", "instance", from, to);
    redirect(tx, "profiles", "profile", from, to);
}

void StorageVolumeRepository::rename(Transaction& tx, std::int64_t id, const std::string& name) const {
    tx.exec("UPDATE storage_volumes SET name = :name WHERE id = :id", {{":id", id}, {":name", name}});
}

void StorageVolumeRepository::move(Transaction& tx, std::int64_t id, const std::string& pool) const {
    const auto to = id_of(tx, "SELECT id FROM storage_pools WHERE name = :name", pool, "Storage pool not found");
    tx.exec("UPDATE storage_volumes SET storage_pool_id = :pool WHERE id = :id", {{":pool", to}, {":id", id}});
}

void StorageVolumeRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec("DELETE FROM storage_volumes WHERE id = :id", {{":id", id}});
}

bool StorageVolumeRepository::has_instance(Transaction& tx, const std::string& project, const std::string& name) const {
    auto rows = tx.query("SELECT 1 FROM instances AS i JOIN projects AS p ON p.id = i.project_id "
                         "WHERE p.name = :project AND i.name = :name",
                         {{":project", project}, {":name", name}});
    return rows.next();
}

} // namespace lxdcore::db
