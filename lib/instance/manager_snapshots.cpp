// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "config/expiry.hpp"
#include "instance/architecture.hpp"
#include "instance/creation.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/snapshot_name.hpp"
#include "util/steps.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr const char* kCreate = "snapshot-create";
constexpr const char* kDelete = "snapshot-delete";
constexpr const char* kRename = "snapshot-rename";

Error no_snapshot(const InstanceRef& ref, const std::string& name) {
    return Error{ErrorCode::NotFound,
                 fmt::format("Failed to fetch snapshot {} of instance {} in project {}: InstanceSnapshot not found",
                             text::quote(name), text::quote(ref.name), text::quote(ref.project))};
}

std::string data_of(const db::Intent& intent, const char* key) {
    const auto data = nlohmann::json::parse(intent.data, nullptr, false);
    return data.is_object() ? data.value(key, std::string{}) : std::string{};
}

} // namespace

db::InstanceSnapshotRow Manager::load_snapshot(const Loaded& instance, const std::string& name) const {
    auto row =
        s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.find(tx, instance.row.id, name); });
    if (!row) throw no_snapshot(instance.ref(), name);
    return std::move(*row);
}

api::InstanceSnapshot Manager::to_api(const Loaded& instance, db::InstanceSnapshotRow row,
                                      const Expander& profiles) const {
    api::InstanceSnapshot out;
    auto expanded = profiles.expand({.config = row.config, .devices = row.devices, .profiles = instance.row.profiles});
    out.expires_at = row.expires_at;
    out.architecture = architecture_name(instance.row.architecture);
    out.config = std::move(row.config);
    out.created_at = row.created_at;
    out.devices = std::move(row.devices);
    out.ephemeral = instance.row.ephemeral;
    out.expanded_config = std::move(expanded.config);
    out.expanded_devices = std::move(expanded.devices);
    out.name = std::move(row.name);
    out.profiles = instance.row.profiles;
    out.stateful = row.stateful;
    return out;
}

std::int64_t Manager::size_of(const InstanceRef& ref, const std::string& snapshot) const noexcept {
    try {
        return s_.storage.snapshot_usage(ref.project, ref.name, snapshot);
    } catch (const std::exception&) { // a pool that is away hides no snapshot
        return -1;
    }
}

std::vector<std::string> Manager::snapshot_names(const InstanceRef& ref) const {
    const auto instance = load(ref);
    return s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.names(tx, instance.row.id); });
}

std::vector<api::InstanceSnapshot> Manager::snapshots(const InstanceRef& ref) const {
    const auto instance = load(ref);
    const auto profiles = expander(ref.project);
    std::vector<api::InstanceSnapshot> out;
    for (auto& row :
         s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.list(tx, instance.row.id); }))
        out.push_back(to_api(instance, std::move(row), profiles));
    for (auto& snapshot : out)
        snapshot.size = size_of(ref, snapshot.name);
    return out;
}

std::map<std::string, std::vector<api::InstanceSnapshot>>
Manager::snapshots_by_instance(const std::string& project) const {
    std::vector<db::InstanceRow> instances;
    std::vector<db::ProfileRow> profiles;
    std::map<std::int64_t, std::vector<db::InstanceSnapshotRow>> rows;
    s_.global.read([&](db::Transaction& tx) {
        rows = snapshot_repo_.by_instance(tx);
        if (rows.empty()) return;
        instances = repo_.list(tx, project);
        profiles = repo_.profiles(tx, project);
    });
    const Expander expander{std::move(profiles)};
    std::map<std::string, std::vector<api::InstanceSnapshot>> out;
    for (auto& row : instances) {
        const auto it = rows.find(row.id);
        if (it == rows.end()) continue;
        const auto instance = expander.expand(std::move(row));
        auto& list = out[instance.row.name];
        for (auto& snapshot : it->second)
            list.push_back(to_api(instance, std::move(snapshot), expander));
    }
    return out;
}

api::InstanceSnapshot Manager::snapshot(const InstanceRef& ref, const std::string& name) const {
    const auto instance = load(ref);
    auto out = to_api(instance, load_snapshot(instance, name), expander(ref.project));
    out.size = size_of(ref, name);
    return out;
}

void Manager::tell_snapshot(const InstanceRef& ref, const std::string& action, const std::string& name,
                            const std::string& old_name) const {
    const auto url = "/1.0/instances/" + ref.name + "/snapshots/" + name +
                     (ref.project == "default" ? std::string{} : "?project=" + ref.project);
    if (old_name.empty())
        s_.events.lifecycle(ref.project, "instance-snapshot-" + action, url);
    else
        s_.events.lifecycle(ref.project, "instance-snapshot-" + action, url, {{"old_name", ref.name + "/" + old_name}});
}

