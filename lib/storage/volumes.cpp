// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/manager_impl.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

std::optional<db::VolumeKind> kind_of(const std::string& type) {
    if (type == "container") return db::VolumeKind::Container;
    if (type == "image") return db::VolumeKind::Image;
    if (type == "custom") return db::VolumeKind::Custom;
    if (type == "virtual-machine") return db::VolumeKind::VirtualMachine;
    return std::nullopt;
}

db::VolumeKind need_kind(const std::string& type) {
    if (const auto kind = kind_of(type)) return *kind;
    throw Error{ErrorCode::InvalidArgument, "Invalid storage volume type name"};
}

const char* name_of(db::VolumeKind kind) {
    switch (kind) {
    case db::VolumeKind::Container:
        return "container";
    case db::VolumeKind::Image:
        return "image";
    case db::VolumeKind::Custom:
        return "custom";
    case db::VolumeKind::VirtualMachine:
        break;
    }
    return "virtual-machine";
}

} // namespace

const std::vector<std::string> kInstanceContent{"metadata.yaml", "templates", "rootfs"};

VolumeId instance_volume(const std::string& name, std::int64_t row) {
    return {.place = VolumePlace::Instance, .name = name, .row = row};
}

VolumeId instance_volume(const db::StorageVolumeRow& row, const std::string& snapshot) {
    return {.place = VolumePlace::Instance,
            .name = volume_name(row.project, row.name),
            .snapshot = snapshot,
            .config = row.config};
}

Staged clone_content(StorageDriver& driver, const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    auto staged = driver.stage_clone(as, source, stop);
    keep_content(driver, staged);
    return staged;
}

void keep_content(StorageDriver& driver, const Staged& staged) {
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    const auto tree = driver.open_staged(staged);
    for (const auto& name : tree.list())
        if (std::find(kInstanceContent.begin(), kInstanceContent.end(), name) == kInstanceContent.end())
            tree.remove_tree(name);
    undo.commit();
}

api::StringMap volume_defaults(const api::StringMap& pool, db::VolumeKind kind, bool block) {
    constexpr std::string_view prefix = "volume.";
    const bool custom = kind == db::VolumeKind::Custom;
    api::StringMap config;
    for (const auto& [name, value] : pool) {
        if (!name.starts_with(prefix)) continue;
        const auto key = name.substr(prefix.size());
        if (key == "size" && !custom) continue;
        if (key.starts_with("security.") && (!custom || block)) continue;
        config[key] = value;
    }
    return config;
}

std::string volume_name(const std::string& project, const std::string& instance) {
    return project == "default" ? instance : project + "_" + instance;
}

api::StorageVolume api_volume(const db::StorageVolumeRow& row) {
    api::StorageVolume volume;
    volume.name = row.name;
    volume.type = name_of(row.kind);
    volume.description = row.description;
    volume.config = row.config;
    volume.project = row.project;
    volume.content_type = row.block ? "block" : "filesystem";
    const auto suffix = row.project == "default" ? "" : "?project=" + row.project;
    if (row.kind == db::VolumeKind::Container || row.kind == db::VolumeKind::VirtualMachine)
        volume.used_by = {"/1.0/instances/" + row.name + suffix};
    if (row.kind == db::VolumeKind::Image) volume.used_by = {"/1.0/images/" + row.name + suffix};
    return volume;
}

std::vector<api::StorageVolume> StorageManagerImpl::volumes(const std::string& pool, const std::string& project,
                                                            const std::string& type) const {
    find_pool(pool);
    db::StorageVolumeRepository::Filter filter{.pool = pool};
    if (!project.empty()) filter.project = project;
    if (!type.empty()) filter.kind = need_kind(type);
    const auto rows = global_.read_value([&](db::Transaction& tx) { return volumes_repository_.list(tx, filter); });
    std::vector<api::StorageVolume> result;
    for (const auto kind : {db::VolumeKind::Container, db::VolumeKind::Image, db::VolumeKind::Custom,
                            db::VolumeKind::VirtualMachine}) // as LXD lists them
        for (const auto& row : rows)
            if (row.kind == kind) result.push_back(api_volume(row));
    return result;
}

api::StorageVolume StorageManagerImpl::volume(const std::string& pool, const std::string& project,
                                              const std::string& type, const std::string& name) const {
    const auto kind = need_kind(type);
    find_pool(pool);
    const auto row = global_.read_value([&](db::Transaction& tx) {
        return volumes_repository_.find(tx, {.pool = pool, .project = project, .name = name, .kind = kind});
    });
    if (!row) throw Error{ErrorCode::NotFound, "Storage pool volume not found"};
    return api_volume(*row);
}

