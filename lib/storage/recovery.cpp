// SPDX-License-Identifier: Apache-2.0
// What a lost database knew, found again on the pools (R45). Nothing on a pool is changed.
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "storage/manager_impl.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// "p_c1" is c1 of the project p; custom volumes have their project always.
std::optional<LostVolume> volume_of(const std::string& directory, bool custom) {
    LostVolume volume{.custom = custom, .project = "default", .name = directory, .snapshots = {}};
    if (const auto at = directory.find('_'); at != std::string::npos) {
        volume.project = directory.substr(0, at);
        volume.name = directory.substr(at + 1);
    } else if (custom) {
        return std::nullopt;
    }
    try {
        names::check_project(volume.project);
        custom ? names::check_volume(volume.name) : names::check_instance(volume.name);
    } catch (const Error&) {
        return std::nullopt;
    }
    return volume;
}

/// A custom volume has no document; what is in it says which kind it is.
bool has_image(const Dir& volume) {
    const auto image = volume.stat_if_exists("root.img");
    return image && S_ISREG(image->st_mode);
}

void check_pool_name(const std::string& name) {
    names::check_pool(name);
    if (name.empty() || name.front() == '.') throw Error{ErrorCode::InvalidArgument, "Invalid storage pool name"};
}

constexpr const char* kAdopt = "storage-pool-adopt";

std::uint64_t mount_of(const Dir& dir) {
    struct statx status {};
    if (::statx(dir.fd(), "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0) throw_errno(dir.path());
    return status.stx_mnt_id;
}

/// A pool that is mounted to be looked at, and not longer unless it was before.
class Glance {
public:
    Glance(const Dir& pools, const std::string& name, StorageDriver& driver) : pools_{pools}, name_{name} {
        made_ = !pools_.exists(name_);
        const auto before = made_ ? mount_of(pools_) : mount_of(pools_.dir(name_));
        driver.mount_pool();
        mounted_ = mount_of(pools_.dir(name_)) != before;
    }
    Glance(const Glance&) = delete;
    Glance& operator=(const Glance&) = delete;
    ~Glance() {
        if (mounted_) ::umount2((pools_.path() + "/" + name_).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
        try {
            if (made_ && mounted_) pools_.remove(name_);
        } catch (const Error&) { // it is not empty: something else has it
        }
    }

private:
    const Dir& pools_;
    const std::string& name_;
    bool made_ = false, mounted_ = false;
};

} // namespace

void StorageManagerImpl::lost_volumes(const api::StoragePoolsPost& request, const VisitLost& visit) {
    check_pool_name(request.name);
    const auto row = global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, request.name); });
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    PoolPtr pool;
    std::optional<Glance> glance;
    if (row) {
        pool = need_pool(request.name);
    } else {
        pool = std::make_shared<Pool>();
        pool->driver = registry_.make(request.driver, {request.name, request.config, state_dir_, log_, helper_});
        try {
            glance.emplace(pools, request.name, *pool->driver);
        } catch (Error& error) {
            error.add_context(fmt::format("Failed mounting pool {}", text::quote(request.name)));
            throw;
        }
    }
    const auto look = [&](VolumePlace place, bool device) {
        const bool custom = place == VolumePlace::Custom;
        for (const auto& directory : device ? pool->driver->list_blocks() : pool->driver->list(place)) {
            auto volume = volume_of(directory, custom);
            const auto known = volume && global_.read_value([&](db::Transaction& tx) {
                if (!custom) return volumes_repository_.has_instance(tx, volume->project, volume->name);
                return volumes_repository_
                    .find(tx, {.pool = request.name,
                               .project = volume->project,
                               .name = volume->name,
                               .kind = db::VolumeKind::Custom})
                    .has_value();
            });
            if (!volume || known) continue;
            volume->device = device;
            VolumeId id{.place = place, .name = directory};
            id.block = device;
            volume->snapshots = pool->driver->list_snapshots(id);
            std::erase_if(volume->snapshots, [](const std::string& name) {
                try {
                    names::check_volume(name);
                    return false;
                } catch (const Error&) {
                    return true;
                }
            });
            if (device)
                visit(*volume, state_dir_);
            else
                visit(*volume, open_volume(pool, id).dir);
        }
    };
    look(VolumePlace::Custom, false);
    look(VolumePlace::Custom, true);
    look(VolumePlace::Instance, false);
}

void StorageManagerImpl::adopt_pool(const api::StoragePoolsPost& request) {
    check_pool_name(request.name);
    const auto guard = locks_.lock("storage-pools/" + request.name);
    if (global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, request.name); })) return;
    db::StoragePoolRow row{.name = request.name,
                           .driver = request.driver,
                           .description = request.description,
                           .state = db::StoragePoolRow::Created,
                           .config = request.config};
    std::erase_if(row.config, [](const auto& item) { return item.second.empty(); });
    auto pool = std::make_shared<Pool>();
    pool->driver = registry_.make(row.driver, {row.name, row.config, state_dir_, log_, helper_});
    const auto intent = intents_.begin(kAdopt, "", row.name);
    pool->driver->mount_pool();
    pool->available = true;
    fault_point("recover-pool:mounted");
    global_.write([&](db::Transaction& tx) {
        const auto id = pools_repository_.insert(tx, row);
        pools_repository_.set_state(tx, id, db::StoragePoolRow::Created);
    });
    fault_point("recover-pool:recorded");
    intents_.end(intent);
    pools_.lock()->insert_or_assign(row.name, pool);
    events_.lifecycle("default", "storage-pool-created", "/1.0/storage-pools/" + row.name);
}

/// A pool that was mounted and has got no row: what is on it is not touched.
void StorageManagerImpl::repair_adoptions() {
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    for (const auto& intent : intents_.pending(kAdopt)) {
        const auto& name = intent.entity;
        if (!global_.read_value([&](db::Transaction& tx) { return pools_repository_.find(tx, name); })) {
            ::umount2((pools.path() + "/" + name).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
            try {
                pools.remove(name);
            } catch (const Error&) { // a pool that lies there itself
            }
        }
        intents_.end(intent.id);
    }
}

void StorageManagerImpl::adopt_volume(const std::string& pool, const LostVolume& volume,
                                      const std::function<void(db::Transaction&)>& also) {
    const auto kind = volume.custom ? db::VolumeKind::Custom : db::VolumeKind::Container;
    const db::StorageVolumeRepository::Filter wanted{
        .pool = pool, .project = volume.project, .name = volume.name, .kind = kind};
    const auto holds_image = [&] {
        const VolumeId id{.place = VolumePlace::Custom, .name = volume.project + "_" + volume.name};
        return has_image(open_volume(need_pool(pool), id).dir);
    };
    const bool block = volume.custom && (volume.device || holds_image());
    global_.write([&](db::Transaction& tx) {
        auto row = volumes_repository_.find(tx, wanted);
        if (!row) {
            volumes_repository_.insert(
                tx, {.pool = pool, .project = volume.project, .name = volume.name, .kind = kind, .block = block});
            row = volumes_repository_.find(tx, wanted);
        }
        for (const auto& snapshot : volume.snapshots)
            if (!snapshots_repository_.find(tx, row->id, snapshot))
                snapshots_repository_.insert(tx, {.volume = row->id, .name = snapshot});
        if (also) also(tx);
    });
    fault_point("recover-volume:recorded");
    if (volume.custom) return;
    link(volume_name(volume.project, volume.name), pool);
    link_snapshots(volume.project, volume.name, pool);
}

} // namespace lxdcore::storage
