// SPDX-License-Identifier: Apache-2.0
#include "db/warning_repository.hpp"

#include <optional>

#include <lxdcore/api/types.hpp>

#include "util/text.hpp"

namespace lxdcore::db {

namespace {

enum Kind : int { kInstance = 5, kNetwork = 8, kStoragePool = 12 }; ///< warnings.entity_type_code
enum Status : int { kNew = 1, kResolved = 3 };

struct Entity {
    Value kind;    ///< null: the host
    Value project; ///< null: in none
    Value id;
};

std::optional<Entity> find_entity(Transaction& tx, const std::string& project, const std::string& instance) {
    auto rows = tx.query("SELECT p.id, i.id FROM instances AS i JOIN projects AS p ON p.id = i.project_id "
                         "WHERE p.name = :project AND i.name = :name",
                         {{":project", project}, {":name", instance}});
    if (!rows.next()) return std::nullopt;
    return Entity{std::int64_t{kInstance}, rows.int64(0), rows.int64(1)};
}

std::optional<Entity> find_pool(Transaction& tx, const std::string& pool) {
    auto rows = tx.query("SELECT id FROM storage_pools WHERE name = :name", {{":name", pool}});
    if (!rows.next()) return std::nullopt;
    return Entity{std::int64_t{kStoragePool}, nullptr, rows.int64(0)};
}

std::optional<Entity> find_network(Transaction& tx, const std::string& network) {
    auto rows = tx.query("SELECT project_id, id FROM networks WHERE name = :name", {{":name", network}});
    if (!rows.next()) return std::nullopt;
    return Entity{std::int64_t{kNetwork}, rows.int64(0), rows.int64(1)};
}

const Entity kHost{nullptr, nullptr, nullptr};

struct Found {
    std::int64_t id = 0, status = 0;
};

std::optional<Found> find_warning(Transaction& tx, WarningType type, const Entity& entity) {
    auto rows = tx.query("SELECT id, status FROM warnings WHERE type_code = :type AND project_id IS :project "
                         "AND entity_type_code IS :kind AND entity_id IS :entity",
                         {{":type", static_cast<int>(type)},
                          {":project", entity.project},
                          {":kind", entity.kind},
                          {":entity", entity.id}});
    if (!rows.next()) return std::nullopt;
    return Found{rows.int64(0), rows.int64(1)};
}

void raise_on(Transaction& tx, WarningType type, const Entity& entity, const std::string& message) {
    const auto now = api::Time::now().str();
    if (const auto old = find_warning(tx, type, entity)) {
        tx.exec("UPDATE warnings SET last_message = :message, last_seen_date = :now, updated_date = :now, "
                "count = count + 1, status = CASE status WHEN :resolved THEN :new ELSE status END WHERE id = :id",
                {{":message", message}, {":now", now}, {":resolved", kResolved}, {":new", kNew}, {":id", old->id}});
        return;
    }
    tx.exec("INSERT INTO warnings (node_id, project_id, entity_type_code, entity_id, uuid, type_code, status, "
            "first_seen_date, last_seen_date, updated_date, last_message, count) VALUES (1, :project, :kind, "
            ":entity, :uuid, :type, :new, :now, :now, '0001-01-01T00:00:00Z', :message, 1)",
            {{":project", entity.project},
             {":kind", entity.kind},
             {":entity", entity.id},
             {":uuid", text::uuid4()},
             {":type", static_cast<int>(type)},
             {":new", kNew},
             {":now", now},
             {":message", message}});
}

void resolve_on(Transaction& tx, WarningType type, const Entity& entity) {
    const auto old = find_warning(tx, type, entity);
    if (!old || old->status == kResolved) return;
    tx.exec("UPDATE warnings SET status = :resolved, updated_date = :now WHERE id = :id",
            {{":resolved", kResolved}, {":now", api::Time::now().str()}, {":id", old->id}});
}

} // namespace

void WarningRepository::raise(Transaction& tx, WarningType type, const std::string& project,
                              const std::string& instance, const std::string& message) const {
    if (const auto entity = find_entity(tx, project, instance)) raise_on(tx, type, *entity, message);
}

void WarningRepository::resolve(Transaction& tx, WarningType type, const std::string& project,
                                const std::string& instance) const {
    if (const auto entity = find_entity(tx, project, instance)) resolve_on(tx, type, *entity);
}

void WarningRepository::raise_pool(Transaction& tx, WarningType type, const std::string& pool,
                                   const std::string& message) const {
    if (const auto entity = find_pool(tx, pool)) raise_on(tx, type, *entity, message);
}

void WarningRepository::resolve_pool(Transaction& tx, WarningType type, const std::string& pool) const {
    if (const auto entity = find_pool(tx, pool)) resolve_on(tx, type, *entity);
}

void WarningRepository::raise_network(Transaction& tx, WarningType type, const std::string& network,
                                      const std::string& message) const {
    if (const auto entity = find_network(tx, network)) raise_on(tx, type, *entity, message);
}

void WarningRepository::resolve_network(Transaction& tx, WarningType type, const std::string& network) const {
    if (const auto entity = find_network(tx, network)) resolve_on(tx, type, *entity);
}

void WarningRepository::raise_host(Transaction& tx, WarningType type, const std::string& message) const {
    raise_on(tx, type, kHost, message);
}

void WarningRepository::resolve_host(Transaction& tx, WarningType type) const { resolve_on(tx, type, kHost); }

bool WarningRepository::unresolved(Transaction& tx, WarningType type, const std::string& project,
                                   const std::string& instance) const {
    const auto entity = find_entity(tx, project, instance);
    const auto old = entity ? find_warning(tx, type, *entity) : std::nullopt;
    return old && old->status != kResolved;
}

} // namespace lxdcore::db