std::optional<db::StorageVolumeRow> StorageManagerImpl::find_volume(const std::string& project,
                                                                    const std::string& instance) const {
    return global_.read_value([&](db::Transaction& tx) {
        return volumes_repository_.find(tx, {.project = project, .name = instance, .kind = db::VolumeKind::Container});
    });
}

db::StorageVolumeRow StorageManagerImpl::need_volume(const std::string& project, const std::string& instance) const {
    auto row = find_volume(project, instance);
    if (!row) throw Error{ErrorCode::NotFound, "Storage volume not found"};
    return std::move(*row);
}

void StorageManagerImpl::link(const std::string& volume, const std::string& pool) const {
    const auto links = state_dir_.dir("containers");
    if (links.exists(volume)) return;
    links.symlink(fmt::format("{}/storage-pools/{}/containers/{}", state_dir_.path(), pool, volume), volume);
}

void StorageManagerImpl::link_snapshots(const std::string& project, const std::string& instance,
                                        const std::string& pool) const {
    const auto links = state_dir_.dir("snapshots");
    const auto name = volume_name(project, instance);
    links.remove(name);
    if (!instance_snapshots(project, instance).empty())
        links.symlink(fmt::format("{}/storage-pools/{}/containers-snapshots/{}", state_dir_.path(), pool, name), name);
}

/// The row comes first: it is the record of the intent, and start() removes one whose volume never came to be.
void StorageManagerImpl::create_volume(const std::string& pool_name, const std::string& project,
                                       const std::string& instance, const MakeVolume& make) {
    names::check_instance(instance);
    names::check_project(project);
    const auto pool = need_pool(pool_name);
    const auto name = volume_name(project, instance);
    const auto left = find_volume(project, instance);
    const bool in_place = left && left->pool == pool_name && !pool->driver->exists(instance_volume(name));
    if (left && !in_place)
        throw Error{ErrorCode::AlreadyExists, fmt::format("Volume {} exists already", text::quote(name))};
    Rollback undo;
    if (!in_place)
        global_.write([&](db::Transaction& tx) {
            auto defaults = volume_defaults(need_row(tx, pool_name).config, db::VolumeKind::Container, false);
            pool->driver->complete_volume(defaults, false);
            volumes_repository_.insert(tx,
                                       {.pool = pool_name, .project = project, .name = instance, .config = defaults});
        });
    const auto row = need_volume(project, instance);
    undo.add([&] {
        global_.write([&](db::Transaction& tx) {
            const auto row =
                volumes_repository_.find(tx, {.project = project, .name = instance, .kind = db::VolumeKind::Container});
            if (row) volumes_repository_.remove(tx, row->id);
        });
    });
    auto id = instance_volume(row);
    id.row = row.id;
    const auto staged = make(*pool->driver, id);
    undo.add([&, staged] { pool->driver->discard(staged); });
    pool->driver->publish(staged);
    undo.add([&, staged] { pool->driver->remove(staged.as); });
    state_dir_.dir("containers").remove(name);
    link(name, pool_name);
    undo.commit();
    link_snapshots(project, instance, pool_name); // a volume may come with them
}

void StorageManagerImpl::create_empty(const std::string& pool, const std::string& project, const std::string& instance,
                                      OperationContext& op) {
    op.throw_if_cancelled();
    create_filled(
        pool, project, instance, [](const Dir& target, OperationContext&) { target.make_dir("rootfs", 0755); }, op);
}

void StorageManagerImpl::create_from_image(const std::string& pool, const std::string& project,
                                           const std::string& instance, const std::string& fingerprint,
                                           OperationContext& op) {
    names::check_fingerprint(fingerprint);
    const auto lock = tree_lock(pool, fingerprint);
    const std::shared_lock reading{*lock};
    create_volume(pool, project, instance, [&](StorageDriver& driver, const VolumeId& as) {
        return clone_content(driver, as, {VolumePlace::Image, fingerprint}, op.stop_token());
    });
}

void StorageManagerImpl::create_filled(const std::string& pool, const std::string& project, const std::string& instance,
                                       const VolumeFiller& fill, OperationContext& op) {
    create_volume(pool, project, instance,
                  [&](StorageDriver& driver, const VolumeId& as) { return stage_filled(driver, as, fill, op); });
}

