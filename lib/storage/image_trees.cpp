// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/manager_impl.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// Unpacked trees kept for each pool; the least recently used go first.
constexpr std::size_t kKeptTrees = 16;
/// In a tree: the boot that made it, or "synced" once its content is on disk. Its mtime is the time of the last use.
constexpr const char* kMark = ".lxdcore-tree";
constexpr std::string_view kSynced = "synced"; ///< the mark of a tree that was written out; else the id of its boot

std::string boot_id() { return text::trim(Dir::open("/proc/sys/kernel/random").read("boot_id")); }

/// R2: what the daemon opens later is what it seems.
void verify_tree(const Dir& tree) {
    tree.read("metadata.yaml");
    if (!S_ISDIR(tree.stat("rootfs").st_mode)) throw Error{ErrorCode::InvalidArgument, "Image rootfs is no directory"};
    const auto templates = tree.stat_if_exists("templates");
    if (templates && !S_ISDIR(templates->st_mode))
        throw Error{ErrorCode::InvalidArgument, "Image templates is no directory"};
}

/// One that LXD made is closed and stays as it is.
void touch_mark(const Dir& tree) {
    if (!tree.exists(kMark)) return;
    const auto mark = tree.open_file(kMark, O_WRONLY | O_CREAT);
    if (::futimens(mark.get(), nullptr) != 0) throw_errno(tree.path());
}

/// In place: a file that came and went would fail who copies this tree meanwhile. Half of it is no mark: such a tree is
/// unpacked again.
void write_synced(const Dir& tree) {
    const auto mark = tree.open_file(kMark, O_WRONLY);
    const auto size = static_cast<ssize_t>(kSynced.size());
    if (::pwrite(mark.get(), kSynced.data(), kSynced.size(), 0) != size || ::ftruncate(mark.get(), size) != 0 ||
        ::fsync(mark.get()) != 0)
        throw_errno(tree.path());
}

} // namespace

StorageManagerImpl::TreeLock StorageManagerImpl::tree_lock(const std::string& pool, const std::string& fingerprint) {
    const auto trees = trees_.lock();
    auto& lock = (*trees)[pool + "/" + fingerprint];
    if (!lock) lock = std::make_shared<std::shared_mutex>();
    return lock;
}

bool StorageManagerImpl::tree_ready(StorageDriver& driver, const std::string& fingerprint) const {
    if (!driver.exists({VolumePlace::Image, fingerprint})) return false;
    touch_mark(driver.open({VolumePlace::Image, fingerprint}));
    return true;
}

void StorageManagerImpl::ensure_image(const std::string& pool_name, const std::string& fingerprint,
                                      const VolumeFiller& unpack, OperationContext& op) {
    names::check_fingerprint(fingerprint);
    const auto pool = need_pool(pool_name);
    auto& driver = *pool->driver;
    const auto lock = tree_lock(pool_name, fingerprint);
    {
        const std::shared_lock reading{*lock};
        if (tree_ready(driver, fingerprint)) return;
    }
    const std::unique_lock making{*lock};
    if (tree_ready(driver, fingerprint)) return;
    const auto staged = driver.stage({VolumePlace::Image, fingerprint});
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    {
        const auto tree = driver.open_staged(staged);
        unpack(tree, op);
        op.throw_if_cancelled();
        verify_tree(tree);
        const auto mark = tree.open_file(kMark, O_WRONLY | O_CREAT | O_EXCL);
        const auto boot = boot_id();
        if (::write(mark.get(), boot.data(), boot.size()) != static_cast<ssize_t>(boot.size()))
            throw_errno(tree.path());
    }
    driver.publish(staged);
    undo.commit();
    record_image(pool_name, driver, fingerprint);
    queue_sync(pool_name, fingerprint);
    evict(pool_name, driver);
}

void StorageManagerImpl::remove_image(const std::string& fingerprint) {
    names::check_fingerprint(fingerprint);
    const auto pools = *pools_.lock();
    for (const auto& [name, pool] : pools) {
        if (!pool->available) continue;
        const auto lock = tree_lock(name, fingerprint);
        const std::unique_lock removing{*lock};
        pool->driver->remove({VolumePlace::Image, fingerprint});
        forget_image(name, fingerprint);
    }
}

