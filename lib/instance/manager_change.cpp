// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "config/config_keys.hpp"
#include "device/disk_limits.hpp"
#include "instance/architecture.hpp"
#include "instance/kernel_modules.hpp"
#include "instance/manager.hpp"
#include "instance/root_disk.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kPatience{10};

/// Keys of which the disk's and the processes' ownership hangs; only the service changes them.
constexpr const char* kIdmapKeys[] = {"volatile.idmap.base", "volatile.idmap.current", "volatile.idmap.next",
                                      "volatile.last_state.idmap"};

void check_volatile(const api::StringMap& before, const api::StringMap& after) {
    for (const char* key : kIdmapKeys) {
        const auto old = before.find(key);
        const auto now = after.find(key);
        if (old != before.end() && (now == after.end() || now->second.empty()))
            throw Error{ErrorCode::InvalidArgument, "Volatile idmap keys can't be deleted by the user"};
        if (std::string_view{key} != "volatile.idmap.base" && now != after.end() &&
            (old == before.end() || old->second != now->second))
            throw Error{ErrorCode::InvalidArgument, "Volatile idmap keys can't be changed by the user"};
    }
}

template <typename Check>
void with_context(const char* context, Check&& check) {
    try {
        check();
    } catch (Error& error) {
        error.add_context(context);
        throw;
    }
}

bool isolation_differs(const Loaded& before, const Loaded& after) {
    for (const char* key : {"security.idmap.isolated", "security.idmap.size", "security.idmap.base"})
        if (before.value(key) != after.value(key)) return true;
    return false;
}

bool map_differs(const Loaded& before, const Loaded& after) {
    for (const char* key : {"security.privileged", "raw.idmap", "raw.lxc"})
        if (before.value(key) != after.value(key)) return true;
    return isolation_differs(before, after) || !after.row.config.contains("volatile.idmap.next");
}

std::string root_size(const Loaded& instance) {
    const auto* root = find_root_disk(instance.devices);
    if (root == nullptr || !root->second.contains("size")) return {};
    return root->second.at("size");
}

/// What a disk itself would say of its new rates.
void check_rates(const Loaded& before, const Loaded& after) {
    for (const auto& [name, disk] : after.devices) {
        const auto old = before.devices.find(name);
        if (!device::has_disk_limits(disk) || old == before.devices.end() || old->second == disk) continue;
        try {
            (void)device::disk_rate(disk);
        } catch (Error& error) {
            error.add_context("Failed to update device " + text::quote(name));
            throw;
        }
    }
}

void drop_empty(api::StringMap& map) {
    std::erase_if(map, [](const auto& entry) { return entry.second.empty(); });
}

} // namespace

OperationPtr Manager::update(const InstanceRef& ref, const api::InstancePut& put, const std::string& if_match) {
    if (!put.restore.empty()) {
        api::check_etag(etag(get(ref)), if_match);
        return restore(ref, put.restore, put.stateful);
    }
    auto claim = std::make_shared<Claims::Claim>(claims_.wait(ref, "update", kPatience));
    const auto before = load(ref);
    api::check_etag(etag(to_api(before)), if_match);
    config::check_supported(put.config);
    auto row = before.row;
    row.config = put.config;
    drop_empty(row.config);
    row.devices = put.devices;
    row.profiles = put.profiles;
    row.ephemeral = put.ephemeral;
    row.description = put.description;
    if (!put.architecture.empty()) row.architecture = architecture_id(put.architecture);
    auto after = expander(ref.project).expand(std::move(row));
    return s_.operations.start(operation_options(kInstanceUpdate, ref),
                               [this, claim, before, after](OperationContext&) {
                                   apply_change(before, after, true);
                                   claim->release();
                               });
}

