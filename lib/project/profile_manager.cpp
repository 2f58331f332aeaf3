// SPDX-License-Identifier: Apache-2.0
#include "project/profile_manager.hpp"

#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "config/config_keys.hpp"
#include "config/policy.hpp"
#include "db/network_repository.hpp"
#include "db/profile_repository.hpp"
#include "db/url.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore {

ProfileService::~ProfileService() = default;

std::string ProfileService::etag(const api::Profile& profile) {
    return api::etag_of(nlohmann::json::array({profile.config, profile.description, profile.devices}));
}

namespace project {

namespace {

using db::ProfileRepository;

void drop_empty(api::StringMap& map) {
    std::erase_if(map, [](const auto& entry) { return entry.second.empty(); });
}

/// What will be stored: empty values unset their keys.
api::ProfilePut normalised(api::ProfilePut profile) {
    drop_empty(profile.config);
    for (auto& [name, device] : profile.devices)
        drop_empty(device);
    return profile;
}

void validate(const api::ProfilePut& profile, const config::AddedDevices& added) {
    config::validate_instance(profile.config, true);
    config::validate_devices(profile.devices, added);
}

/// The managed networks that NICs name must be there. @throws Error @p code
void check_networks(db::Transaction& tx, const api::ProfilePut& profile, ErrorCode code) {
    for (const auto& [name, device] : profile.devices) {
        const auto network = device.find("network");
        if (network == device.end() || network->second.empty() || device.at("type") != "nic") continue;
        if (db::NetworkRepository{}.find(tx, network->second)) continue;
        throw Error{code, fmt::format("Device validation failed for {0}: Failed loading device {0}: Failed to load "
                                      "network {1} for project \"default\": Network not found",
                                      text::quote(name), text::quote(network->second))};
    }
}

template <typename Check>
void as_server_errors(Check&& check) {
    try {
        check();
    } catch (const Error& error) {
        throw Error{error.code() == ErrorCode::InvalidArgument ? ErrorCode::Internal : error.code(), error.what()};
    }
}

/// LXD answers 500 to a bad value in PUT and PATCH, 400 in POST; control characters are 400 everywhere (D5).
void validate_change(const api::ProfilePut& profile, const config::AddedDevices& added) {
    config::check_text(profile.config);
    config::check_text(profile.devices);
    as_server_errors([&] { validate(profile, added); });
}

[[noreturn]] void throw_not_found(std::string_view context = {}) {
    Error error{ErrorCode::NotFound, "Profile not found"};
    if (!context.empty()) error.add_context(context);
    throw error;
}

class Manager final : public ProfileManager {
public:
    Manager(db::Database& global, EventService& events, config::AddedDevices added)
        : global_{global}, events_{events}, added_{std::move(added)} {}

    void set_listener(Listener listener) override { listener_ = std::move(listener); }

    std::vector<api::Profile> list(const std::string& project) const override {
        return global_.read_value([&](db::Transaction& tx) { return ProfileRepository::list(tx, project); });
    }
    std::vector<std::string> names(const std::string& project) const override {
        return global_.read_value([&](db::Transaction& tx) { return ProfileRepository::names(tx, project); });
    }
    api::Profile get(const std::string& project, const std::string& name) const override {
        return require(project, name, {});
    }
    void create(const std::string& project, const api::ProfilesPost& profile) override;
    void update(const std::string& project, const std::string& name, const api::ProfilePut& profile,
                const std::string& if_match) override;
    void patch(const std::string& project, const std::string& name, const api::ProfilePatch& patch,
               const std::string& if_match) override;
    void rename(const std::string& project, const std::string& name, const std::string& new_name) override;
    void remove(const std::string& project, const std::string& name) override;

private:
    api::Profile require(const std::string& project, const std::string& name, std::string_view context) const {
        auto profile =
            global_.read_value([&](db::Transaction& tx) { return ProfileRepository::find(tx, project, name); });
        if (!profile) throw_not_found(context);
        return std::move(*profile);
    }
    void apply(const std::string& project, const api::Profile& before, const api::ProfilePut& next);
    void publish(const std::string& project, const std::string& action, const std::string& name,
                 const nlohmann::json& context = nullptr) {
        events_.lifecycle(project, action, db::entity_url("profiles", name, project), context);
    }

