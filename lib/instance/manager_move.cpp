// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "instance/creation.hpp"
#include "instance/root_disk.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kMove = "instance-move";

/// The same instance with its root disk in another pool; one that profiles give becomes its own.
Loaded with_pool(Loaded instance, const std::string& pool) {
    auto [name, device] = root_disk(instance.devices);
    device["pool"] = pool;
    instance.devices[name] = device;
    instance.row.devices[name] = std::move(device);
    return instance;
}

} // namespace

/// POST with a pool: to another pool of this server, perhaps under another name.
OperationPtr Manager::move(const InstanceRef& ref, const api::InstancePost& request) {
    auto name = request.name.empty() ? ref.name : request.name;
    names::check_instance(name);
    return s_.operations.start(
        operation_options(kInstanceMigrate, ref, false), [this, ref, name, pool = request.pool](OperationContext& op) {
            if (runtime_.find(ref))
                throw Error{ErrorCode::BadState, "Unable to perform container live migration. CRIU isn't installed"};
            try {
                s_.storage.require_pool(pool);
            } catch (Error& error) {
                error.add_context("Failed loading storage pool");
                error.add_context("Failed initialising instance");
                error.add_context("Failed creating instance record");
                throw;
            }
            if (name != ref.name &&
                s_.global.read_value([&](db::Transaction& tx) { return repo_.find(tx, ref.project, name); }))
                throw Error{ErrorCode::AlreadyExists, "Name " + text::quote(name) + " already in use"};
            run_move(ref, pool, op);
            if (name != ref.name) run_rename(ref, name);
        });
}

void Manager::run_move(const InstanceRef& ref, const std::string& pool, OperationContext& op) {
    const auto claim = claims_.take(ref, "move");
    if (runtime_.find(ref)) throw Error{ErrorCode::BadState, "Instance is running"};
    auto instance = load(ref);
    finish_shifts(instance);
    const auto after = with_pool(instance, pool);
    check_expanded(after);
    check_policy(instance.config, after);
    const auto intent = intents_.begin(kMove, ref.project, ref.name, nlohmann::json{{"pool", pool}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("instance-move:intent");
    if (s_.storage.pool_of(ref.project, ref.name) != pool) s_.storage.move_instance(ref.project, ref.name, pool, op);
    op.refuse_cancel_from_here();
    undo.commit();
    fault_point("instance-move:volume");
    write_moved(after, pool);
    fault_point("instance-move:row");
    intents_.end(intent);
    write_backup_file(ref);
    const auto& root = root_disk(after.devices).second;
    if (const auto size = root.find("size"); size != root.end())
        s_.storage.set_instance_quota(ref.project, ref.name, text::parse_bytes(size->second));
}

void Manager::write_moved(const Loaded& instance, const std::string& pool) {
    const auto profiles = expander(instance.row.project);
    s_.global.write([&](db::Transaction& tx) {
        repo_.update(tx, instance.row);
        for (auto& snapshot : snapshot_repo_.list(tx, instance.row.id)) {
            auto seen = instance.row;
            seen.devices = snapshot.devices;
            place_root_disk(snapshot.devices, profiles.expand(std::move(seen)).devices, pool);
            snapshot_repo_.set_devices(tx, snapshot.id, snapshot.devices);
        }
    });
}

/// The volume says how far it came; the root disk follows it.
void Manager::repair_moves() {
    for (const auto& intent : intents_.pending(kMove)) {
        const InstanceRef ref{intent.project, intent.entity};
        try {
            const auto pool = nlohmann::json::parse(intent.data).at("pool").get<std::string>();
            if (s_.storage.pool_of(ref.project, ref.name) == pool) {
                write_moved(with_pool(load(ref), pool), pool);
            }
        } catch (const std::exception& error) {
            s_.log.warning("Failed to finish an interrupted move", {{"instance", ref.name}, {"err", error.what()}});
        }
        intents_.end(intent.id);
    }
}

} // namespace lxdcore::instance