std::string Manager::next_snapshot_name(const Loaded& instance) const {
    const auto taken =
        s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.names(tx, instance.row.id); });
    try {
        return lxdcore::next_snapshot_name(instance.value("snapshots.pattern"), std::chrono::system_clock::now(),
                                           taken);
    } catch (const Error& error) { // not the request is wrong
        throw Error{ErrorCode::Internal, error.what()};
    }
}

api::Time Manager::snapshot_expiry(const Loaded& instance, const api::Time& from) const {
    return config::expiry_of(instance.value("snapshots.expiry"), from).value_or(api::Time{});
}

OperationPtr Manager::create_snapshot(const InstanceRef& ref, const api::InstanceSnapshotsPost& request) {
    const auto instance = load(ref);
    const auto name = request.name.empty() ? next_snapshot_name(instance) : request.name;
    check_snapshot_name(name);
    return s_.operations.start(operation_options(kSnapshotCreate, ref), [this, ref, name,
                                                                         request](OperationContext& op) {
        if (request.stateful)
            throw Error{ErrorCode::BadState, runtime_.find(ref)
                                                 ? "Unable to create a stateful snapshot. CRIU isn't installed"
                                                 : "Unable to create a stateful snapshot. The instance isn't running"};
        run_snapshot(ref, name, request.expires_at, op);
    });
}