void Manager::patch(const InstanceRef& ref, const api::InstancePatch& patch, const std::string& if_match) {
    const auto claim = claims_.wait(ref, "update", kPatience);
    const auto before = load(ref);
    api::check_etag(etag(to_api(before)), if_match);
    if (patch.restore && !patch.restore->empty())
        throw Error{ErrorCode::InvalidArgument, "Can't call PATCH in restore mode"};
    if (patch.config) config::check_supported(*patch.config);
    auto row = before.row;
    for (const auto& [key, value] : patch.config.value_or(api::StringMap{}))
        row.config[key] = value;
    drop_empty(row.config);
    for (const auto& [name, device] : patch.devices.value_or(api::Devices{}))
        row.devices[name] = device;
    if (patch.profiles) row.profiles = *patch.profiles;
    if (patch.ephemeral) row.ephemeral = *patch.ephemeral;
    if (patch.description) row.description = *patch.description;
    if (patch.architecture && !patch.architecture->empty()) row.architecture = architecture_id(*patch.architecture);
    // D5: refused as such, whatever else the value is.
    config::check_text(row.config);
    config::check_text(row.devices);
    try {
        // Not even to take it away.
        with_context("Invalid config", [&] {
            for (const auto& [key, value] : patch.config.value_or(api::StringMap{}))
                if (value.empty()) config::validate_instance({{key, value}}, false);
        });
        apply_change(before, expander(ref.project).expand(std::move(row)), true);
    } catch (const Error& error) {
        // LXD reports what the update itself refuses as a plain error (500).
        if (error.code() == ErrorCode::InvalidArgument && error.what() != std::string_view{"Profile not found"})
            throw Error{ErrorCode::Internal, error.what()};
        throw;
    }
}

/// Checks @p after, applies what a running container takes at once, stores it. The caller holds the claim.
void Manager::apply_change(const Loaded& before, Loaded after, bool user_requested) {
    const auto ref = before.ref();
    if (user_requested) {
        with_context("Invalid config", [&] { check_config(after.row.config); });
        with_context("Invalid devices", [&] { validate_devices(after.row.devices); });
        check_volatile(before.row.config, after.row.config);
    }
    with_context("Invalid expanded config", [&] { check_expanded(after); });
    check_root_pool(before, after);
    if (user_requested) check_policy(before.config, after);
    check_kernel_limits(after.config);

    const auto running = runtime_.find(ref);
    Rollback undo;
    undo.add([&] { release_slot(ref); });
    plan_idmap(before, after);
    if (cloud_init_differs(before, after)) after.row.config["volatile.cloud-init.instance-id"] = text::uuid4();
    if (running) {
        apply_running(before, after, *running, undo);
    } else {
        for (const auto& [key, value] : apply_devices(before, after, undo))
            after.row.config[key] = value;
        if (const auto size = root_size(after); size != root_size(before)) {
            undo.add([&] { set_root_size(before); });
            set_root_size(after);
        }
    }
    drop_empty(after.row.config);
    s_.global.write([&](db::Transaction& tx) { repo_.update(tx, after.row); });
    undo.commit();
    release_slot(ref);
    if (running) tell_guest(before, after);
    write_backup_file(ref);
    if (user_requested) lifecycle(ref, "instance-updated");
}

void Manager::set_root_size(const Loaded& instance) const {
    const auto size = root_size(instance);
    s_.storage.set_instance_quota(instance.row.project, instance.row.name, size.empty() ? 0 : text::parse_bytes(size));
}

/// The next start's id map, where it is another.
void Manager::plan_idmap(const Loaded& before, Loaded& after) const {
    if (!map_differs(before, after)) return;
    if (isolation_differs(before, after)) after.row.config.erase("volatile.idmap.base"); // a new place
    try {
        const auto next = next_idmap(after);
        after.row.config["volatile.idmap.next"] = next.map.json();
        after.row.config["volatile.idmap.base"] = std::to_string(next.base);
    } catch (const Error& error) {
        throw Error{ErrorCode::Internal, std::string{"Failed to get ID map: "} + error.what()};
    }
}

