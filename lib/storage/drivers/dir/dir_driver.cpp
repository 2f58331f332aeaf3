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

#include "storage/drivers/dir/project_quota.hpp"
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

constexpr VolumePlace kPlaces[] = {VolumePlace::Instance, VolumePlace::Image, VolumePlace::Custom};

const char* dir_of(VolumePlace place) {
    switch (place) {
    case VolumePlace::Image:
        return "images";
    case VolumePlace::Custom:
        return "custom";
    case VolumePlace::Instance:
        break;
    }
    return "containers";
}

std::string snapshots_of(VolumePlace place) { return std::string{dir_of(place)} + "-snapshots"; }

const std::string& leaf(const VolumeId& volume) { return volume.snapshot.empty() ? volume.name : volume.snapshot; }

/// As LXD: the directory of an instance is closed to all but root until it is started.
mode_t mode_of(VolumePlace place) { return place == VolumePlace::Custom ? 0711 : 0100; }

/// As LXD numbers them: those below are the administrator's.
constexpr std::uint32_t kFirstProject = 10000;

std::uint32_t project_of(const VolumeId& volume) {
    return volume.row > 0 ? kFirstProject + static_cast<std::uint32_t>(volume.row) : 0;
}

bool is_hidden(std::string_view name) { return name.starts_with(kStaging) || name.starts_with(kTrash); }

} // namespace

DirDriver::DirDriver(const PoolContext& pool)
    : name_{pool.name}, config_{pool.config}, state_dir_{pool.state_dir}, log_{pool.log} {}

std::string DirDriver::own_path() const { return state_dir_.path() + "/storage-pools/" + name_; }

bool DirDriver::has_own_source() const {
    const auto it = config_.find("source");
    return it != config_.end() && !it->second.empty() && it->second != own_path();
}

Dir DirDriver::root() const { return state_dir_.dir("storage-pools/" + name_); }

std::optional<Dir> DirDriver::find_parent(const VolumeId& volume) const {
    if (volume.snapshot.empty()) return root().dir(dir_of(volume.place));
    const auto top = root().dir(snapshots_of(volume.place));
    if (!top.exists(volume.name)) return std::nullopt;
    return top.dir(volume.name);
}

Dir DirDriver::make_parent(const VolumeId& volume) const {
    if (volume.snapshot.empty()) return root().dir(dir_of(volume.place));
    return root().dir(snapshots_of(volume.place)).make_dir(volume.name, 0700);
}

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

void DirDriver::create_pool(api::StringMap&) {
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
    for (const auto place : kPlaces)
        spread_out(top.dir(dir_of(place)));
    find_quotas(top);
}

void DirDriver::update_pool(const api::StringMap&) {} // nothing that is in use

