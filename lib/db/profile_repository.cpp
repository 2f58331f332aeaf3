// SPDX-License-Identifier: Apache-2.0
#include "db/profile_repository.hpp"

#include <array>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "db/url.hpp"

namespace lxdcore::db {

namespace {

/// LXD's numbers of device types in the column `type`.
constexpr std::array<std::string_view, 12> kDeviceTypes{"none",       "nic",          "disk", "unix-char",
                                                        "unix-block", "usb",          "gpu",  "infiniband",
                                                        "proxy",      "unix-hotplug", "tpm",  "pci"};

int device_number(const std::string& type) {
    for (std::size_t i = 0; i < kDeviceTypes.size(); ++i)
        if (kDeviceTypes[i] == type) return static_cast<int>(i);
    throw Error{ErrorCode::InvalidArgument, fmt::format("Unsupported device type \"{}\"", type)};
}

std::string device_name(std::int64_t number) {
    if (number < 0 || number >= static_cast<std::int64_t>(kDeviceTypes.size())) return "none";
    return std::string{kDeviceTypes[static_cast<std::size_t>(number)]};
}

void store_content(Transaction& tx, std::int64_t id, const api::ProfilePut& profile) {
    for (const auto& [key, value] : profile.config)
        if (!value.empty())
            tx.insert("INSERT INTO profiles_config (profile_id, key, value) VALUES (:id, :key, :value)",
                      {{":id", id}, {":key", key}, {":value", value}});
    for (const auto& [name, device] : profile.devices) {
        const auto type = device.find("type");
        const auto row = tx.insert(
            "INSERT INTO profiles_devices (profile_id, name, type) VALUES (:id, :name, :type)",
            {{":id", id}, {":name", name}, {":type", device_number(type == device.end() ? "none" : type->second)}});
        for (const auto& [key, value] : device)
            if (key != "type" && !value.empty())
                tx.insert("INSERT INTO profiles_devices_config (profile_device_id, key, value) "
                          "VALUES (:id, :key, :value)",
                          {{":id", row}, {":key", key}, {":value", value}});
    }
}

void load_content(Transaction& tx, std::int64_t id, api::Profile& profile) {
    auto config = tx.query("SELECT key, value FROM profiles_config WHERE profile_id = :id", {{":id", id}});
    while (config.next())
        profile.config[config.text(0)] = config.text(1);
    auto devices = tx.query(R"sql(
        SELECT d.name, d.type, c.key, c.value FROM profiles_devices AS d
          LEFT JOIN profiles_devices_config AS c ON c.profile_device_id = d.id
         WHERE d.profile_id = :id)sql",
                            {{":id", id}});
    while (devices.next()) {
        auto& device = profile.devices[devices.text(0)];
        device["type"] = device_name(devices.int64(1));
        if (!devices.is_null(2)) device[devices.text(2)] = devices.text(3);
    }
    auto users = tx.query(R"sql(
        SELECT i.name, p.name FROM instances_profiles AS ip
          JOIN instances AS i ON i.id = ip.instance_id JOIN projects AS p ON p.id = i.project_id
         WHERE ip.profile_id = :id ORDER BY i.id)sql",
                          {{":id", id}});
    while (users.next())
        profile.used_by.push_back(entity_url("instances", users.text(0), users.text(1)));
}

} // namespace

std::vector<std::string> ProfileRepository::names(Transaction& tx, const std::string& project) {
    std::vector<std::string> names;
    auto rows = tx.query(R"sql(
        SELECT profiles.name FROM profiles JOIN projects ON projects.id = profiles.project_id
         WHERE projects.name = :project ORDER BY profiles.name)sql",
                         {{":project", project}});
    while (rows.next())
        names.push_back(rows.text(0));
    return names;
}

std::vector<api::Profile> ProfileRepository::list(Transaction& tx, const std::string& project) {
    std::vector<api::Profile> profiles;
    for (const auto& name : names(tx, project))
        if (auto profile = find(tx, project, name)) profiles.push_back(std::move(*profile));
    return profiles;
}

std::optional<std::int64_t> ProfileRepository::id(Transaction& tx, const std::string& project,
                                                  const std::string& name) {
    auto rows = tx.query(R"sql(
        SELECT profiles.id FROM profiles JOIN projects ON projects.id = profiles.project_id
         WHERE projects.name = :project AND profiles.name = :name)sql",
                         {{":project", project}, {":name", name}});
    if (!rows.next()) return std::nullopt;
    return rows.int64(0);
}

std::optional<api::Profile> ProfileRepository::find(Transaction& tx, const std::string& project,
                                                    const std::string& name) {
    const auto found = id(tx, project, name);
    if (!found) return std::nullopt;
    api::Profile profile;
    profile.name = name;
    auto rows = tx.query("SELECT description FROM profiles WHERE id = :id", {{":id", *found}});
    if (rows.next()) profile.description = rows.text(0);
    load_content(tx, *found, profile);
    return profile;
}

void ProfileRepository::insert(Transaction& tx, const std::string& project, const api::ProfilesPost& profile) {
    auto rows = tx.query("SELECT id FROM projects WHERE name = :project", {{":project", project}});
    if (!rows.next()) throw Error{ErrorCode::NotFound, "Project not found"};
    const auto project_id = rows.int64(0);
    const auto id =
        tx.insert("INSERT INTO profiles (name, description, project_id) VALUES (:name, :description, :project)",
                  {{":name", profile.name}, {":description", profile.description}, {":project", project_id}});
    store_content(tx, id, profile);
}

void ProfileRepository::update(Transaction& tx, std::int64_t id, const api::ProfilePut& profile) {
    tx.exec("UPDATE profiles SET description = :description WHERE id = :id",
            {{":description", profile.description}, {":id", id}});
    tx.exec("DELETE FROM profiles_config WHERE profile_id = :id", {{":id", id}});
    tx.exec("DELETE FROM profiles_devices WHERE profile_id = :id", {{":id", id}});
    store_content(tx, id, profile);
}

void ProfileRepository::rename(Transaction& tx, std::int64_t id, const std::string& name) {
    tx.exec("UPDATE profiles SET name = :name WHERE id = :id", {{":name", name}, {":id", id}});
}

void ProfileRepository::remove(Transaction& tx, std::int64_t id) {
    tx.exec("DELETE FROM profiles WHERE id = :id", {{":id", id}});
}

} // namespace lxdcore::db