void StorageManagerImpl::record_image(const std::string& pool, const StorageDriver& driver,
                                      const std::string& fingerprint) const {
    if (!driver.images_are_volumes()) return;
    global_.write([&](db::Transaction& tx) {
        auto config = volume_defaults(need_row(tx, pool).config, db::VolumeKind::Image, false);
        driver.complete_volume(config, false);
        const db::StorageVolumeRow row{
            .pool = pool, .project = "default", .name = fingerprint, .kind = db::VolumeKind::Image, .config = config};
        if (!volumes_repository_.find(tx, {.pool = pool, .name = fingerprint, .kind = row.kind}))
            volumes_repository_.insert(tx, row);
    });
}

void StorageManagerImpl::forget_image(const std::string& pool, const std::string& fingerprint) const {
    global_.write([&](db::Transaction& tx) {
        const auto row =
            volumes_repository_.find(tx, {.pool = pool, .name = fingerprint, .kind = db::VolumeKind::Image});
        if (row) volumes_repository_.remove(tx, row->id);
    });
}

void StorageManagerImpl::evict(const std::string& pool, StorageDriver& driver) {
    std::vector<std::pair<std::int64_t, std::string>> by_age;
    for (const auto& name : driver.list(VolumePlace::Image)) {
        const auto mark = driver.open({VolumePlace::Image, name}).stat_if_exists(kMark);
        by_age.emplace_back(mark ? mark->st_mtim.tv_sec : 0, name);
    }
    std::sort(by_age.begin(), by_age.end());
    for (std::size_t i = 0; i + kKeptTrees < by_age.size(); ++i) {
        const auto lock = tree_lock(pool, by_age[i].second);
        const std::unique_lock removing{*lock, std::try_to_lock};
        if (!removing) continue; // it is being cloned
        driver.remove({VolumePlace::Image, by_age[i].second});
        forget_image(pool, by_age[i].second);
    }
}

/// After a reboot only trees that were written out are trusted: a power cut may have left holes in the others.
void StorageManagerImpl::check_trees(const std::string& pool, StorageDriver& driver) const {
    const auto boot = boot_id();
    for (const auto& name : driver.list(VolumePlace::Image)) {
        const auto mark = driver.open({VolumePlace::Image, name}).read_if_exists(kMark).value_or("");
        if (mark == boot) {
            queue_sync(pool, name);
        } else if (mark != kSynced) {
            driver.remove({VolumePlace::Image, name});
        }
    }
    if (!driver.images_are_volumes()) return;
    const auto rows = global_.read_value([&](db::Transaction& tx) {
        return volumes_repository_.list(tx, {.pool = pool, .kind = db::VolumeKind::Image});
    });
    for (const auto& row : rows)
        if (!driver.exists({VolumePlace::Image, row.name})) forget_image(pool, row.name);
    for (const auto& name : driver.list(VolumePlace::Image))
        record_image(pool, driver, name);
}

void StorageManagerImpl::queue_sync(const std::string& pool, const std::string& fingerprint) const {
    chores_.lock()->unsynced.emplace(pool, fingerprint);
    wake_.notify_all();
}

void StorageManagerImpl::sync_trees(const std::set<std::pair<std::string, std::string>>& trees) {
    for (const auto& [name, fingerprint] : trees) {
        try {
            const auto pool = need_pool(name);
            if (!pool->driver->exists({VolumePlace::Image, fingerprint})) continue;
            // No lock: this can take long, and what is written below goes into this very tree or nowhere.
            const auto tree = pool->driver->open({VolumePlace::Image, fingerprint});
            if (::syncfs(tree.fd()) != 0) throw_errno(tree.path());
            write_synced(tree);
        } catch (const std::exception& error) { // the tree is then unpacked again after the next reboot
            log_.warning("Failed to write an image tree out", {{"pool", name}, {"err", error.what()}});
        }
    }
}

} // namespace lxdcore::storage