/// Brings the running container to @p after; the steps of @p undo bring it back.
void Manager::apply_running(const Loaded& before, Loaded& after, const Running& running, Rollback& undo) {
    if (const auto modules = after.value("linux.kernel_modules"); modules != before.value("linux.kernel_modules"))
        load_kernel_modules(modules);
    check_rates(before, after);
    const auto rates_before = old_disk_rates(before), rates_after = disk_rates(after);
    undo.add([&] { hold_volumes(before); });
    for (const auto& [key, value] : apply_devices(before, after, undo))
        after.row.config[key] = value;
    hold_volumes(after);
    const auto limits = [](const api::StringMap& config) {
        return std::vector<api::StringMap::value_type>{config.lower_bound("limits."), config.lower_bound("limits/")};
    };
    if (limits(before.config) != limits(after.config)) {
        undo.add([&] { apply_limits(before, running); });
        apply_limits(after, running);
    }
    undo.add([&, rates_before, rates_after] { apply_disk_limits(rates_after, rates_before, running); });
    apply_disk_limits(rates_before, rates_after, running);
    if (before.value("raw.apparmor") != after.value("raw.apparmor") ||
        before.value("security.nesting") != after.value("security.nesting")) {
        const bool privileged = running.idmap.ranges.empty();
        undo.add([&, privileged] { (void)apply_apparmor(before, privileged); });
        (void)apply_apparmor(after, privileged);
    }
    undo.add([&] { switch_guest_api(after, before, running); });
    switch_guest_api(before, after, running);
}

OperationPtr Manager::rename(const InstanceRef& ref, const api::InstancePost& request) {
    (void)load(ref);
    if (!request.pool.empty() && request.migration && (request.project.empty() || request.project == ref.project))
        return move(ref, request);
    if (request.migration)
        throw Error{ErrorCode::Unsupported, "Moving instances to other servers is not supported on this server"};
    if (!request.project.empty() && request.project != ref.project)
        throw Error{ErrorCode::Unsupported, "Moving instances between projects is not supported on this server"};
    names::check_instance(request.name);
    const InstanceRef to{ref.project, request.name};
    if (s_.global.read_value([&](db::Transaction& tx) { return repo_.find(tx, to.project, to.name).has_value(); }))
        throw Error{ErrorCode::AlreadyExists, "Name " + text::quote(to.name) + " already in use"};
    return s_.operations.start(operation_options(kInstanceRename, ref),
                               [this, ref, name = request.name](OperationContext&) { run_rename(ref, name); });
}

