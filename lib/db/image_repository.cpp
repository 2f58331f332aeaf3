// SPDX-License-Identifier: Apache-2.0
#include "db/image_repository.hpp"

#include <lxdcore/error.hpp>

namespace lxdcore::db {

namespace {

Value time_value(const api::Time& time) { return time.at ? Value{time.str()} : Value{nullptr}; }

api::Time time_of(const Rows& rows, int column) {
    const auto text = rows.text(column);
    return text.empty() ? api::Time{} : api::Time::parse(text);
}

std::int64_t project_id(Transaction& tx, const std::string& project) {
    auto rows = tx.query("SELECT id FROM projects WHERE name = :name", {{":name", project}});
    if (!rows.next()) throw Error{ErrorCode::NotFound, "Project not found"};
    return rows.int64(0);
}

constexpr std::string_view kAliasColumns =
    "SELECT a.name, a.description, i.fingerprint, i.type FROM images_aliases AS a "
    "JOIN images AS i ON i.id = a.image_id JOIN projects AS p ON p.id = a.project_id WHERE p.name = :project";

api::ImageAlias alias_of(const Rows& rows) {
    return {.name = rows.text(0),
            .description = rows.text(1),
            .target = rows.text(2),
            .type = rows.int64(3) == 1 ? "virtual-machine" : "container"};
}

} // namespace

std::vector<ImageRow> ImageRepository::select(Transaction& tx, const std::string& where,
                                              const std::vector<Bind>& binds) const {
    std::vector<ImageRow> result;
    auto rows = tx.query(
        "SELECT i.id, i.fingerprint, i.filename, i.size, i.public, i.architecture, i.creation_date, i.expiry_date, "
        "i.upload_date, i.cached, i.last_use_date, i.auto_update, i.type "
        "FROM images AS i JOIN projects AS p ON p.id = i.project_id WHERE p.name = :project" +
            where,
        binds);
    while (rows.next()) {
        ImageRow row{.id = rows.int64(0), .architecture = static_cast<int>(rows.int64(5)), .image = {}};
        auto& image = row.image;
        image.fingerprint = rows.text(1);
        image.filename = rows.text(2);
        image.size = rows.int64(3);
        image.is_public = rows.int64(4) != 0;
        image.created_at = time_of(rows, 6);
        image.expires_at = time_of(rows, 7);
        image.uploaded_at = time_of(rows, 8);
        image.cached = rows.int64(9) != 0;
        image.last_used_at = time_of(rows, 10);
        image.auto_update = rows.int64(11) != 0;
        image.type = rows.int64(12) == 1 ? "virtual-machine" : "container";
        const std::vector<Bind> id{{":id", row.id}};
        auto properties = tx.query("SELECT key, value FROM images_properties WHERE image_id = :id AND type = 0", id);
        while (properties.next())
            image.properties[properties.text(0)] = properties.text(1);
        auto aliases = tx.query("SELECT name, description FROM images_aliases WHERE image_id = :id ORDER BY id", id);
        while (aliases.next())
            image.aliases.push_back({aliases.text(0), aliases.text(1)});
        auto profiles = tx.query("SELECT f.name FROM images_profiles AS x JOIN profiles AS f ON f.id = x.profile_id "
                                 "WHERE x.image_id = :id ORDER BY f.name",
                                 id);
        while (profiles.next())
            image.profiles.push_back(profiles.text(0));
        result.push_back(std::move(row));
    }
    return result;
}

std::vector<ImageRow> ImageRepository::list(Transaction& tx, const std::string& project, bool public_only) const {
    return select(tx, " AND (i.public = 1 OR :all) ORDER BY i.fingerprint",
                  {{":project", project}, {":all", !public_only}});
}

/// A range, not a pattern: nothing in the prefix has a meaning of its own. 'g' follows every hex digit.
std::vector<ImageRow> ImageRepository::find(Transaction& tx, const std::string& project, const std::string& prefix,
                                            bool public_only) const {
    return select(tx,
                  " AND (i.public = 1 OR :all) AND i.fingerprint >= :from AND i.fingerprint < :to "
                  "ORDER BY i.fingerprint LIMIT 2",
                  {{":project", project}, {":all", !public_only}, {":from", prefix}, {":to", prefix + "g"}});
}

bool ImageRepository::in_any_project(Transaction& tx, const std::string& fingerprint) const {
    return tx.query("SELECT 1 FROM images WHERE fingerprint = :fingerprint", {{":fingerprint", fingerprint}}).next();
}

std::int64_t ImageRepository::insert(Transaction& tx, const std::string& project, const ImageRow& row) const {
    const auto& image = row.image;
    const auto id = tx.insert(R"sql(
        INSERT INTO images (fingerprint, filename, size, public, architecture, creation_date, expiry_date, upload_date,
                            cached, last_use_date, auto_update, project_id, type)
        VALUES (:fingerprint, :filename, :size, :public, :architecture, :created, :expires, :uploaded, :cached, :used,
                :auto, :project, :type))sql",
                              {{":fingerprint", image.fingerprint},
                               {":filename", image.filename},
                               {":size", image.size},
                               {":public", image.is_public},
                               {":architecture", row.architecture},
                               {":created", time_value(image.created_at)},
                               {":expires", time_value(image.expires_at)},
                               {":uploaded", image.uploaded_at.str()},
                               {":cached", image.cached},
                               {":used", time_value(image.last_used_at)},
                               {":auto", image.auto_update},
                               {":project", project_id(tx, project)},
                               {":type", image.type == "virtual-machine"}});
    tx.exec("INSERT INTO images_nodes (image_id, node_id) VALUES (:id, 1)", {{":id", id}});
    write_lists(tx, project, id, image);
    for (const auto& alias : image.aliases)
        insert_alias(tx, project, id, alias.name, alias.description);
    return id;
}

