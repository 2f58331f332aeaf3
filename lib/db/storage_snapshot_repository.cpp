// SPDX-License-Identifier: Apache-2.0
#include "db/storage_snapshot_repository.hpp"

#include <lxdcore/error.hpp>

namespace lxdcore::db {

namespace {

Value time_value(const api::Time& time) { return time.at ? Value{time.str()} : Value{nullptr}; }

api::Time time_of(const Rows& rows, int column) {
    const auto text = rows.text(column);
    return text.empty() ? api::Time{} : api::Time::parse(text);
}

void write_config(Transaction& tx, std::int64_t id, const api::StringMap& config) {
    for (const auto& [key, value] : config)
        tx.insert("INSERT INTO storage_volumes_snapshots_config (storage_volume_snapshot_id, key, value) "
                  "VALUES (:id, :key, :value)",
                  {{":id", id}, {":key", key}, {":value", value}});
}

/// A number that neither table has had.
std::int64_t next_id(Transaction& tx) {
    tx.exec("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'storage_volumes'");
    auto rows = tx.query("SELECT seq FROM sqlite_sequence WHERE name = 'storage_volumes'");
    if (!rows.next()) throw Error{ErrorCode::NotFound, "Storage volume not found"};
    return rows.int64(0);
}

} // namespace

std::vector<StorageSnapshotRow> StorageSnapshotRepository::list(Transaction& tx, std::int64_t volume) const {
    std::vector<StorageSnapshotRow> result;
    auto rows = tx.query("SELECT id, name, description, expiry_date FROM storage_volumes_snapshots "
                         "WHERE storage_volume_id = :volume ORDER BY id",
                         {{":volume", volume}});
    while (rows.next()) {
        StorageSnapshotRow row{.id = rows.int64(0),
                               .volume = volume,
                               .name = rows.text(1),
                               .description = rows.text(2),
                               .expires_at = time_of(rows, 3)};
        auto config =
            tx.query("SELECT key, value FROM storage_volumes_snapshots_config WHERE storage_volume_snapshot_id = :id",
                     {{":id", row.id}});
        while (config.next())
            row.config[config.text(0)] = config.text(1);
        result.push_back(std::move(row));
    }
    return result;
}

std::optional<StorageSnapshotRow> StorageSnapshotRepository::find(Transaction& tx, std::int64_t volume,
                                                                  const std::string& name) const {
    for (auto& row : list(tx, volume))
        if (row.name == name) return std::move(row);
    return std::nullopt;
}

std::int64_t StorageSnapshotRepository::insert(Transaction& tx, const StorageSnapshotRow& row) const {
    const auto id = next_id(tx);
    tx.insert("INSERT INTO storage_volumes_snapshots (id, storage_volume_id, name, description, expiry_date) "
              "VALUES (:id, :volume, :name, :description, :expiry)",
              {{":id", id},
               {":volume", row.volume},
               {":name", row.name},
               {":description", row.description},
               {":expiry", time_value(row.expires_at)}});
    write_config(tx, id, row.config);
    return id;
}

void StorageSnapshotRepository::update(Transaction& tx, const StorageSnapshotRow& row) const {
    tx.exec("UPDATE storage_volumes_snapshots SET description = :description, expiry_date = :expiry WHERE id = :id",
            {{":id", row.id}, {":description", row.description}, {":expiry", time_value(row.expires_at)}});
    tx.exec("DELETE FROM storage_volumes_snapshots_config WHERE storage_volume_snapshot_id = :id", {{":id", row.id}});
    write_config(tx, row.id, row.config);
}

void StorageSnapshotRepository::rename(Transaction& tx, std::int64_t id, const std::string& name) const {
    tx.exec("UPDATE storage_volumes_snapshots SET name = :name WHERE id = :id", {{":id", id}, {":name", name}});
}

void StorageSnapshotRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec("DELETE FROM storage_volumes_snapshots WHERE id = :id", {{":id", id}});
}

} // namespace lxdcore::db