    db::Database& global_;
    EventService& events_;
    const config::AddedDevices added_;
    Listener listener_;
    std::mutex changes_; ///< one change after another, so that an ETag stays true until the commit
};

void Manager::create(const std::string& project, const api::ProfilesPost& request) {
    names::check_profile(request.name);
    validate(request, added_);
    api::ProfilesPost profile = request;
    static_cast<api::ProfilePut&>(profile) = normalised(request);
    config::check_policy({}, profile.config);
    const std::lock_guard lock{changes_};
    global_.write([&](db::Transaction& tx) {
        if (ProfileRepository::id(tx, project, profile.name))
            throw Error{ErrorCode::Internal, fmt::format("Error inserting {} into database: The profile already exists",
                                                         text::quote(profile.name))};
        check_networks(tx, profile, ErrorCode::InvalidArgument);
        ProfileRepository::insert(tx, project, profile);
    });
    publish(project, "profile-created", profile.name);
}

void Manager::apply(const std::string& project, const api::Profile& before, const api::ProfilePut& next) {
    validate_change(next, added_);
    const auto stored = normalised(next);
    config::check_policy(before.config, stored.config);
    global_.read([&](db::Transaction& tx) { check_networks(tx, stored, ErrorCode::Internal); });
    if (!before.used_by.empty() && listener_.check)
        as_server_errors([&] { listener_.check(project, before.name, stored); });
    global_.write([&](db::Transaction& tx) {
        const auto id = ProfileRepository::id(tx, project, before.name);
        if (!id) throw_not_found();
        ProfileRepository::update(tx, *id, stored);
    });
    if (!before.used_by.empty() && listener_.changed) listener_.changed(project, before.name, before);
    publish(project, "profile-updated", before.name);
}

void Manager::update(const std::string& project, const std::string& name, const api::ProfilePut& profile,
                     const std::string& if_match) {
    const std::lock_guard lock{changes_};
    const auto before = require(project, name, fmt::format("Failed to retrieve profile {}", text::quote(name)));
    api::check_etag(etag(before), if_match);
    apply(project, before, profile);
}

void Manager::patch(const std::string& project, const std::string& name, const api::ProfilePatch& patch,
                    const std::string& if_match) {
    const std::lock_guard lock{changes_};
    const auto before = require(project, name, fmt::format("Failed to retrieve profile={}", text::quote(name)));
    api::check_etag(etag(before), if_match);
    api::ProfilePut next = before;
    if (patch.description && !patch.description->empty()) next.description = *patch.description;
    if (patch.config)
        for (const auto& [key, value] : *patch.config)
            next.config[key] = value;
    if (patch.devices)
        for (const auto& [device, config] : *patch.devices)
            next.devices[device] = config;
    apply(project, before, next);
}

void Manager::rename(const std::string& project, const std::string& name, const std::string& new_name) {
    if (name == "default") throw Error{ErrorCode::Forbidden, "The \"default\" profile cannot be renamed"};
    names::check_profile(new_name);
    const std::lock_guard lock{changes_};
    global_.write([&](db::Transaction& tx) {
        if (ProfileRepository::id(tx, project, new_name))
            throw Error{ErrorCode::Internal, fmt::format("Name {} already in use", text::quote(new_name))};
        const auto id = ProfileRepository::id(tx, project, name);
        if (!id) throw_not_found();
        ProfileRepository::rename(tx, *id, new_name);
    });
    publish(project, "profile-renamed", new_name, {{"old_name", name}});
}

void Manager::remove(const std::string& project, const std::string& name) {
    if (name == "default") throw Error{ErrorCode::Forbidden, "The \"default\" profile cannot be deleted"};
    const std::lock_guard lock{changes_};
    global_.write([&](db::Transaction& tx) {
        const auto profile = ProfileRepository::find(tx, project, name);
        if (!profile) throw_not_found();
        if (!profile->used_by.empty()) throw Error{ErrorCode::Internal, "Profile is currently in use"};
        ProfileRepository::remove(tx, *ProfileRepository::id(tx, project, name));
    });
    publish(project, "profile-deleted", name);
}

} // namespace

std::unique_ptr<ProfileManager> make_profile_manager(db::Database& global, EventService& events,
                                                     const config::AddedDevices& added) {
    return std::make_unique<Manager>(global, events, added);
}

} // namespace project

} // namespace lxdcore