void Manager::run_snapshot(const InstanceRef& ref, const std::string& name, const std::optional<api::Time>& expires_at,
                           OperationContext& op) {
    const auto claim = claims_.wait(ref, "snapshot", kPatience);
    Steps steps{s_.log, "instance snapshot", ref.name};
    auto instance = load(ref);
    const auto running = runtime_.find(ref);
    if (!running) finish_shifts(instance);
    const auto record = fmt::format("Failed creating instance snapshot record {}", text::quote(name));
    if (name.find(' ') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument,
                    record + ": Invalid instance snapshot name: Cannot contain space or / characters"};
    const auto now = api::Time::now();
    db::InstanceSnapshotRow row{.instance = instance.row.id,
                                .name = name,
                                .created_at = now,
                                .expires_at = expires_at ? *expires_at : snapshot_expiry(instance, now),
                                .config = instance.row.config,
                                .devices = instance.row.devices};
    if (s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.find(tx, row.instance, name); }))
        throw Error{ErrorCode::AlreadyExists,
                    record + ": Add snapshot info to the database: This \"instances_snapshots\" entry already exists"};
    const auto intent = intents_.begin(kCreate, ref.project, ref.name, nlohmann::json{{"name", name}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    undo.add([&] { s_.storage.delete_instance_snapshot(ref.project, ref.name, name); });
    fault_point("snapshot-create:intent");
    {
        const Standstill standstill{cgroups_, running};
        fault_point("snapshot-create:frozen");
        s_.storage.create_instance_snapshot(ref.project, ref.name, name, op);
    }
    steps.done("volume");
    fault_point("snapshot-create:volume");
    s_.global.write([&](db::Transaction& tx) { snapshot_repo_.insert(tx, row); });
    undo.commit();
    fault_point("snapshot-create:row");
    intents_.end(intent);
    write_backup_file(ref);
    steps.done("row");
    tell_snapshot(ref, "created", name);
}

OperationPtr Manager::update_snapshot(const InstanceRef& ref, const std::string& name,
                                      const api::InstanceSnapshotPut& put, const std::string& if_match) {
    const auto before = snapshot(ref, name);
    api::check_etag(snapshot_etag(before), if_match);
    // LXD names the snapshot as if it were an instance.
    return s_.operations.start(
        operation_options(kSnapshotUpdate, {ref.project, name}), [this, ref, name, put](OperationContext&) {
            const auto row = load_snapshot(load(ref), name);
            if (!put.expires_at) return;
            s_.global.write([&](db::Transaction& tx) { snapshot_repo_.set_expiry(tx, row.id, *put.expires_at); });
        });
}

OperationPtr Manager::rename_snapshot(const InstanceRef& ref, const std::string& name,
                                      const api::InstanceSnapshotPost& request) {
    const auto instance = load(ref);
    load_snapshot(instance, name);
    if (request.migration || request.live)
        throw Error{ErrorCode::Unsupported, "Moving snapshots to other servers is not supported on this server"};
    check_snapshot_name(request.name);
    if (s_.global.read_value(
            [&](db::Transaction& tx) { return snapshot_repo_.find(tx, instance.row.id, request.name); }))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Name '{}/{}' already in use", ref.name, request.name)};
    return s_.operations.start(operation_options(kSnapshotRename, ref),
                               [this, ref, name, to = request.name](OperationContext&) {
                                   if (to.find(' ') != std::string::npos)
                                       throw Error{ErrorCode::InvalidArgument, "Invalid instance snapshot name: Cannot "
                                                                               "contain space or / characters"};
                                   run_rename_snapshot(ref, name, to);
                               });
}

void Manager::run_rename_snapshot(const InstanceRef& ref, const std::string& name, const std::string& to) {
    const auto claim = claims_.wait(ref, "rename", kPatience);
    const auto instance = load(ref);
    const auto row = load_snapshot(instance, name);
    if (s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.find(tx, instance.row.id, to); }))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Name '{}/{}' already in use", ref.name, to)};
    const auto intent =
        intents_.begin(kRename, ref.project, ref.name, nlohmann::json{{"name", name}, {"to", to}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("snapshot-rename:intent");
    s_.storage.rename_instance_snapshot(ref.project, ref.name, name, to);
    undo.add([&] { s_.storage.rename_instance_snapshot(ref.project, ref.name, to, name); });
    fault_point("snapshot-rename:volume");
    s_.global.write([&](db::Transaction& tx) { snapshot_repo_.rename(tx, row.id, to); });
    undo.commit();
    fault_point("snapshot-rename:row");
    intents_.end(intent);
    write_backup_file(ref);
    tell_snapshot(ref, "renamed", to, name);
}

OperationPtr Manager::remove_snapshot(const InstanceRef& ref, const std::string& name) {
    load_snapshot(load(ref), name);
    const InstanceRef shown{ref.project, ref.name + "/" + name};
    return s_.operations.start(operation_options(kSnapshotDelete, shown), [this, ref, name](OperationContext&) {
        const auto claim = claims_.wait(ref, "delete", kPatience);
        load_snapshot(load(ref), name);
        run_remove_snapshot(ref, name);
        tell_snapshot(ref, "deleted", name);
    });
}

/// The caller holds the claim. Repeatable after a crash at any point (R42).
void Manager::run_remove_snapshot(const InstanceRef& ref, const std::string& name) {
    const auto intent = intents_.begin(kDelete, ref.project, ref.name, nlohmann::json{{"name", name}}.dump());
    fault_point("snapshot-delete:intent");
    s_.storage.delete_instance_snapshot(ref.project, ref.name, name);
    fault_point("snapshot-delete:volume");
    const auto instance = load(ref);
    s_.global.write([&](db::Transaction& tx) {
        if (const auto row = snapshot_repo_.find(tx, instance.row.id, name)) snapshot_repo_.remove(tx, row->id);
    });
    fault_point("snapshot-delete:row");
    intents_.end(intent);
    write_backup_file(ref);
}

/// Rows say how far an interrupted change came; the volumes follow them.
void Manager::repair_snapshots() {
    const auto has_row = [&](const db::Intent& intent, const std::string& name) {
        return s_.global.read_value([&](db::Transaction& tx) {
            const auto row = repo_.find(tx, intent.project, intent.entity);
            return row && snapshot_repo_.find(tx, row->id, name);
        });
    };
    for (const auto& intent : intents_.pending(kCreate)) {
        if (const Cgroup cgroup{cgroups_, cgroup_name({intent.project, intent.entity})}; cgroup.exists())
            cgroup.freeze(false);
        const auto name = data_of(intent, "name");
        if (!has_row(intent, name)) s_.storage.delete_instance_snapshot(intent.project, intent.entity, name);
        intents_.end(intent.id);
    }
    for (const auto& intent : intents_.pending(kDelete)) {
        const auto name = data_of(intent, "name");
        s_.storage.delete_instance_snapshot(intent.project, intent.entity, name);
        s_.global.write([&](db::Transaction& tx) {
            const auto row = repo_.find(tx, intent.project, intent.entity);
            const auto snapshot = row ? snapshot_repo_.find(tx, row->id, name) : std::nullopt;
            if (snapshot) snapshot_repo_.remove(tx, snapshot->id);
        });
        intents_.end(intent.id);
    }
    for (const auto& intent : intents_.pending(kRename)) {
        const auto name = data_of(intent, "name"), to = data_of(intent, "to");
        const bool done = has_row(intent, to);
        try {
            s_.storage.rename_instance_snapshot(intent.project, intent.entity, done ? name : to, done ? to : name);
        } catch (const Error& error) {
            s_.log.info("Nothing to undo of an interrupted rename", {{"snapshot", to}, {"err", error.what()}});
        }
        intents_.end(intent.id);
    }
}

} // namespace lxdcore::instance

namespace lxdcore {

InstanceSnapshotService::~InstanceSnapshotService() = default;

std::string InstanceSnapshotService::snapshot_etag(const api::InstanceSnapshot& snapshot) {
    return api::etag_of(nlohmann::json::array({snapshot.expires_at}));
}

} // namespace lxdcore
