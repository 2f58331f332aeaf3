// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/dir/dir_driver.hpp"

#include <utility>

#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/dir/project_quota.hpp"
#include "storage/file_copy.hpp"
#include "storage/filesystem_mount.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// Asks ext4 to put each volume into a block group of its own, as it does for home directories. In one group with
/// volumes that were just deleted, every new inode costs a search through theirs. Elsewhere this does nothing.
void spread_out(const Dir& dir) noexcept {
    int flags = 0;
    if (::ioctl(dir.fd(), FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_TOPDIR_FL) != 0) return;
    flags |= FS_TOPDIR_FL;
    ::ioctl(dir.fd(), FS_IOC_SETFLAGS, &flags);
}

/// As LXD numbers them: those below are the administrator's.
constexpr std::uint32_t kFirstProject = 10000;

std::uint32_t project_of(const VolumeId& volume) {
    return volume.row > 0 ? kFirstProject + static_cast<std::uint32_t>(volume.row) : 0;
}

} // namespace

bool DirDriver::has_own_source() const {
    const auto source = option("source");
    return !source.empty() && source != own_path();
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
    mount_pool();
    fault_point("pool-create:directories");
}

void DirDriver::mount_pool() {
    const auto target = state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711);
    if (has_own_source()) {
        const auto source = Dir::open(config_.at("source"));
        if (!same_directory(source, target)) bind_directory(source, target);
    }
    const auto top = root();
    if (!has_own_source() && ::fchmod(top.fd(), 0711) != 0) throw_errno(top.path());
    make_layout(top);
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
        // Of a pool whose source is elsewhere and away, the directories here are not it.
        const auto top = pools.dir(name_);
        if (!has_own_source() || is_mount_point(top)) remove_layout(top);
    }
    fault_point("pool-delete:dir-emptied");
    if (has_own_source()) unmount(own_path());
    pools.remove_tree(name_);
    fault_point("pool-delete:dir-removed");
}

void DirDriver::make_entry(const Dir& parent, const std::string& name, mode_t mode) const {
    parent.make_dir(name, mode);
}

void DirDriver::remove_entry(const Dir& parent, const std::string& name) const { parent.remove_tree(name); }

Staged DirDriver::stage(const VolumeId& as) {
    if (!as.snapshot.empty()) spread_out(make_parent(as));
    auto staged = TreeDriver::stage(as);
    const auto project = project_of(as);
    if (!counts_ || project == 0) return staged;
    Rollback undo;
    undo.add([&] { discard(staged); });
    const auto volume = open_staged(staged);
    project_quota::set_limit(volume, project, 0); // of one that had the number before
    project_quota::assign(volume, project);
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

/// What comes in place of a counted volume is counted as it was.
void DirDriver::exchange(const Staged& staged) {
    const auto parent = make_parent(staged.as);
    if (counts_) {
        const auto project = project_quota::inherited(parent.dir(leaf(staged.as)));
        if (project >= kFirstProject) project_quota::assign(parent.dir(staged.name), project);
    }
    TreeDriver::exchange(staged);
}

std::optional<Staged> DirDriver::set_aside(const VolumeId& volume) {
    auto trash = TreeDriver::set_aside(volume);
    if (trash && counts_) {
        const auto set_aside = open_staged(*trash);
        const auto project = project_quota::inherited(set_aside);
        if (project >= kFirstProject) project_quota::set_limit(set_aside, project, 0);
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

} // namespace lxdcore::storage
