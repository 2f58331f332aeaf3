// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/dir/dir_driver.hpp"

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/file_copy.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// No instance or fingerprint starts with a dot.
constexpr std::string_view kStaging = ".new-";
constexpr std::string_view kTrash = ".old-";

/// LXD's layout; 0700 where tenants' files lie without a 0100 directory of their own above them (R37, D9).
constexpr std::pair<const char*, mode_t> kLayout[] = {
    {"buckets", 0711},
    {"containers", 0711},
    {"containers-snapshots", 0711},
    {"custom", 0700},
    {"custom-snapshots", 0700},
    {"images", 0700},
    {"virtual-machines", 0700},
    {"virtual-machines-snapshots", 0700},
};

bool same_directory(const Dir& a, const Dir& b) {
    struct stat first {
    }, second{};
    if (::fstat(a.fd(), &first) != 0 || ::fstat(b.fd(), &second) != 0) throw_errno(a.path());
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// Bind mount between two held directories: no path is looked up again.
void bind(const Dir& source, const Dir& target) {
    const UniqueFd tree{static_cast<int>(
        ::syscall(SYS_open_tree, source.fd(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
    if (!tree) throw_errno("open_tree " + source.path());
    if (::syscall(SYS_move_mount, tree.get(), "", target.fd(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) !=
        0)
        throw_errno("mount " + target.path());
}

/// Asks ext4 to put each volume into a block group of its own, as it does for home directories. In one group with
/// volumes that were just deleted, every new inode costs a search through theirs. Elsewhere this does nothing.
void spread_out(const Dir& dir) noexcept {
    int flags = 0;
    if (::ioctl(dir.fd(), FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_TOPDIR_FL) != 0) return;
    flags |= FS_TOPDIR_FL;
    ::ioctl(dir.fd(), FS_IOC_SETFLAGS, &flags);
}

const char* dir_of(VolumePlace place) { return place == VolumePlace::Image ? "images" : "containers"; }

} // namespace

DirDriver::DirDriver(const PoolContext& pool)
    : name_{pool.name}, config_{pool.config}, state_dir_{pool.state_dir}, log_{pool.log} {}

std::string DirDriver::own_path() const { return state_dir_.path() + "/storage-pools/" + name_; }

bool DirDriver::has_own_source() const {
    const auto it = config_.find("source");
    return it != config_.end() && !it->second.empty() && it->second != own_path();
}

Dir DirDriver::root() const { return state_dir_.dir("storage-pools/" + name_); }
Dir DirDriver::place_dir(VolumePlace place) const { return root().dir(dir_of(place)); }

void DirDriver::prepare_config(api::StringMap& config) const {
    auto& source = config["source"];
    if (source.empty() || source == own_path()) {
        source = own_path();
        return;
    }
    if (source.front() != '/' || ::access(source.c_str(), F_OK) != 0)
        throw Error{ErrorCode::Internal, fmt::format("Source path '{}' doesn't exist", source)};
    if (source == state_dir_.path() || source.starts_with(state_dir_.path() + "/"))
        throw Error{ErrorCode::Internal, fmt::format("Only allowed source path under {} is {}",
                                                     text::quote(state_dir_.path()), text::quote(own_path()))};
    if (!Dir::open(source).list().empty())
        throw Error{ErrorCode::Internal, fmt::format("Source path '{}' isn't empty", source)};
}

void DirDriver::create_pool() {
    state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711);
    mount_pool();
}

void DirDriver::mount_pool() {
    if (has_own_source()) {
        const auto source = Dir::open(config_.at("source"));
        const auto target = state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711);
        if (!same_directory(source, target)) bind(source, target);
    }
    const auto top = root();
    if (!has_own_source() && ::fchmod(top.fd(), 0711) != 0) throw_errno(top.path());
    for (const auto& [name, mode] : kLayout) {
        const auto dir = top.make_dir(name, mode);
        if (::fchmod(dir.fd(), mode) != 0) throw_errno(dir.path());
    }
    for (const auto place : {VolumePlace::Instance, VolumePlace::Image})
        spread_out(top.dir(dir_of(place)));
}

void DirDriver::delete_pool() {
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    if (!pools.exists(name_)) return;
    {
        const auto top = pools.dir(name_);
        for (const auto& [name, mode] : kLayout)
            top.remove_tree(name);
    }
    if (has_own_source() && ::umount2(own_path().c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0 && errno != EINVAL)
        throw_errno("unmount " + own_path());
    pools.remove_tree(name_);
}

api::StoragePoolResources DirDriver::resources() const {
    struct statvfs fs {};
    const auto top = root();
    if (::fstatvfs(top.fd(), &fs) != 0) throw_errno(top.path());
    return {.space = {.used = (fs.f_blocks - fs.f_bfree) * fs.f_frsize, .total = fs.f_blocks * fs.f_frsize},
            .inodes = {.used = fs.f_files - fs.f_ffree, .total = fs.f_files}};
}

std::string DirDriver::stage(VolumePlace place) {
    auto name = std::string{kStaging} + text::random_hex(12);
    place_dir(place).make_dir(name, 0100);
    return name;
}

std::string DirDriver::stage_copy(VolumePlace place, const Dir& source, const std::vector<std::string>& entries,
                                  std::stop_token stop) {
    auto staged = stage(place);
    Rollback undo;
    undo.add([&] { discard(place, staged); });
    const auto target = open_staged(place, staged);
    for (const auto& entry : entries)
        if (source.exists(entry)) copy_entry(source, target, entry, {.stop = stop, .devices = true});
    undo.commit();
    return staged;
}

Dir DirDriver::open_staged(VolumePlace place, const std::string& staged) const { return place_dir(place).dir(staged); }

void DirDriver::publish(VolumePlace place, const std::string& staged, const std::string& name) {
    place_dir(place).rename(staged, name);
}

void DirDriver::discard(VolumePlace place, const std::string& staged) noexcept {
    try {
        place_dir(place).remove_tree(staged);
    } catch (const std::exception& error) { // sweep() comes by at the next start
        log_.warning("Failed to remove a staged volume", {{"pool", name_}, {"err", error.what()}});
    }
}

bool DirDriver::exists(VolumePlace place, const std::string& name) const { return place_dir(place).exists(name); }
Dir DirDriver::open(VolumePlace place, const std::string& name) const { return place_dir(place).dir(name); }

std::vector<std::string> DirDriver::list(VolumePlace place) const {
    auto names = place_dir(place).list();
    std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
    return names;
}

void DirDriver::rename(VolumePlace place, const std::string& from, const std::string& to) {
    place_dir(place).rename(from, to);
}

void DirDriver::remove(VolumePlace place, const std::string& name) {
    const auto trash = set_aside(place, name);
    if (!trash.empty()) place_dir(place).remove_tree(trash);
}

std::string DirDriver::set_aside(VolumePlace place, const std::string& name) {
    const auto dir = place_dir(place);
    if (!dir.exists(name)) return {};
    auto trash = std::string{kTrash} + text::random_hex(12);
    dir.rename(name, trash);
    return trash;
}

void DirDriver::sweep() {
    for (const auto place : {VolumePlace::Instance, VolumePlace::Image}) {
        const auto dir = place_dir(place);
        for (const auto& name : dir.list())
            if (name.starts_with(kStaging) || name.starts_with(kTrash)) dir.remove_tree(name);
    }
}

} // namespace lxdcore::storage
