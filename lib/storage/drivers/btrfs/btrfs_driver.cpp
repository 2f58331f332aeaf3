// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/btrfs/btrfs_driver.hpp"

#include <utility>

#include <lxdcore/error.hpp>

#include "storage/drivers/btrfs/subvolume.hpp"
#include "util/rollback.hpp"

namespace lxdcore::storage {

namespace {
constexpr const char* kDefaultOptions = "user_subvol_rm_allowed";
} // namespace

BtrfsDriver::BtrfsDriver(const PoolContext& pool) : TreeDriver{pool} {
    const auto wanted = option("btrfs.mount_options");
    mount_options_ = wanted.empty() ? kDefaultOptions : wanted;
}

void BtrfsDriver::make_entry(const Dir& parent, const std::string& name, mode_t mode) const {
    btrfs::create(parent, name, mode);
}

void BtrfsDriver::remove_entry(const Dir& parent, const std::string& name) const { btrfs::remove(parent, name); }

/// A pool that real directories were put into by hand has volumes that cannot be snapshotted: those are copied.
Staged BtrfsDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    const auto from = open(source);
    if (!btrfs::is_subvolume(from)) return stage_copy(as, from, from.list(), std::move(stop), nullptr);
    auto staged = staging_name(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    btrfs::snapshot(from, make_parent(as), staged.name);
    undo.commit();
    return staged;
}

void BtrfsDriver::publish(const Staged& staged) {
    if (!staged.as.snapshot.empty()) {
        const auto tree = open_staged(staged);
        if (!btrfs::read_only(tree)) btrfs::set_read_only(tree, true);
    }
    TreeDriver::publish(staged);
}

/// What comes in place of a limited volume is limited as it was.
void BtrfsDriver::exchange(const Staged& staged) {
    const auto parent = make_parent(staged.as);
    const auto now = parent.dir(leaf(staged.as));
    if (btrfs::is_subvolume(now)) {
        const auto quota = btrfs::quota_of(now);
        if (quota && quota->limit > 0) btrfs::set_limit(parent.dir(staged.name), quota->limit);
    }
    TreeDriver::exchange(staged);
}

void BtrfsDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    const auto dir = open(volume);
    if (!btrfs::is_subvolume(dir)) return;
    const auto quota = btrfs::quota_of(dir);
    if (!quota) btrfs::enable_quotas(root());
    if (!quota || quota->limit != bytes) btrfs::set_limit(dir, bytes);
}

/// As LXD counts: what nothing else shares.
std::int64_t BtrfsDriver::usage(const VolumeId& volume) const {
    const auto dir = open(volume);
    if (!btrfs::is_subvolume(dir)) return -1;
    const auto quota = btrfs::quota_of(dir);
    return quota ? quota->exclusive : -1;
}

} // namespace lxdcore::storage
