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

void StorageVolumeRepository::insert(Transaction& tx, const StorageVolumeRow& row) const {
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
    for (const auto& [key, value] : row.config)
        tx.insert("INSERT INTO storage_volumes_config (storage_volume_id, key, value) VALUES (:id, :key, :value)",
                  {{":id", id}, {":key", key}, {":value", value}});
}

void StorageVolumeRepository::rename(Transaction& tx, std::int64_t id, const std::string& name) const {
    tx.exec("UPDATE storage_volumes SET name = :name WHERE id = :id", {{":id", id}, {":name", name}});
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
