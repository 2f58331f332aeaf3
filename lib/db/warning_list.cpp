// SPDX-License-Identifier: Apache-2.0
#include "db/warning_list.hpp"

#include <lxdcore/api/types.hpp>

namespace lxdcore::db {

namespace {

/// Entity types: 1 image, 2 profile, 3 project, 5 instance, 8 network, 12 storage pool.
constexpr const char* kSelect = R"sql(
SELECT w.uuid, IFNULL(wp.name, ''), w.type_code, w.status, w.count, w.first_seen_date, w.last_seen_date,
    w.last_message, IFNULL(CASE w.entity_type_code
        WHEN 1 THEN (SELECT '/1.0/images/' || e.fingerprint || CASE p.name WHEN 'default' THEN '' ELSE '?project=' ||
            p.name END FROM images AS e JOIN projects AS p ON p.id = e.project_id WHERE e.id = w.entity_id)
        WHEN 2 THEN (SELECT '/1.0/profiles/' || e.name || CASE p.name WHEN 'default' THEN '' ELSE '?project=' ||
            p.name END FROM profiles AS e JOIN projects AS p ON p.id = e.project_id WHERE e.id = w.entity_id)
        WHEN 3 THEN (SELECT '/1.0/projects/' || e.name FROM projects AS e WHERE e.id = w.entity_id)
        WHEN 5 THEN (SELECT '/1.0/instances/' || e.name || CASE p.name WHEN 'default' THEN '' ELSE '?project=' ||
            p.name END FROM instances AS e JOIN projects AS p ON p.id = e.project_id WHERE e.id = w.entity_id)
        WHEN 8 THEN (SELECT '/1.0/networks/' || e.name || CASE p.name WHEN 'default' THEN '' ELSE '?project=' ||
            p.name END FROM networks AS e JOIN projects AS p ON p.id = e.project_id WHERE e.id = w.entity_id)
        WHEN 12 THEN (SELECT '/1.0/storage-pools/' || e.name FROM storage_pools AS e WHERE e.id = w.entity_id)
    END, '')
FROM warnings AS w LEFT JOIN projects AS wp ON wp.id = w.project_id)sql";

WarningRow row_of(const Rows& rows) {
    return {.uuid = rows.text(0),
            .project = rows.text(1),
            .type = static_cast<int>(rows.int64(2)),
            .status = static_cast<int>(rows.int64(3)),
            .count = rows.int64(4),
            .first_seen = rows.text(5),
            .last_seen = rows.text(6),
            .last_message = rows.text(7),
            .entity_url = rows.text(8)};
}

} // namespace

std::vector<WarningRow> WarningList::all(Transaction& tx, const std::string& project) const {
    auto rows = tx.query(std::string{kSelect} + " WHERE :project = '' OR wp.name = :project ORDER BY w.uuid",
                         {{":project", project}});
    std::vector<WarningRow> out;
    while (rows.next())
        out.push_back(row_of(rows));
    return out;
}

std::optional<WarningRow> WarningList::find(Transaction& tx, const std::string& uuid) const {
    auto rows = tx.query(std::string{kSelect} + " WHERE w.uuid = :uuid", {{":uuid", uuid}});
    if (!rows.next()) return std::nullopt;
    return row_of(rows);
}

bool WarningList::set_status(Transaction& tx, const std::string& uuid, int status) const {
    return tx.exec("UPDATE warnings SET status = :status, updated_date = :now WHERE uuid = :uuid",
                   {{":status", status}, {":now", api::Time::now().str()}, {":uuid", uuid}}) > 0;
}

bool WarningList::remove(Transaction& tx, const std::string& uuid) const {
    return tx.exec("DELETE FROM warnings WHERE uuid = :uuid", {{":uuid", uuid}}) > 0;
}

} // namespace lxdcore::db