void DirDriver::find_quotas(const Dir& top) {
    const auto support = project_quota::support(top);
    counts_ = support != project_quota::Support::None;
    enforces_ = support == project_quota::Support::Enforced;
    for (const auto place : kPlaces) {
        if (!counts_ || project_quota::inherited(top.dir(dir_of(place))) == 0) continue;
        // Something has one project only, and the administrator's limit on all of the pool is not to be lifted.
        log_.warning("The storage pool is in a project of its filesystem: volumes get no quotas", {{"pool", name_}});
        counts_ = false;
    }
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

Staged DirDriver::stage(const VolumeId& as) {
    Staged staged{as, std::string{kStaging} + text::random_hex(12)};
    const auto volume = make_parent(as).make_dir(staged.name, mode_of(as.place));
    if (const auto project = project_of(as); counts_ && project != 0) {
        Rollback undo;
        undo.add([&] { discard(staged); });
        project_quota::set_limit(volume, project, 0); // of one that had the number before
        project_quota::assign(volume, project);
        undo.commit();
    }
    return staged;
}

Staged DirDriver::stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                             std::stop_token stop) {
    auto staged = stage(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    const auto target = open_staged(staged);
    for (const auto& entry : entries)
        if (source.exists(entry)) copy_entry(source, target, entry, {.stop = stop, .devices = true});
    undo.commit();
    return staged;
}

Staged DirDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    auto staged = stage(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    copy_tree(open(source), open_staged(staged), {.stop = stop, .devices = true});
    undo.commit();
    return staged;
}

Dir DirDriver::open_staged(const Staged& staged) const { return make_parent(staged.as).dir(staged.name); }

void DirDriver::publish(const Staged& staged) { make_parent(staged.as).rename(staged.name, leaf(staged.as)); }

/// What comes in place of a counted volume is counted as it was.
void DirDriver::exchange(const Staged& staged) {
    const auto parent = make_parent(staged.as);
    if (counts_) {
        const auto project = project_quota::inherited(parent.dir(leaf(staged.as)));
        if (project >= kFirstProject) project_quota::assign(parent.dir(staged.name), project);
    }
    parent.exchange(staged.name, leaf(staged.as));
}

void DirDriver::discard(const Staged& staged) noexcept {
    try {
        if (const auto parent = find_parent(staged.as)) parent->remove_tree(staged.name);
    } catch (const std::exception& error) { // sweep() comes by at the next start
        log_.warning("Failed to remove a staged volume", {{"pool", name_}, {"err", error.what()}});
    }
}

bool DirDriver::exists(const VolumeId& volume) const {
    const auto parent = find_parent(volume);
    return parent && parent->exists(leaf(volume));
}

Dir DirDriver::open(const VolumeId& volume) const {
    if (const auto parent = find_parent(volume)) return parent->dir(leaf(volume));
    throw Error{ErrorCode::NotFound, "Storage volume snapshot not found"};
}

std::vector<std::string> DirDriver::list(VolumePlace place) const {
    auto names = root().dir(dir_of(place)).list();
    std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
    return names;
}

std::vector<std::string> DirDriver::list_snapshots(const VolumeId& volume) const {
    if (volume.place == VolumePlace::Image) return {};
    const auto top = root().dir(snapshots_of(volume.place));
    if (!top.exists(volume.name)) return {};
    auto names = top.dir(volume.name).list();
    std::erase_if(names, [](const std::string& name) { return is_hidden(name); });
    return names;
}

/// Snapshots follow the volume: whether there is anything left to do is seen by each alone.
void DirDriver::rename(const VolumeId& volume, const std::string& to) {
    const auto move = [&](const Dir& dir, const std::string& from) {
        if (dir.exists(from) || !dir.exists(to)) dir.rename(from, to);
    };
    if (const auto parent = find_parent(volume)) move(*parent, leaf(volume));
    if (!volume.snapshot.empty() || volume.place == VolumePlace::Image) return;
    const auto snapshots = root().dir(snapshots_of(volume.place));
    if (snapshots.exists(volume.name)) move(snapshots, volume.name);
}

std::optional<Staged> DirDriver::set_aside(const VolumeId& volume) {
    const auto parent = find_parent(volume);
    if (!parent || !parent->exists(leaf(volume))) return std::nullopt;
    Staged trash{volume, std::string{kTrash} + text::random_hex(12)};
    parent->rename(leaf(volume), trash.name);
    if (counts_) {
        const auto project = project_quota::inherited(parent->dir(trash.name));
        if (project >= kFirstProject) project_quota::set_limit(*parent, project, 0);
    }
    return trash;
}

void DirDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    const auto project = project_of(volume);
    if (project == 0) throw Error{ErrorCode::Internal, "quota of a volume without a number"};
    const auto dir = open(volume);
    if (bytes > 0 && !enforces_)
        log_.warning("The storage pool is mounted without enforcing quotas: the size of a volume has no effect",
                     {{"pool", name_}, {"volume", volume.name}});
    // Whoever writes meanwhile is limited from the first file on.
    project_quota::set_limit(dir, project, bytes);
    project_quota::assign(dir, project);
}

std::int64_t DirDriver::usage(const VolumeId& volume) const {
    const auto project = project_of(volume);
    const auto dir = open(volume);
    return project != 0 && project_quota::inherited(dir) == project ? project_quota::usage(dir, project) : -1;
}

void DirDriver::sweep() {
    const auto clean = [](const Dir& dir) {
        for (const auto& name : dir.list())
            if (is_hidden(name)) dir.remove_tree(name);
    };
    for (const auto place : kPlaces) {
        clean(root().dir(dir_of(place)));
        if (place == VolumePlace::Image) continue;
        const auto snapshots = root().dir(snapshots_of(place));
        for (const auto& volume : snapshots.list()) {
            const auto dir = snapshots.dir(volume);
            clean(dir);
            if (dir.list().empty()) snapshots.remove(volume);
        }
    }
}

} // namespace lxdcore::storage
