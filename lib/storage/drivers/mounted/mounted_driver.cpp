// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/mounted/mounted_driver.hpp"

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "storage/file_copy.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

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

std::string scratch_name(const Staged& staged) {
    return std::string{kScratchMount} + text::sha256_hex(staged.name).substr(0, 24);
}

const std::string& leaf(const VolumeId& volume) { return volume.snapshot.empty() ? volume.name : volume.snapshot; }

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == ':' || c == '+';
}

} // namespace

const char* place_name(VolumePlace place) {
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

const std::string& checked_name(const std::string& name) {
    const bool fine = !name.empty() && name.size() <= 255 && name.front() != '-' && name.front() != '.' &&
                      std::all_of(name.begin(), name.end(), is_name_char);
    if (!fine) throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid volume name {}", text::quote(name))};
    return name;
}

Backend Backend::real(const Logger& log) { return {std::make_shared<Tools>(log), std::make_shared<Host>()}; }

MountedDriver::MountedDriver(const PoolContext& pool, Backend backend)
    : config_{pool.config}, name_{pool.name}, state_dir_{pool.state_dir}, log_{pool.log}, backend_{std::move(backend)} {
}

std::string MountedDriver::own_path() const { return state_dir_.path() + "/storage-pools/" + name_; }

Dir MountedDriver::root() const { return state_dir_.dir("storage-pools/" + name_); }

std::string MountedDriver::value(const std::string& key, const std::string& otherwise) const {
    const auto it = config_.find(key);
    return it == config_.end() || it->second.empty() ? otherwise : it->second;
}

std::string MountedDriver::value_of(const VolumeId& volume, const std::string& key,
                                    const std::string& otherwise) const {
    const auto it = volume.config.find(key);
    return it == volume.config.end() || it->second.empty() ? value("volume." + key, otherwise) : it->second;
}

void MountedDriver::mount_pool() {
    const auto top = state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711);
    if (::fchmod(top.fd(), 0711) != 0) throw_errno(top.path());
    for (const auto& [name, mode] : kLayout) {
        const auto dir = top.make_dir(name, mode);
        if (::fchmod(dir.fd(), mode) != 0) throw_errno(dir.path());
    }
}

/// The backend's part is gone by now: mount points only, and remove_tree() crosses no mount.
void MountedDriver::delete_pool() {
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    if (pools.exists(name_)) pools.remove_tree(name_);
}

std::optional<Dir> MountedDriver::find_parent(const VolumeId& volume) const {
    auto place = root().dir(place_name(volume.place));
    if (volume.snapshot.empty()) return place;
    const auto top = root().dir(std::string{place_name(volume.place)} + "-snapshots");
    if (!top.exists(volume.name)) return std::nullopt;
    return top.dir(volume.name);
}

Dir MountedDriver::make_mount_point(const VolumeId& volume) const {
    checked_name(volume.name);
    // As LXD: what is below the directory of an instance is closed to all but root.
    const mode_t mode = volume.place == VolumePlace::Custom ? 0711 : 0100;
    if (volume.snapshot.empty()) return root().dir(place_name(volume.place)).make_dir(volume.name, mode);
    return root()
        .dir(std::string{place_name(volume.place)} + "-snapshots")
        .make_dir(volume.name, 0700)
        .make_dir(checked_name(volume.snapshot), mode);
}

bool MountedDriver::mounted(const VolumeId& volume) const {
    if (volume.block) return false;
    const auto parent = find_parent(volume);
    return parent && host().mounted(*parent, leaf(volume));
}

void MountedDriver::mount_volume(const VolumeId& volume) {
    if (mounted(volume)) return;
    if (!exists(volume)) throw Error{ErrorCode::NotFound, "Storage pool volume not found"};
    if (volume.block) return (void)block_device(object_of(volume));
    const auto what = prepare_mount(object_of(volume), volume);
    host().mount(what.source, make_mount_point(volume), what.type, what.options);
}

void MountedDriver::unmount_volume(const VolumeId& volume) {
    if (volume.block) return release_object(object_of(volume));
    const auto parent = find_parent(volume);
    if (!parent || !host().mounted(*parent, leaf(volume))) return; // it was deleted, or has another name
    host().unmount(*parent, leaf(volume));
    release_object(object_of(volume));
}

std::vector<VolumeId> MountedDriver::mounted_volumes() const {
    std::vector<VolumeId> found;
    const auto top = root();
    for (const auto place : {VolumePlace::Instance, VolumePlace::Custom, VolumePlace::Image}) {
        const auto volumes = top.dir(place_name(place));
        for (const auto& name : volumes.list())
            if (host().mounted(volumes, name)) found.push_back({.place = place, .name = name});
        if (place == VolumePlace::Image) continue;
        const auto snapshots = top.dir(std::string{place_name(place)} + "-snapshots");
        for (const auto& name : snapshots.list()) {
            const auto of_one = snapshots.dir(name);
            for (const auto& snapshot : of_one.list())
                if (host().mounted(of_one, snapshot))
                    found.push_back({.place = place, .name = name, .snapshot = snapshot});
        }
    }
    return found;
}

