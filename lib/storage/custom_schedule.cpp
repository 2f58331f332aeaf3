// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include <lxdcore/error.hpp>

#include "operation/operation_types.hpp"
#include "operation/volume_operation_types.hpp"
#include "storage/custom_impl.hpp"
#include "util/cron.hpp"

namespace lxdcore::storage {

void CustomVolumesImpl::start_schedules() {
    timer_ = std::make_unique<MinuteTimer>([this](auto last, auto now) { tick(last, now); });
}

void CustomVolumesImpl::stop() noexcept { timer_.reset(); }

void CustomVolumesImpl::tick(Schedule::Time last, Schedule::Time now) {
    try {
        const auto rows = global_.read_value(
            [&](db::Transaction& tx) { return volumes_.list(tx, {.kind = db::VolumeKind::Custom}); });
        for (const auto& row : rows) {
            try {
                remove_expired(row, now);
                snapshot_if_due(row, last, now);
            } catch (const Error& error) { // the others have schedules too
                log_.warning("Failed to look at the snapshots of a volume",
                             {{"pool", row.pool}, {"volume", row.name}, {"err", error.what()}});
            }
        }
    } catch (const std::exception& error) { // there is a next minute
        log_.warning("Failed to look at the snapshots of volumes", {{"err", error.what()}});
    }
}

void CustomVolumesImpl::remove_expired(const Row& row, Schedule::Time now) {
    const api::Time::Point moment{now};
    const auto expired = [&](const SnapshotRow& snapshot) {
        return snapshot.expires_at.at && snapshot.expires_at.unix_seconds() > 0 && *snapshot.expires_at.at <= moment;
    };
    auto snapshots = snapshot_rows(row);
    std::erase_if(snapshots, [&](const auto& snapshot) { return !expired(snapshot); });
    if (snapshots.empty()) return;
    const VolumeRef ref{.pool = row.pool, .project = row.project, .name = row.name};
    operations_.start({.type = kVolumeSnapshotsExpire, .project = row.project}, [this, ref,
                                                                                 snapshots](OperationContext&) {
        const auto volume = need_row(ref);
        const auto guards = lock({&volume});
        for (const auto& snapshot : snapshots) {
            const auto still =
                global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, volume.id, snapshot.name); });
            if (still && still->id == snapshot.id && still->expires_at == snapshot.expires_at)
                remove_snapshot_of(volume, *still);
        }
    });
}

void CustomVolumesImpl::snapshot_if_due(const Row& row, Schedule::Time last, Schedule::Time now) {
    const auto text = row.config.find("snapshots.schedule");
    if (text == row.config.end() || text->second.empty() || used_by_server(row)) return;
    if (!Schedule::parse(text->second, static_cast<std::uint64_t>(row.id)).due(last, now)) return;
    const VolumeRef ref{.pool = row.pool, .project = row.project, .name = row.name};
    start_operation(kVolumeSnapshotCreate, row, "storage_volumes", [this, ref](OperationContext& op) {
        auto volume = need_row(ref);
        const auto guards = lock({&volume});
        volume = need_row(ref);
        const auto pattern = volume.config.find("snapshots.pattern");
        const auto name = free_snapshot_name(volume, pattern == volume.config.end() ? "" : pattern->second);
        check_snapshot_name(name);
        make_snapshot(volume, name, std::nullopt, op.stop_token());
    });
}

} // namespace lxdcore::storage