void ImageRepository::write_lists(Transaction& tx, const std::string& project, std::int64_t id,
                                  const api::ImagePut& image) const {
    tx.exec("DELETE FROM images_properties WHERE image_id = :id", {{":id", id}});
    tx.exec("DELETE FROM images_profiles WHERE image_id = :id", {{":id", id}});
    for (const auto& [key, value] : image.properties)
        tx.insert("INSERT INTO images_properties (image_id, type, key, value) VALUES (:id, 0, :key, :value)",
                  {{":id", id}, {":key", key}, {":value", value}});
    for (const auto& profile : image.profiles) {
        const auto added = tx.exec("INSERT INTO images_profiles (image_id, profile_id) SELECT :id, f.id FROM profiles "
                                   "AS f JOIN projects AS p ON p.id = f.project_id "
                                   "WHERE f.name = :profile AND p.name = :project",
                                   {{":id", id}, {":profile", profile}, {":project", project}});
        if (added == 0) throw Error{ErrorCode::InvalidArgument, "Profile '" + profile + "' doesn't exist"};
    }
}

void ImageRepository::update(Transaction& tx, const std::string& project, std::int64_t id,
                             const api::ImagePut& image) const {
    tx.exec("UPDATE images SET public = :public, auto_update = :auto, expiry_date = :expires WHERE id = :id",
            {{":id", id},
             {":public", image.is_public},
             {":auto", image.auto_update},
             {":expires", time_value(image.expires_at)}});
    write_lists(tx, project, id, image);
}

void ImageRepository::touch(Transaction& tx, std::int64_t id, const api::Time& when) const {
    tx.exec("UPDATE images SET last_use_date = :when WHERE id = :id", {{":id", id}, {":when", when.str()}});
}

void ImageRepository::remove(Transaction& tx, std::int64_t id) const {
    tx.exec("DELETE FROM images WHERE id = :id", {{":id", id}});
}

std::vector<api::ImageAlias> ImageRepository::aliases(Transaction& tx, const std::string& project) const {
    std::vector<api::ImageAlias> result;
    auto rows = tx.query(std::string{kAliasColumns} + " ORDER BY a.name", {{":project", project}});
    while (rows.next())
        result.push_back(alias_of(rows));
    return result;
}

std::optional<api::ImageAlias> ImageRepository::alias(Transaction& tx, const std::string& project,
                                                      const std::string& name, bool public_only) const {
    auto rows = tx.query(std::string{kAliasColumns} + " AND a.name = :name AND (i.public = 1 OR :all)",
                         {{":project", project}, {":name", name}, {":all", !public_only}});
    if (!rows.next()) return std::nullopt;
    return alias_of(rows);
}

void ImageRepository::insert_alias(Transaction& tx, const std::string& project, std::int64_t image_id,
                                   const std::string& name, const std::string& description) const {
    tx.insert(
        "INSERT INTO images_aliases (name, image_id, description, project_id) "
        "VALUES (:name, :image, :description, :project)",
        {{":name", name}, {":image", image_id}, {":description", description}, {":project", project_id(tx, project)}});
}

void ImageRepository::update_alias(Transaction& tx, const std::string& project, const std::string& name,
                                   std::int64_t image_id, const std::string& description) const {
    tx.exec(
        "UPDATE images_aliases SET image_id = :image, description = :description "
        "WHERE name = :name AND project_id = :project",
        {{":name", name}, {":image", image_id}, {":description", description}, {":project", project_id(tx, project)}});
}

void ImageRepository::rename_alias(Transaction& tx, const std::string& project, const std::string& name,
                                   const std::string& to) const {
    tx.exec("UPDATE images_aliases SET name = :to WHERE name = :name AND project_id = :project",
            {{":name", name}, {":to", to}, {":project", project_id(tx, project)}});
}

bool ImageRepository::remove_alias(Transaction& tx, const std::string& project, const std::string& name) const {
    return tx.exec("DELETE FROM images_aliases WHERE name = :name AND project_id = :project",
                   {{":name", name}, {":project", project_id(tx, project)}}) > 0;
}

} // namespace lxdcore::db
