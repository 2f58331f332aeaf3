// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <btrfsutil.h>
#include <endian.h>
#include <fmt/format.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/btrfs/subvolume.hpp"

namespace lxdcore::storage::btrfs {

namespace {

constexpr off_t kSuperBlock = 0x10000;
constexpr std::size_t kUuidAt = 0x20, kMagicAt = 0x40;
constexpr std::uint64_t kNoLimit = ~std::uint64_t{0}; ///< clears a limit

std::string uuid_text(const unsigned char* id) {
    std::string text;
    for (int i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", id[i]);
    }
    return text;
}

template <typename Item>
struct Found {
    bool any = false;
    Item item{};
};

/// The one item of a quota group. The quota tree exists once quotas are on.
template <typename Item>
Found<Item> search(const Dir& dir, std::uint32_t type, std::uint64_t group) {
    btrfs_ioctl_search_args args{};
    args.key.tree_id = BTRFS_QUOTA_TREE_OBJECTID;
    args.key.min_type = args.key.max_type = type;
    args.key.min_offset = args.key.max_offset = group;
    args.key.max_transid = ~std::uint64_t{0};
    args.key.nr_items = 1;
    if (::ioctl(dir.fd(), BTRFS_IOC_TREE_SEARCH, &args) != 0) {
        if (errno == ENOENT) return {};
        throw_errno("quota of " + dir.path());
    }
    if (args.key.nr_items == 0) return {};
    btrfs_ioctl_search_header header{};
    std::memcpy(&header, args.buf, sizeof header);
    if (header.len < sizeof(Item)) return {};
    Found<Item> found{.any = true};
    std::memcpy(&found.item, args.buf + sizeof header, sizeof found.item);
    return found;
}

} // namespace

void enable_quotas(const Dir& pool) {
    btrfs_ioctl_quota_ctl_args args{};
    args.cmd = BTRFS_QUOTA_CTL_ENABLE;
    if (::ioctl(pool.fd(), BTRFS_IOC_QUOTA_CTL, &args) != 0 && errno != EEXIST && errno != EALREADY)
        throw_errno("enable quotas of " + pool.path());
}

std::optional<Quota> quota_of(const Dir& subvolume) {
    const auto group = id_of(subvolume);
    const auto info = search<btrfs_qgroup_info_item>(subvolume, BTRFS_QGROUP_INFO_KEY, group);
    if (!info.any) return std::nullopt;
    Quota quota{.exclusive = static_cast<std::int64_t>(le64toh(info.item.excl)),
                .referenced = static_cast<std::int64_t>(le64toh(info.item.rfer))};
    const auto limit = search<btrfs_qgroup_limit_item>(subvolume, BTRFS_QGROUP_LIMIT_KEY, group);
    if (limit.any && (le64toh(limit.item.flags) & BTRFS_QGROUP_LIMIT_MAX_RFER) != 0)
        quota.limit = static_cast<std::int64_t>(le64toh(limit.item.max_rfer));
    return quota;
}

void set_limit(const Dir& subvolume, std::int64_t bytes) {
    const auto group = id_of(subvolume);
    btrfs_ioctl_qgroup_create_args create{};
    create.create = 1;
    create.qgroupid = group; // one from before quotas were on may have none; newer kernels make it themselves
    if (::ioctl(subvolume.fd(), BTRFS_IOC_QGROUP_CREATE, &create) != 0 && errno != EEXIST && errno != EINVAL)
        throw_errno("quota of " + subvolume.path());
    btrfs_ioctl_qgroup_limit_args args{};
    args.qgroupid = group;
    args.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
    args.lim.max_rfer = bytes > 0 ? static_cast<std::uint64_t>(bytes) : kNoLimit;
    if (::ioctl(subvolume.fd(), BTRFS_IOC_QGROUP_LIMIT, &args) != 0) throw_errno("quota of " + subvolume.path());
}

std::string identity_of(const Dir& subvolume) {
    struct btrfs_util_subvolume_info info {};
    if (const auto found = btrfs_util_subvolume_info_fd(subvolume.fd(), 0, &info); found != BTRFS_UTIL_OK)
        throw Error{ErrorCode::Internal, "identity of " + subvolume.path() + ": " + btrfs_util_strerror(found)};
    return uuid_text(info.uuid);
}

std::string uuid_of(const Dir& mounted) {
    btrfs_ioctl_fs_info_args info{};
    if (::ioctl(mounted.fd(), BTRFS_IOC_FS_INFO, &info) != 0) throw_errno(mounted.path());
    return uuid_text(info.fsid);
}

std::string uuid_in(int file) {
    std::array<unsigned char, 4096> block{};
    if (::pread(file, block.data(), block.size(), kSuperBlock) != static_cast<ssize_t>(block.size())) return {};
    if (std::memcmp(block.data() + kMagicAt, "_BHRfS_M", 8) != 0) return {};
    return uuid_text(block.data() + kUuidAt);
}

void grow(const Dir& mounted, std::int64_t bytes) {
    btrfs_ioctl_dev_info_args info{};
    info.devid = 1;
    if (::ioctl(mounted.fd(), BTRFS_IOC_DEV_INFO, &info) != 0) throw_errno(mounted.path());
    if (info.total_bytes + 4096 > static_cast<std::uint64_t>(bytes)) return;
    btrfs_ioctl_vol_args args{};
    std::strcpy(args.name, "1:max");
    if (::ioctl(mounted.fd(), BTRFS_IOC_RESIZE, &args) != 0) throw_errno("resize " + mounted.path());
}

} // namespace lxdcore::storage::btrfs
