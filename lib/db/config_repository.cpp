// SPDX-License-Identifier: Apache-2.0
#include "db/config_repository.hpp"

#include "db/url.hpp"

namespace lxdcore::db {

api::StringMap ConfigRepository::all(Transaction& tx) {
    api::StringMap config;
    auto rows = tx.query("SELECT key, value FROM config");
    while (rows.next())
        config[rows.text(0)] = rows.text(1);
    return config;
}

void ConfigRepository::set(Transaction& tx, const api::StringMap& changes) {
    for (const auto& [key, value] : changes) {
        tx.exec("DELETE FROM config WHERE key = :key", {{":key", key}});
        if (!value.empty())
            tx.insert("INSERT INTO config (key, value) VALUES (:key, :value)", {{":key", key}, {":value", value}});
    }
}

namespace {

void append_urls(Transaction& tx, std::int64_t project_id, std::string_view sql, std::string_view kind,
                 api::Project& project) {
    auto rows = tx.query(sql, {{":id", project_id}});
    while (rows.next())
        project.used_by.push_back(entity_url(kind, rows.text(0), project.name));
}

} // namespace

std::vector<api::Project> ProjectRepository::list(Transaction& tx) {
    std::vector<api::Project> projects;
    auto rows = tx.query("SELECT id, name, description FROM projects ORDER BY name");
    while (rows.next()) {
        api::Project project;
        const auto id = rows.int64(0);
        project.name = rows.text(1);
        project.description = rows.text(2);
        auto config = tx.query("SELECT key, value FROM projects_config WHERE project_id = :id", {{":id", id}});
        while (config.next())
            project.config[config.text(0)] = config.text(1);
        append_urls(tx, id, "SELECT name FROM instances WHERE project_id = :id ORDER BY id", "instances", project);
        append_urls(tx, id, "SELECT name FROM profiles WHERE project_id = :id ORDER BY id", "profiles", project);
        append_urls(tx, id, "SELECT fingerprint FROM images WHERE project_id = :id ORDER BY id", "images", project);
        append_urls(tx, id, "SELECT name FROM networks WHERE project_id = :id ORDER BY id", "networks", project);
        projects.push_back(std::move(project));
    }
    return projects;
}

} // namespace lxdcore::db