void StorageManagerImpl::rename_instance(const std::string& project, const std::string& instance,
                                         const std::string& to) {
    names::check_instance(to);
    const auto row = need_volume(project, instance);
    const auto pool = need_pool(row.pool);
    const auto old_name = volume_name(project, instance);
    const auto new_name = volume_name(project, to);
    const auto intent = intents_.begin("volume-rename", project, instance, nlohmann::json{{"to", to}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    pool->driver->rename(instance_volume(old_name), new_name);
    undo.add([&] { pool->driver->rename(instance_volume(new_name), old_name); });
    global_.write([&](db::Transaction& tx) { volumes_repository_.rename(tx, row.id, to); });
    undo.commit();
    state_dir_.dir("containers").remove(old_name);
    link(new_name, row.pool);
    state_dir_.dir("snapshots").remove(old_name);
    link_snapshots(project, to, row.pool);
    intents_.end(intent);
}

void StorageManagerImpl::delete_instance(const std::string& project, const std::string& instance) {
    names::check_instance(instance);
    names::check_project(project);
    const auto name = volume_name(project, instance);
    const auto row = find_volume(project, instance);
    state_dir_.dir("containers").remove(name);
    state_dir_.dir("snapshots").remove(name);
    if (!row) return;
    const auto pool = need_pool(row->pool);
    for (const auto& snapshot : pool->driver->list_snapshots(instance_volume(name))) {
        const VolumeId id{.place = VolumePlace::Instance, .name = name, .snapshot = snapshot};
        if (auto trash = pool->driver->set_aside(id)) queue_discard(pool, std::move(*trash));
    }
    const auto trash = pool->driver->set_aside(instance_volume(name));
    // The instance's row goes right after it, and the intent of the whole stays until then.
    global_.write_relaxed([&](db::Transaction& tx) { volumes_repository_.remove(tx, row->id); });
    if (trash) queue_discard(pool, *trash);
}

void StorageManagerImpl::queue_discard(PoolPtr pool, Staged staged) {
    chores_.lock()->set_aside.emplace_back(std::move(pool), std::move(staged));
    wake_.notify_all();
}

std::string StorageManagerImpl::pool_of(const std::string& project, const std::string& instance) const {
    return need_volume(project, instance).pool;
}

MountedDir StorageManagerImpl::open_instance(const std::string& project, const std::string& instance) {
    const auto row = need_volume(project, instance);
    return open_volume(need_pool(row.pool), instance_volume(row));
}

bool StorageManagerImpl::mounts_volumes(const std::string& pool) const {
    return need_pool(pool)->driver->mounts_volumes();
}

void StorageManagerImpl::unmount_unused() {
    const auto pools = *pools_.lock();
    for (const auto& [name, pool] : pools)
        if (pool->available && pool->driver->mounts_volumes()) pool->mounts.unmount_others(*pool->driver);
}

std::string StorageManagerImpl::instance_path(const std::string& project, const std::string& instance) const {
    return fmt::format("{}/storage-pools/{}/containers/{}", state_dir_.path(), pool_of(project, instance),
                       volume_name(project, instance));
}

std::int64_t StorageManagerImpl::instance_usage(const std::string& project, const std::string& instance) const {
    const auto row = need_volume(project, instance);
    const auto pool = need_pool(row.pool);
    const auto* quotas = pool->driver->quotas();
    return quotas ? quotas->usage(instance_volume(volume_name(project, instance), row.id)) : -1;
}

std::int64_t StorageManagerImpl::snapshot_usage(const std::string& project, const std::string& instance,
                                                const std::string& snapshot) const {
    const auto row = need_volume(project, instance);
    const auto pool = need_pool(row.pool);
    const auto* quotas = pool->driver->quotas();
    return quotas ? quotas->usage(instance_volume(row, snapshot)) : -1;
}

void StorageManagerImpl::set_instance_quota(const std::string& project, const std::string& instance,
                                            std::int64_t bytes) {
    const auto row = need_volume(project, instance);
    const auto pool = need_pool(row.pool);
    if (auto* quotas = pool->driver->quotas()) {
        quotas->set_quota(instance_volume(volume_name(project, instance), row.id), bytes);
    } else if (bytes > 0) {
        log_.warning("The storage pool has no quotas: the size of the root disk is not enforced",
                     {{"pool", row.pool}, {"instance", instance}, {"project", project}});
    }
}

} // namespace lxdcore::storage
