// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "instance/creation.hpp"
#include "instance/root_disk.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/steps.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kRefresh = "instance-refresh";
constexpr std::chrono::seconds kPatience{10};

bool same_snapshot(const db::InstanceSnapshotRow& a, const db::InstanceSnapshotRow& b) {
    return a.name == b.name && a.created_at == b.created_at;
}

bool among(const std::vector<db::InstanceSnapshotRow>& rows, const db::InstanceSnapshotRow& row) {
    return std::any_of(rows.begin(), rows.end(), [&](const auto& other) { return same_snapshot(other, row); });
}

} // namespace

/// "c1" or "c1/snap0". @throws NotFound with LXD's texts
void Manager::load_source(Creation& creation, OperationOptions& options) const {
    const auto& post = creation.request.source;
    if (post.source.empty()) throw Error{ErrorCode::InvalidArgument, "Must specify a source instance"};
    const auto project = post.project.empty() ? creation.ref.project : post.project;
    const auto slash = post.source.find('/');
    const InstanceRef ref{project, post.source.substr(0, slash)};
    try {
        creation.source = load(ref);
    } catch (Error& error) {
        error.add_context(
            fmt::format("Failed to fetch instance {} in project {}", text::quote(post.source), text::quote(project)));
        throw;
    }
    if (slash != std::string::npos) {
        creation.source_snapshot = post.source.substr(slash + 1);
        const auto row = load_snapshot(*creation.source, creation.source_snapshot);
        creation.source->row.config = row.config;
        creation.source->row.devices = row.devices;
    }
    options.resources["instances"].push_back("/1.0/instances/" + post.source);
    options.resources["containers"].push_back("/1.0/containers/" + post.source);
}

/// What the copy's snapshots will be: those of the source, with the copy's pool.
std::vector<db::InstanceSnapshotRow> Manager::copied_rows(const Creation& creation) const {
    if (creation.import) return imported_rows(creation);
    if (!creation.with_snapshots()) return {};
    auto rows =
        s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.list(tx, creation.source->row.id); });
    const auto profiles = expander(creation.ref.project);
    for (auto& row : rows) {
        auto seen = creation.instance.row;
        seen.devices = row.devices;
        place_root_disk(row.devices, profiles.expand(std::move(seen)).devices, creation.pool);
    }
    return rows;
}

/// With its snapshots, without their rows yet. The caller removes what an error leaves.
void Manager::copy_volumes(const Creation& creation, OperationContext& op) {
    storage::InstanceCopy copy{.source = creation.source_volume()};
    for (const auto& row : copied_rows(creation))
        copy.snapshots.push_back(row.name);
    copy.standstill = [&]() -> std::shared_ptr<const void> {
        if (!creation.source_snapshot.empty()) return nullptr;
        auto still = std::make_shared<Standstill>(cgroups_, runtime_.find(creation.source->ref()));
        fault_point("instance-copy:frozen");
        return still;
    };
    s_.storage.create_copy(creation.pool, creation.ref.project, creation.ref.name, copy, op);
}

void Manager::copy_snapshot_rows(db::Transaction& tx, const Creation& creation) const {
    for (auto row : copied_rows(creation)) {
        row.instance = creation.instance.row.id;
        snapshot_repo_.insert(tx, row);
    }
}