Dir MountedDriver::mount_detached(const std::string& object, const VolumeId& volume) const {
    const auto what = prepare_mount(object, volume);
    return host().mount_detached(what.source, root(), what.type, what.options);
}

void MountedDriver::while_frozen(const VolumeId& volume, const std::function<void()>& action) const {
    if (!mounted(volume)) return action();
    const auto content = find_parent(volume)->dir(leaf(volume));
    host().freeze(content);
    Rollback thaw; // in any case
    thaw.add([&] { host().thaw(content); });
    action();
}

void MountedDriver::while_mounted(const VolumeId& volume, const std::function<void(const Dir&)>& action) const {
    if (mounted(volume)) return action(find_parent(volume)->dir(leaf(volume)));
    const auto what = prepare_mount(object_of(volume), volume);
    const auto top = root();
    const auto name = std::string{kScratchMount} + text::random_hex(8);
    const auto point = top.make_dir(name, 0700);
    Rollback unmount; // in any case
    unmount.add([&] { top.remove(name); });
    host().mount(what.source, point, what.type, what.options);
    unmount.add([&] { host().unmount(top, name); });
    action(top.dir(name));
}

void MountedDriver::sweep_mounts() const {
    const auto top = root();
    for (const auto& name : top.list()) {
        if (!name.starts_with(kScratchMount)) continue;
        host().unmount(top, name);
        top.remove(name);
    }
}

void MountedDriver::remove_mount_point(const VolumeId& volume) const {
    if (volume.block) return;
    const auto parent = find_parent(volume);
    if (!parent || !parent->exists(leaf(volume))) return;
    host().unmount(*parent, leaf(volume));
    parent->remove(leaf(volume));
}

void MountedDriver::remove_mount_points(const VolumeId& volume) const {
    if (volume.block) return;
    remove_mount_point(volume);
    if (!volume.snapshot.empty() || volume.place == VolumePlace::Image) return;
    const auto snapshots = root().dir(std::string{place_name(volume.place)} + "-snapshots");
    if (!snapshots.exists(volume.name)) return;
    const auto old = snapshots.dir(volume.name);
    for (const auto& name : old.list()) {
        host().unmount(old, name);
        old.remove(name);
    }
    snapshots.remove(volume.name);
}

Staged MountedDriver::stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                                 std::stop_token stop, std::atomic<std::int64_t>* copied) {
    auto staged = stage(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    {
        const auto target = open_staged(staged);
        for (const auto& entry : entries)
            if (source.exists(entry))
                copy_entry(source, target, entry, {.stop = stop, .devices = true, .copied = copied});
    }
    undo.commit();
    return staged;
}

/// Writable, whatever it becomes. Not out of sight: who fills it from another process clones the mount.
Dir MountedDriver::open_staged(const Staged& staged) const {
    const auto top = root();
    const auto name = scratch_name(staged);
    if (!host().mounted(top, name)) {
        auto volume = staged.as;
        volume.snapshot.clear();
        const auto what = prepare_mount(staged.name, volume);
        host().mount(what.source, top.make_dir(name, 0700), what.type, what.options);
    }
    return top.dir(name);
}

void MountedDriver::unmount_staged(const Staged& staged) const {
    if (staged.as.block) return release_object(staged.name);
    const auto top = root();
    const auto name = scratch_name(staged);
    if (!top.exists(name)) return;
    host().unmount(top, name);
    top.remove(name);
    release_object(staged.name);
}

UniqueFd MountedDriver::open_block(const VolumeId& volume) const {
    return host().open_device(block_device(object_of(volume)), O_RDONLY);
}

UniqueFd MountedDriver::open_staged_block(const Staged& staged) const {
    return host().open_device(block_device(staged.name), O_RDWR | O_EXCL);
}

void refuse_block_shrink(std::int64_t wanted, std::int64_t now) {
    if (wanted < now) throw Error{ErrorCode::Internal, "Block volumes cannot be shrunk: Cannot be shrunk"};
}

Dir MountedDriver::open(const VolumeId& volume) const {
    if (mounted(volume)) return find_parent(volume)->dir(leaf(volume));
    if (!exists(volume))
        throw Error{ErrorCode::NotFound,
                    volume.snapshot.empty() ? "Storage volume not found" : "Storage volume snapshot not found"};
    return mount_detached(object_of(volume), volume);
}

bool MountedDriver::exists(const VolumeId& volume) const { return has_object(object_of(volume)); }

void MountedDriver::discard(const Staged& staged) noexcept {
    try {
        unmount_staged(staged);
        remove_object(staged.name);
    } catch (const std::exception& error) { // sweep() comes by at the next start
        log_.warning("Failed to remove a staged volume", {{"pool", name_}, {"err", error.what()}});
    }
}

} // namespace lxdcore::storage
