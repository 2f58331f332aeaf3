// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "storage/custom_impl.hpp"
#include "storage/manager_impl.hpp"
#include "storage/volume_users.hpp"
#include "util/text.hpp"

namespace lxdcore {

StorageVolumeService::~StorageVolumeService() = default;

std::string StorageVolumeService::etag(const api::StorageVolume& volume) {
    return api::etag_of(nlohmann::json::array({volume.name, volume.type, volume.config}));
}

std::string StorageVolumeService::etag(const api::StorageVolumeSnapshot& snapshot) {
    return api::etag_of(nlohmann::json::array({snapshot.description, snapshot.expires_at.value_or(api::Time{})}));
}

namespace storage {

std::string custom_name(const std::string& project, const std::string& name) { return project + "_" + name; }

db::VolumeKind volume_kind(const std::string& type) {
    constexpr std::pair<std::string_view, db::VolumeKind> kinds[] = {
        {"container", db::VolumeKind::Container},
        {"image", db::VolumeKind::Image},
        {"custom", db::VolumeKind::Custom},
        {"virtual-machine", db::VolumeKind::VirtualMachine}};
    for (const auto& [name, kind] : kinds)
        if (type == name) return kind;
    throw Error{ErrorCode::InvalidArgument, "Invalid storage volume type name"};
}

VolumeId custom_volume(const db::StorageVolumeRow& row) {
    return {.place = VolumePlace::Custom,
            .name = custom_name(row.project, row.name),
            .row = row.id,
            .config = row.config,
            .block = row.block};
}

VolumeId custom_snapshot(const db::StorageVolumeRow& row, const std::string& snapshot) {
    return {.place = VolumePlace::Custom,
            .name = custom_name(row.project, row.name),
            .snapshot = snapshot,
            .config = row.config,
            .block = row.block};
}

namespace {

api::StorageVolume snapshot_view(const api::StorageVolume& volume, const db::StorageSnapshotRow& snapshot) {
    auto view = volume;
    view.name = volume.name + "/" + snapshot.name;
    view.description = snapshot.description;
    view.config = snapshot.config;
    if (view.type == "custom") view.used_by.clear();
    return view;
}

} // namespace

std::unique_ptr<CustomVolumes> make_custom_volumes(const CustomVolumesNeeds& needs) {
    return std::make_unique<CustomVolumesImpl>(needs);
}

CustomVolumesImpl::CustomVolumesImpl(const CustomVolumesNeeds& needs)
    : local_{needs.local}, global_{needs.global}, pools_{needs.pools}, access_{PoolAccess::of(needs.pools)},
      operations_{needs.operations}, events_{needs.events}, log_{needs.log}, intents_{needs.local} {
    access_.set_custom(this);
}

CustomVolumesImpl::~CustomVolumesImpl() { access_.set_custom(nullptr); }

std::optional<db::StorageVolumeRow> CustomVolumesImpl::find_row(const std::string& pool, const std::string& project,
                                                                const std::string& name) const {
    return global_.read_value([&](db::Transaction& tx) {
        return volumes_.find(tx, {.pool = pool, .project = project, .name = name, .kind = db::VolumeKind::Custom});
    });
}

db::StorageVolumeRow CustomVolumesImpl::need_row(const VolumeRef& ref) const {
    const auto kind = volume_kind(ref.type);
    (void)pools_.get(ref.pool);
    auto row = global_.read_value([&](db::Transaction& tx) {
        return volumes_.find(tx, {.pool = ref.pool, .project = ref.project, .name = ref.name, .kind = kind});
    });
    if (!row) throw Error{ErrorCode::NotFound, "Storage pool volume not found"};
    return std::move(*row);
}

db::StorageVolumeRow CustomVolumesImpl::need_custom(const std::string& pool, const std::string& project,
                                                    const std::string& name) const {
    auto row = find_row(pool, project, name);
    if (!row) throw Error{ErrorCode::NotFound, "Storage volume not found"};
    return std::move(*row);
}

std::vector<db::StorageSnapshotRow> CustomVolumesImpl::snapshot_rows(const Row& volume) const {
    return global_.read_value([&](db::Transaction& tx) { return snapshots_.list(tx, volume.id); });
}

db::StorageSnapshotRow CustomVolumesImpl::need_snapshot(const Row& volume, const std::string& name) const {
    auto row = global_.read_value([&](db::Transaction& tx) { return snapshots_.find(tx, volume.id, name); });
    if (!row) throw Error{ErrorCode::NotFound, "Storage pool volume not found"};
    return std::move(*row);
}

std::vector<api::StorageVolume> CustomVolumesImpl::list(const std::string& pool, const std::string& project,
                                                        const std::string& type) const {
    (void)pools_.get(pool);
    db::StorageVolumeRepository::Filter filter{.pool = pool};
    if (!project.empty()) filter.project = project;
    if (!type.empty()) filter.kind = volume_kind(type);
    std::vector<api::StorageVolume> result;
    global_.read([&](db::Transaction& tx) {
        result.clear();
        std::map<std::string, VolumeUsers> users;
        for (const auto& row : volumes_.list(tx, filter)) {
            auto view = api_volume(row);
            if (row.kind == db::VolumeKind::Custom && used_by_server(row))
                view.used_by = {"/1.0"};
            else if (row.kind == db::VolumeKind::Custom)
                view.used_by = users.try_emplace(row.project, tx, row.project).first->second.urls(row.pool, row.name);
            for (const auto& snapshot : snapshots_.list(tx, row.id))
                result.push_back(snapshot_view(view, snapshot));
            result.push_back(std::move(view));
        }
    });
    const auto rank = [](const api::StorageVolume& volume) { return static_cast<int>(volume_kind(volume.type)); };
    std::sort(result.begin(), result.end(), [&](const auto& a, const auto& b) { // as LXD lists them
        return std::make_tuple(rank(a), a.name, a.project) < std::make_tuple(rank(b), b.name, b.project);
    });
    return result;
}

api::StorageVolume CustomVolumesImpl::get(const VolumeRef& ref) const {
    const auto row = need_row(ref);
    auto view = api_volume(row);
    if (row.kind == db::VolumeKind::Custom && used_by_server(row))
        view.used_by = {"/1.0"};
    else if (row.kind == db::VolumeKind::Custom)
        view.used_by = global_.read_value([&](db::Transaction& tx) {
            return VolumeUsers{tx, row.project}.urls(row.pool, row.name);
        });
    return view;
}

api::StorageVolumeState CustomVolumesImpl::state(const VolumeRef& ref) const {
    const auto kind = volume_kind(ref.type);
    (void)pools_.get(ref.pool);
    const auto row = global_.read_value([&](db::Transaction& tx) {
        return volumes_.find(tx, {.pool = ref.pool, .project = ref.project, .name = ref.name, .kind = kind});
    });
    if (!row)
        throw Error{ErrorCode::NotFound,
                    fmt::format("Storage volume {} in project {} of type {} does not exist on pool {}: Storage volume "
                                "not found",
                                text::quote(ref.name), text::quote(ref.project), text::quote(ref.type),
                                text::quote(ref.pool))};
    std::int64_t used = -1;
    const auto driver = access_.driver(row->pool);
    if (auto* quotas = driver->quotas(); quotas != nullptr && !row->block) {
        if (row->kind == db::VolumeKind::Custom) used = quotas->usage(custom_volume(*row));
        if (row->kind == db::VolumeKind::Container)
            used = quotas->usage(instance_volume(volume_name(row->project, row->name), row->id));
    }
    if (used < 0) throw Error{ErrorCode::Internal, "Not supported"};
    api::SpaceUse usage{.used = static_cast<std::uint64_t>(used)};
    if (const auto size = row->config.find("size"); size != row->config.end())
        usage.total = static_cast<std::uint64_t>(text::parse_bytes(size->second));
    return {.usage = usage};
}

std::vector<api::StorageVolumeSnapshot> CustomVolumesImpl::snapshots(const VolumeRef& ref) const {
    const auto kind = volume_kind(ref.type);
    (void)pools_.get(ref.pool);
    std::vector<api::StorageVolumeSnapshot> result;
    const auto row = global_.read_value([&](db::Transaction& tx) {
        return volumes_.find(tx, {.pool = ref.pool, .project = ref.project, .name = ref.name, .kind = kind});
    });
    if (!row) return result; // as LXD
    for (const auto& snapshot : snapshot_rows(*row)) {
        api::StorageVolumeSnapshot view{
            .description = snapshot.description, .name = ref.name + "/" + snapshot.name, .config = snapshot.config};
        if (snapshot.expires_at.at) view.expires_at = snapshot.expires_at;
        result.push_back(std::move(view));
    }
    return result;
}

api::StorageVolumeSnapshot CustomVolumesImpl::snapshot(const VolumeRef& ref, const std::string& name) const {
    const auto row = need_row(ref);
    const auto snapshot = need_snapshot(row, name);
    return {.description = snapshot.description,
            .expires_at = snapshot.expires_at,
            .name = snapshot.name,
            .config = snapshot.config,
            .content_type = row.block ? "block" : "filesystem",
            .created_at = {}};
}

bool CustomVolumesImpl::is_block(const std::string& pool, const std::string& project, const std::string& name) const {
    return need_custom(pool, project, name).block;
}

MountedDir CustomVolumesImpl::open(const std::string& pool, const std::string& project, const std::string& name,
                                   const std::string& snapshot) const {
    const auto row = need_custom(pool, project, name);
    return access_.open_content(row.pool, snapshot.empty() ? custom_volume(row) : custom_snapshot(row, snapshot));
}

OpenBlock CustomVolumesImpl::open_block(const std::string& pool, const std::string& project, const std::string& name,
                                        const std::string& snapshot) const {
    const auto row = need_custom(pool, project, name);
    return access_.open_block(row.pool, snapshot.empty() ? custom_volume(row) : custom_snapshot(row, snapshot));
}

/// On whose URL LXD puts the name that the volume has on disk.
void CustomVolumesImpl::event(const Row& row, const char* action, const char* key, const std::string& value) const {
    const auto source =
        fmt::format("/1.0/storage-pools/{}/volumes/custom/{}{}", row.pool, custom_name(row.project, row.name),
                    row.project == "default" ? "" : "?project=" + row.project);
    if (key == nullptr) return events_.lifecycle(row.project, action, source);
    events_.lifecycle(row.project, action, source, {{key, value}});
}

void CustomVolumesImpl::snapshot_event(const Row& row, const std::string& snapshot, const char* action, const char* key,
                                       const std::string& value) const {
    const auto source = fmt::format("/1.0/storage-pools/{}/volumes/custom/{}/snapshots/{}{}", row.pool,
                                    custom_name(row.project, row.name), snapshot,
                                    row.project == "default" ? "" : "?project=" + row.project);
    if (key == nullptr) return events_.lifecycle(row.project, action, source);
    events_.lifecycle(row.project, action, source, {{key, value}});
}

} // namespace storage
} // namespace lxdcore
