// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "instance/creation.hpp"
#include "instance/limits.hpp"
#include "instance/root_disk.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/steps.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kRestore = "instance-restore";

std::string without_instance(const std::string& instance, const std::string& snapshot) {
    const auto prefix = instance + "/";
    return snapshot.starts_with(prefix) ? snapshot.substr(prefix.size()) : snapshot;
}

} // namespace

OperationPtr Manager::restore(const InstanceRef& ref, const std::string& snapshot, bool stateful) {
    const auto name = without_instance(ref.name, snapshot);
    return s_.operations.start(operation_options(kSnapshotRestore, ref), [this, ref, name,
                                                                          stateful](OperationContext& op) {
        const auto instance = load(ref);
        if (!s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.find(tx, instance.row.id, name); }))
            throw Error{ErrorCode::NotFound, fmt::format("Snapshot {}/{} does not exist", ref.name, name)};
        if (stateful) throw Error{ErrorCode::BadState, "Stateful snapshot restore requested by snapshot is stateless"};
        run_restore(ref, name, op);
    });
}

/// The instance as the snapshot has it. Profiles are not part of a snapshot.
Loaded Manager::restored(const Loaded& before, const std::string& snapshot) const {
    auto source = load_snapshot(before, snapshot);
    auto row = before.row;
    row.config = std::move(source.config);
    row.devices = std::move(source.devices);
    const auto profiles = expander(row.project);
    place_root_disk(row.devices, profiles.expand(row).devices, s_.storage.pool_of(row.project, row.name));
    auto after = profiles.expand(std::move(row));
    // Others may have got the ids meanwhile.
    if (text::is_true(after.value("security.idmap.isolated"))) after.row.config.erase("volatile.idmap.next");
    return after;
}

void Manager::run_restore(const InstanceRef& ref, const std::string& snapshot, OperationContext& op) {
    const auto claim = claims_.take(ref, "restore");
    Steps steps{s_.log, "instance restore", ref.name};
    {
        const auto before = load(ref);
        const auto after = restored(before, snapshot);
        check_expanded(after);
        check_policy(before.config, after);
        check_kernel_limits(after.config);
    }
    const auto running = runtime_.find(ref);
    if (running) {
        // An ephemeral one is kept, too.
        if (!runtime_.request_stop(ref, true)) throw Error{ErrorCode::BadState, "The instance is already stopped"};
        stop_forced(ref, *running);
        steps.done("stop");
    }
    Rollback start_again;
    if (running) start_again.add([&] { start_claimed(ref); });
    auto before = load(ref);
    finish_shifts(before);
    s_.storage.open_instance(ref.project, ref.name).dir.write(kOldMark, "", 0600);
    const auto intent = intents_.begin(kRestore, ref.project, ref.name, nlohmann::json{{"name", snapshot}}.dump());
    fault_point("instance-restore:intent");
    try {
        s_.storage.replace_instance(ref.project, ref.name, {ref.project, ref.name, snapshot}, op);
    } catch (...) {
        s_.storage.open_instance(ref.project, ref.name).dir.remove(kOldMark);
        intents_.end(intent);
        throw;
    }
    op.refuse_cancel_from_here();
    steps.done("volume");
    fault_point("instance-restore:volume");
    const auto after = restored(before, snapshot);
    try {
        apply_change(before, after, false);
    } catch (const Error&) { // the record is that of the files all the same
        s_.global.write([&](db::Transaction& tx) { repo_.update(tx, after.row); });
        intents_.end(intent);
        throw;
    }
    fault_point("instance-restore:row");
    intents_.end(intent);
    steps.done("row");
    s_.events.lifecycle(ref.project, "instance-restored", instance_url(ref), {{"snapshot", ref.name + "/" + snapshot}});
    start_again.commit();
    if (running) start_claimed(ref);
}

void Manager::repair_restores() {
    for (const auto& intent : intents_.pending(kRestore)) {
        const InstanceRef ref{intent.project, intent.entity};
        try {
            const auto volume = s_.storage.open_instance(ref.project, ref.name);
            if (volume.dir.exists(kOldMark)) {
                volume.dir.remove(kOldMark);
            } else {
                const auto data = nlohmann::json::parse(intent.data);
                auto before = load(ref);
                auto after = restored(before, data.at("name").get<std::string>());
                if (!after.row.config.contains("volatile.idmap.next"))
                    after.row.config["volatile.idmap.next"] = next_idmap(after).map.json();
                s_.global.write([&](db::Transaction& tx) { repo_.update(tx, after.row); });
                s_.log.warning("Finished an interrupted restore", {{"instance", ref.name}});
            }
        } catch (const std::exception& error) {
            s_.log.warning("Failed to finish an interrupted restore", {{"instance", ref.name}, {"err", error.what()}});
        }
        intents_.end(intent.id);
    }
}

} // namespace lxdcore::instance
