// SPDX-License-Identifier: Apache-2.0
#include "db/warning_repository.hpp"

#include <optional>

#include <lxdcore/api/types.hpp>

#include "util/text.hpp"

namespace lxdcore::db {

namespace {

constexpr int kInstanceEntity = 5; ///< warnings.entity_type_code
enum Status : int { kNew = 1, kResolved = 3 };

struct Entity {
    std::int64_t project = 0, instance = 0;
};

std::optional<Entity> find_entity(Transaction& tx, const std::string& project, const std::string& instance) {
    auto rows = tx.query("SELECT p.id, i.id FROM instances AS i JOIN projects AS p ON p.id = i.project_id "
                         "WHERE p.name = :project AND i.name = :name",
                         {{":project", project}, {":name", instance}});
    if (!rows.next()) return std::nullopt;
    return Entity{rows.int64(0), rows.int64(1)};
}

struct Found {
    std::int64_t id = 0, status = 0;
};

std::optional<Found> find_warning(Transaction& tx, WarningType type, const Entity& entity) {
    auto rows = tx.query("SELECT id, status FROM warnings WHERE type_code = :type AND project_id = :project "
                         "AND entity_type_code = :kind AND entity_id = :entity",
                         {{":type", static_cast<int>(type)},
                          {":project", entity.project},
                          {":kind", kInstanceEntity},
                          {":entity", entity.instance}});
    if (!rows.next()) return std::nullopt;
    return Found{rows.int64(0), rows.int64(1)};
}

} // namespace

void WarningRepository::raise(Transaction& tx, WarningType type, const std::string& project,
                              const std::string& instance, const std::string& message) const {
    const auto entity = find_entity(tx, project, instance);
    if (!entity) return;
    const auto now = api::Time::now().str();
    if (const auto old = find_warning(tx, type, *entity)) {
        tx.exec("UPDATE warnings SET last_message = :message, last_seen_date = :now, updated_date = :now, "
                "count = count + 1, status = CASE status WHEN :resolved THEN :new ELSE status END WHERE id = :id",
                {{":message", message}, {":now", now}, {":resolved", kResolved}, {":new", kNew}, {":id", old->id}});
        return;
    }
    tx.exec("INSERT INTO warnings (node_id, project_id, entity_type_code, entity_id, uuid, type_code, status, "
            "first_seen_date, last_seen_date, updated_date, last_message, count) VALUES (1, :project, :kind, "
            ":entity, :uuid, :type, :new, :now, :now, '0001-01-01T00:00:00Z', :message, 1)",
            {{":project", entity->project},
             {":kind", kInstanceEntity},
             {":entity", entity->instance},
             {":uuid", text::uuid4()},
             {":type", static_cast<int>(type)},
             {":new", kNew},
             {":now", now},
             {":message", message}});
}

void WarningRepository::resolve(Transaction& tx, WarningType type, const std::string& project,
                                const std::string& instance) const {
    const auto entity = find_entity(tx, project, instance);
    const auto old = entity ? find_warning(tx, type, *entity) : std::nullopt;
    if (!old) return;
    tx.exec("UPDATE warnings SET status = :resolved, updated_date = :now WHERE id = :id",
            {{":resolved", kResolved}, {":now", api::Time::now().str()}, {":id", old->id}});
}

bool WarningRepository::unresolved(Transaction& tx, WarningType type, const std::string& project,
                                   const std::string& instance) const {
    const auto entity = find_entity(tx, project, instance);
    const auto old = entity ? find_warning(tx, type, *entity) : std::nullopt;
    return old && old->status != kResolved;
}

} // namespace lxdcore::db