void Manager::run_rename(const InstanceRef& ref, const std::string& to) {
    const InstanceRef target_ref{ref.project, to};
    const auto claim = claims_.take(ref, "rename");
    const auto target_claim = claims_.take(target_ref, "create");
    if (runtime_.find(ref)) throw Error{ErrorCode::BadState, "Renaming of running container not allowed"};
    auto instance = load(ref);
    guests_->forget(ref);
    finish_shifts(instance);
    const auto intent = intents_.begin("instance-rename", ref.project, ref.name, nlohmann::json{{"to", to}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("instance-rename:intent");
    s_.storage.rename_instance(ref.project, ref.name, to);
    fault_point("instance-rename:volume");
    undo.add([&] { s_.storage.rename_instance(ref.project, to, ref.name); });
    s_.global.write([&](db::Transaction& tx) {
        repo_.rename(tx, instance.row.id, to);
        // a first start that is still to come needs its own templates
        if (instance.value("volatile.apply_template").empty())
            repo_.set_config(tx, instance.row.id, {{"volatile.apply_template", "rename"}});
        repo_.set_config(tx, instance.row.id, {{"volatile.cloud-init.instance-id", text::uuid4()}});
        backups_.rename_owner(tx, instance.row.id, to);
    });
    undo.commit();
    fault_point("instance-rename:row");
    rename_directories(ref, target_ref);
    intents_.end(intent);
    write_backup_file(target_ref);
    s_.events.lifecycle(ref.project, "instance-renamed", instance_url(target_ref), {{"old_name", ref.name}});
}

/// What a renamed instance has outside of its volume follows it; safe to repeat.
void Manager::rename_directories(const InstanceRef& ref, const InstanceRef& to) const {
    const auto logs = s_.state_dir.make_dir("logs", 0700);
    if (logs.exists(dir_name(ref))) {
        forget_directories(to);
        logs.rename(dir_name(ref), dir_name(to));
    }
    backup_store_.move(dir_name(ref), dir_name(to));
    forget_directories(ref);
}

OperationPtr Manager::remove(const InstanceRef& ref) {
    (void)load(ref);
    if (runtime_.find(ref) && claims_.holder(ref).empty()) throw Error{ErrorCode::BadState, "Instance is running"};
    return s_.operations.start(operation_options(kInstanceDelete, ref), [this, ref](OperationContext&) {
        const auto claim = [&] {
            try {
                return claims_.take(ref, "delete");
            } catch (Error& error) {
                error.add_context("Failed to create instance delete operation");
                throw;
            }
        }();
        if (runtime_.find(ref)) throw Error{ErrorCode::BadState, "Instance is running"};
        if (text::is_true(load(ref).value("security.protection.delete")))
            throw Error{ErrorCode::Forbidden, "Container is protected"};
        const auto snapshots = snapshot_names(ref);
        run_remove(ref);
        for (const auto& snapshot : snapshots)
            tell_snapshot(ref, "deleted", snapshot);
        lifecycle(ref, "instance-deleted");
    });
}

/// The caller holds the claim; the container does not run. Repeatable after a crash at any point (R42).
void Manager::run_remove(const InstanceRef& ref) {
    const auto instance = load(ref);
    guests_->forget(ref);
    const auto intent = intents_.begin("instance-delete", ref.project, ref.name);
    const auto path = devices_path(ref);
    for (const auto& [name, config] : instance.devices) {
        try {
            const IdMap map;
            make_device(name, config)->removed(target(instance, map, path), device_volatile(instance.row.config, name));
        } catch (const Error& error) {
            s_.log.warning("Failed to remove device",
                           {{"instance", ref.name}, {"device", name}, {"err", error.what()}});
        }
    }
    fault_point("instance-delete:intent");
    s_.storage.delete_instance(ref.project, ref.name);
    fault_point("instance-delete:volume");
    s_.global.write([&](db::Transaction& tx) { repo_.remove(tx, instance.row.id); });
    fault_point("instance-delete:row");
    forget_directories(ref);
    intents_.end(intent);
}

/// What a deleted instance leaves outside of its volume.
void Manager::forget_directories(const InstanceRef& ref) const {
    for (const char* parent : {"logs", "devices"})
        if (s_.state_dir.exists(parent)) s_.state_dir.dir(parent).remove_tree(dir_name(ref));
    try {
        backup_store_.drop(dir_name(ref));
    } catch (const Error& error) { // on a volume whose pool is away: the instance goes nevertheless
        s_.log.warning("Failed to remove backups", {{"instance", ref.name}, {"err", error.what()}});
    }
    if (s_.state_dir.exists("security/seccomp")) s_.state_dir.dir("security/seccomp").remove(dir_name(ref));
    unload_apparmor(ref);
}

void Manager::profile_check(const std::string& project, const std::string& profile, const api::ProfilePut& next) {
    auto profiles = expander(project);
    profiles.replace({.name = profile, .config = next.config, .devices = next.devices});
    const auto now = expander(project);
    for (auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, project); })) {
        if (std::find(row.profiles.begin(), row.profiles.end(), profile) == row.profiles.end()) continue;
        const auto before = now.expand(row);
        const auto after = profiles.expand(std::move(row));
        check_root_of_profile(before, after);
        check_expanded(after);
        check_policy(before.config, after);
    }
}

void Manager::profile_changed(const std::string& project, const std::string& profile, const api::ProfilePut& before) {
    auto old = expander(project);
    old.replace({.name = profile, .config = before.config, .devices = before.devices});
    const auto users =
        s_.global.read_value([&](db::Transaction& tx) { return repo_.using_profile(tx, project, profile); });
    std::string failures;
    for (const auto& name : users) {
        const InstanceRef ref{project, name};
        try {
            const auto claim = claims_.wait(ref, "update", kPatience);
            const auto after = load(ref);
            apply_change(old.expand(after.row), after, false);
        } catch (const Error& error) {
            failures += fmt::format("\n - Project: {}, Instance: {}: {}", project, name, error.what());
        }
    }
    if (!failures.empty())
        throw Error{ErrorCode::Internal,
                    "The following instances failed to update (profile change still saved):" + failures + "\n"};
}

} // namespace lxdcore::instance
