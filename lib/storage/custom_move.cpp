// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "operation/operation_types.hpp"
#include "operation/volume_operation_types.hpp"
#include "storage/custom_impl.hpp"
#include "storage/manager_impl.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

OperationPtr CustomVolumesImpl::move(const VolumeRef& ref, const api::StorageVolumePost& change) {
    names::check_volume(change.name);
    if (ref.type != "custom")
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("Renaming storage volumes of type {} is not allowed", text::quote(ref.type))};
    if (change.migration) throw Error{ErrorCode::Unsupported, "Volumes cannot be sent to other servers"};
    auto row = need_row(ref);
    auto target = row;
    target.name = change.name;
    if (!change.pool.empty()) target.pool = change.pool;
    if (!change.project.empty()) target.project = change.project;
    (void)pools_.get(target.pool);
    require_free(target);
    if (used_by_server(row)) throw Error{ErrorCode::Internal, "Volume is used by LXD itself and cannot be renamed"};
    if (!running_users(row).empty()) throw Error{ErrorCode::Internal, "Volume is still in use by running instances"};
    if (target.pool == row.pool && target.project == row.project) {
        const auto guards = lock({&row, &target});
        require_free(target);
        rename(need_row(ref), change.name);
        return nullptr;
    }
    return operations_.start({.type = kVolumeMove, .project = row.project}, [this, ref, target](OperationContext& op) {
        const auto before = need_row(ref);
        const auto guards = lock({&before, &target});
        require_free(target);
        move_to(before, target, op);
    });
}

/// The row says where an interrupted one was going to end.
void CustomVolumesImpl::rename(Row row, const std::string& to) {
    finish_shifts(row);
    const auto driver = access_.driver(row.pool);
    auto target = row;
    target.name = to;
    const nlohmann::json data{{"pool", row.pool}, {"to", to}, {"block", row.block}};
    const auto intent = intents_.begin(intent::kRename, row.project, row.name, data.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("volume-rename:intended");
    driver->rename(custom_volume(row), custom_name(row.project, to));
    undo.add([&] { driver->rename(custom_volume(target), custom_name(row.project, row.name)); });
    fault_point("volume-rename:renamed");
    global_.write([&](db::Transaction& tx) {
        volumes_.move(tx, target);
        volumes_.redirect_devices(tx, row, target);
    });
    undo.commit();
    fault_point("volume-rename:recorded");
    tell_follower(custom_place(row), custom_place(target));
    intents_.end(intent);
    event(target, "storage-volume-renamed", "old_name", row.name);
}

/// A copy grows where the volume is to be; then the row, with its snapshots and the disks that name the volume, changes
/// over in one step; then the old one goes. Which of the two is too many after an interruption, the row says.
void CustomVolumesImpl::move_to(Row row, Row target, OperationContext& op) {
    finish_shifts(row);
    target.config = row.config;
    if (!running_users(row).empty()) throw Error{ErrorCode::Internal, "Volume is still in use by running instances"};
    if (target.project != row.project) names::check_project(target.project);
    const auto driver = access_.driver(target.pool);
    fill_defaults(target);
    check_config(target, target.config);
    const auto snapshots = snapshot_rows(row);
    const nlohmann::json data{{"id", row.id},
                              {"block", row.block},
                              {"from", {{"pool", row.pool}, {"name", custom_name(row.project, row.name)}}},
                              {"to", {{"pool", target.pool}, {"name", custom_name(target.project, target.name)}}}};
    const auto intent = intents_.begin(intent::kMove, row.project, row.name, data.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("volume-move:intended");
    undo.add([&] { drop_volume(target.pool, custom_name(target.project, target.name), row.block); });
    Base arrived;
    const auto make = [&](const VolumeId& as, const std::string& snapshot) {
        const auto staged = stage_from(*driver, target.pool, as, row, snapshot, arrived, op.stop_token(), &op);
        Rollback discard;
        discard.add([&] { driver->discard(staged); });
        driver->publish(staged);
        discard.commit();
    };
    for (const auto& snapshot : snapshots) {
        make(custom_snapshot(target, snapshot.name), snapshot.name);
        arrived.snapshots.push_back(snapshot.name);
    }
    make(custom_volume(target), "");
    settle(*driver, target);
    fault_point("volume-move:copied");
    global_.write([&](db::Transaction& tx) {
        volumes_.move(tx, target);
        volumes_.update(tx, target);
        volumes_.redirect_devices(tx, row, target);
    });
    undo.commit();
    fault_point("volume-move:recorded");
    drop_volume(row.pool, custom_name(row.project, row.name), row.block);
    tell_follower(custom_place(row), custom_place(target));
    intents_.end(intent);
    event(target, "storage-volume-created", "type", "custom");
    for (const auto& snapshot : snapshots)
        snapshot_event(row, snapshot.name, "storage-volume-snapshot-deleted");
    event(row, "storage-volume-deleted");
}

} // namespace lxdcore::storage
