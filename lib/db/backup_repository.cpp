// SPDX-License-Identifier: Apache-2.0
#include "db/backup_repository.hpp"

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::db {

namespace {

api::Time time_of(const std::string& text) {
    try {
        return text.empty() || text == "0" ? api::Time{} : api::Time::parse(text);
    } catch (const Error&) { // other programs may have written another form
        return {};
    }
}

} // namespace

std::vector<BackupRow> BackupRepository::load(Transaction& tx, const std::string& where,
                                              const std::vector<Bind>& binds) const {
    std::vector<BackupRow> out;
    auto rows = tx.query(fmt::format("SELECT id, {}, name, creation_date, expiry_date, {}, optimized_storage FROM {}{} "
                                     "ORDER BY id",
                                     owner_column(), alone_column(), table(), where),
                         binds);
    while (rows.next()) {
        const auto name = rows.text(2);
        out.push_back({.id = rows.int64(0),
                       .owner = rows.int64(1),
                       .name = name.substr(name.find('/') + 1),
                       .created_at = time_of(rows.text(3)),
                       .expires_at = time_of(rows.text(4)),
                       .alone = rows.int64(5) != 0,
                       .optimized = rows.int64(6) != 0});
    }
    return out;
}

std::vector<BackupRow> BackupRepository::list(Transaction& tx, std::int64_t owner) const {
    return load(tx, fmt::format(" WHERE {} = :owner", owner_column()), {{":owner", owner}});
}

std::vector<BackupRow> BackupRepository::all(Transaction& tx) const { return load(tx, "", {}); }

std::vector<BackupRow> BackupRepository::expired(Transaction& tx, const api::Time& now) const {
    auto rows = load(tx, "", {});
    std::erase_if(rows, [&](const BackupRow& row) { return !row.expires_at.at || *row.expires_at.at > *now.at; });
    return rows;
}

std::int64_t BackupRepository::insert(Transaction& tx, const std::string& owner_name, const BackupRow& row) const {
    return tx.insert(fmt::format("INSERT INTO {} ({}, name, creation_date, expiry_date, {}, optimized_storage) "
                                 "VALUES (:owner, :name, :created, :expires, :alone, :optimized)",
                                 table(), owner_column(), alone_column()),
                     {{":owner", row.owner},
                      {":name", owner_name + "/" + row.name},
                      {":created", row.created_at.str()},
                      {":expires", row.expires_at.str()},
                      {":alone", row.alone},
                      {":optimized", row.optimized}});
}

void BackupRepository::rename(Transaction& tx, std::int64_t id, const std::string& owner_name,
                              const std::string& name) const {
    tx.exec(fmt::format("UPDATE {} SET name = :name WHERE id = :id", table()),
            {{":name", owner_name + "/" + name}, {":id", id}});
}

void BackupRepository::rename_owner(Transaction& tx, std::int64_t owner, const std::string& owner_name) const {
    for (const auto& row : list(tx, owner))
        rename(tx, row.id, owner_name, row.name);
}

void BackupRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec(fmt::format("DELETE FROM {} WHERE id = :id", table()), {{":id", id}});
}

} // namespace lxdcore::db
