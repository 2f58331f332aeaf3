// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/error.hpp>

#include "instance/manager.hpp"
#include "operation/operation_types.hpp"
#include "util/cron.hpp"
#include "util/snapshot_name.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr int kSnapshotsExpire = 45; ///< LXD's number of the operation

/// Of an instance; none when its text is wrong, which the log says.
std::optional<Schedule> schedule_of(const Loaded& instance, const Logger& log) {
    const auto text = instance.value("snapshots.schedule");
    if (text.empty()) return std::nullopt;
    try {
        return Schedule::parse(text, static_cast<std::uint64_t>(instance.row.id));
    } catch (const Error& error) { // set before it was checked, or by another program
        log.warning("Invalid snapshots.schedule", {{"instance", instance.row.name}, {"err", error.what()}});
        return std::nullopt;
    }
}

} // namespace

/// Once a minute, and once after a jump of the clock (R59).
void Manager::snapshots_due(Schedule::Time last, Schedule::Time now) {
    lists_.lock()->forget_unused();
    if (host_shutdown_) return;
    std::map<std::string, Expander> profiles;
    for (auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        auto it = profiles.find(row.project);
        if (it == profiles.end()) it = profiles.emplace(row.project, expander(row.project)).first;
        const auto instance = it->second.expand(std::move(row));
        const auto schedule = schedule_of(instance, s_.log);
        if (!schedule || !schedule->due(last, now)) continue;
        if (!runtime_.find(instance.ref()) && !text::is_true(instance.value("snapshots.schedule.stopped"))) continue;
        start_auto_snapshot(instance.ref());
    }
    remove_expired_snapshots(now);
}

void Manager::snapshot_at_startup(const Loaded& instance) {
    const auto schedule = schedule_of(instance, s_.log);
    if (schedule && schedule->at_startup()) start_auto_snapshot(instance.ref());
}

/// One at a time for each instance: what is due while another is made is left out.
void Manager::start_auto_snapshot(const InstanceRef& ref) {
    if (!snapshotting_.lock()->insert(ref).second) return;
    s_.operations.start(operation_options(kSnapshotCreate, ref), [this, ref](OperationContext& op) {
        try {
            const auto name = next_snapshot_name(load(ref));
            check_snapshot_name(name);
            run_snapshot(ref, name, std::nullopt, op);
        } catch (const Error& error) {
            snapshotting_.lock()->erase(ref);
            s_.log.error("Failed to make a scheduled snapshot", {{"instance", ref.name}, {"err", error.what()}});
            throw;
        }
        snapshotting_.lock()->erase(ref);
    });
}

void Manager::remove_expired_snapshots(Schedule::Time now) {
    struct Expired {
        InstanceRef ref;
        std::string name;
    };
    std::vector<Expired> expired;
    s_.global.read([&](db::Transaction& tx) {
        const auto all = snapshot_repo_.by_instance(tx);
        if (all.empty()) return;
        for (const auto& row : repo_.list(tx, "")) {
            const auto it = all.find(row.id);
            if (it == all.end()) continue;
            for (const auto& snapshot : it->second)
                if (snapshot.expires_at.at && snapshot.expires_at.unix_seconds() > 0 && *snapshot.expires_at.at <= now)
                    expired.push_back({{row.project, row.name}, snapshot.name});
        }
    });
    if (expired.empty()) return;
    s_.operations.start({.type = kSnapshotsExpire, .project = "", .resources = {}},
                        [this, expired = std::move(expired)](OperationContext&) {
                            for (const auto& [ref, name] : expired) {
                                try {
                                    const auto claim = claims_.wait(ref, "delete", kPatience);
                                    load_snapshot(load(ref), name);
                                    run_remove_snapshot(ref, name);
                                    tell_snapshot(ref, "deleted", name);
                                } catch (const Error& error) { // the next minute tries again
                                    s_.log.warning("Failed to remove an expired snapshot",
                                                   {{"instance", ref.name}, {"snapshot", name}, {"err", error.what()}});
                                }
                            }
                        });
}

} // namespace lxdcore::instance