/// An existing copy gets what the source has now: snapshots that are missing, then the content; what the source no
/// longer has goes. Its configuration stays. All of it takes effect in one step.
void Manager::run_refresh(Creation& creation, OperationContext& op) {
    const auto& ref = creation.ref;
    Steps steps{s_.log, "instance refresh", ref.name};
    auto target = load(ref);
    if (runtime_.find(ref))
        throw Error{ErrorCode::BadState, "Failed getting exclusive access to instance: Instance is running"};
    finish_shifts(target);
    check_policy(target.config, target);
    creation.pool = s_.storage.pool_of(ref.project, ref.name);
    creation.instance = target;
    const auto list = [&](std::int64_t id) {
        return s_.global.read_value([&](db::Transaction& tx) { return snapshot_repo_.list(tx, id); });
    };
    const auto wanted = copied_rows(creation);
    auto present = list(target.row.id);
    std::vector<db::InstanceSnapshotRow> extra;
    if (!creation.instance_only()) { // a snapshot as the source has none: all of the copy go
        // One of the same name that is another one is in the way.
        for (const auto& row : present)
            if (!among(wanted, row) &&
                std::any_of(wanted.begin(), wanted.end(), [&](const auto& w) { return w.name == row.name; }))
                run_remove_snapshot(ref, row.name);
        present = list(target.row.id);
        std::copy_if(present.begin(), present.end(), std::back_inserter(extra),
                     [&](const auto& row) { return !among(wanted, row); });
    }
    s_.storage.open_instance(ref.project, ref.name).dir.write(kOldMark, "", 0600);
    const auto source = creation.source_volume();
    const auto intent = intents_.begin(kRefresh, ref.project, ref.name,
                                       nlohmann::json{{"source_project", source.project},
                                                      {"source", source.instance},
                                                      {"snapshot", source.snapshot},
                                                      {"only", creation.instance_only()}}
                                           .dump());
    fault_point("instance-refresh:intent");
    std::vector<std::string> added;
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    undo.add([&] {
        for (const auto& name : added)
            s_.storage.delete_instance_snapshot(ref.project, ref.name, name);
        s_.storage.open_instance(ref.project, ref.name).dir.remove(kOldMark);
    });
    for (const auto& row : wanted) {
        if (among(present, row)) continue;
        op.throw_if_cancelled();
        added.push_back(row.name);
        s_.storage.copy_instance_snapshot(ref.project, ref.name, row.name, {source.project, source.instance, row.name},
                                          op);
        fault_point("instance-refresh:snapshot");
    }
    {
        const Standstill standstill{cgroups_,
                                    source.snapshot.empty() ? runtime_.find(creation.source->ref()) : std::nullopt};
        s_.storage.refresh_instance(ref.project, ref.name, source, op);
    }
    steps.done("volume");
    fault_point("instance-refresh:volume");
    undo.commit();
    finish_refresh(target, *creation.source, wanted, extra);
    fault_point("instance-refresh:row");
    for (const auto& row : extra) {
        s_.storage.delete_instance_snapshot(ref.project, ref.name, row.name);
        tell_snapshot(ref, "deleted", row.name);
    }
    intents_.end(intent);
    write_backup_file(ref);
    for (const auto& name : added)
        tell_snapshot(ref, "created", name);
}

/// The rows that go with the new content.
void Manager::finish_refresh(const Loaded& target, const Loaded& source,
                             const std::vector<db::InstanceSnapshotRow>& wanted,
                             const std::vector<db::InstanceSnapshotRow>& extra) {
    constexpr const char* kOnDisk = "volatile.last_state.idmap";
    const auto on_disk = source.row.config.find(kOnDisk);
    s_.global.write([&](db::Transaction& tx) {
        for (const auto& row : extra)
            if (const auto found = snapshot_repo_.find(tx, target.row.id, row.name))
                snapshot_repo_.remove(tx, found->id);
        for (auto row : wanted) {
            if (snapshot_repo_.find(tx, target.row.id, row.name)) continue;
            row.instance = target.row.id;
            snapshot_repo_.insert(tx, row);
        }
        repo_.set_config(tx, target.row.id,
                         {{"volatile.apply_template", "copy"},
                          {kOnDisk, on_disk == source.row.config.end() ? "[]" : on_disk->second}});
    });
}

void Manager::repair_refreshes() {
    for (const auto& intent : intents_.pending(kRefresh)) {
        const InstanceRef ref{intent.project, intent.entity};
        try {
            const auto data = nlohmann::json::parse(intent.data);
            const Cgroup cgroup{cgroups_, cgroup_name({data.value("source_project", ""), data.value("source", "")})};
            if (cgroup.exists()) cgroup.freeze(false); // it stood still for the copy
            const auto target = load(ref);
            const auto volume = s_.storage.open_instance(ref.project, ref.name);
            const bool done = !volume.dir.exists(kOldMark);
            if (done) {
                Creation creation{.ref = ref};
                creation.pool = s_.storage.pool_of(ref.project, ref.name);
                creation.instance = target;
                creation.source_snapshot = data.value("snapshot", "");
                creation.request.source.instance_only = data.value("only", false);
                creation.source = load({data.value("source_project", ""), data.value("source", "")});
                if (!creation.source_snapshot.empty())
                    creation.source->row.config = load_snapshot(*creation.source, creation.source_snapshot).config;
                const auto wanted = copied_rows(creation);
                std::vector<db::InstanceSnapshotRow> extra;
                if (!creation.instance_only())
                    for (auto& row : s_.global.read_value(
                             [&](db::Transaction& tx) { return snapshot_repo_.list(tx, target.row.id); }))
                        if (!among(wanted, row)) extra.push_back(std::move(row));
                finish_refresh(target, *creation.source, wanted, extra);
            } else {
                volume.dir.remove(kOldMark);
            }
            // Volumes follow the rows.
            const auto kept = snapshot_names(ref);
            for (const auto& name : s_.storage.instance_snapshots(ref.project, ref.name))
                if (std::find(kept.begin(), kept.end(), name) == kept.end())
                    s_.storage.delete_instance_snapshot(ref.project, ref.name, name);
        } catch (const std::exception& error) {
            s_.log.warning("Failed to finish an interrupted refresh", {{"instance", ref.name}, {"err", error.what()}});
        }
        intents_.end(intent.id);
    }
}

} // namespace lxdcore::instance
