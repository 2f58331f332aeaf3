// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/tree_driver.hpp"

#include <algorithm>
#include <exception>

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <lxdcore/error.hpp>

#include "storage/file_copy.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// No instance or fingerprint starts with a dot.
constexpr std::string_view kStaging = ".new-";
constexpr std::string_view kTrash = ".old-";

/// LXD's layout; 0700 where tenants' files lie without a 0100 directory of their own above them.
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

/// As LXD: the directory of an instance is closed to all but root until it is started.
mode_t mode_of(VolumePlace place) { return place == VolumePlace::Custom ? 0711 : 0100; }

bool is_hidden(std::string_view name) { return name.starts_with(kStaging) || name.starts_with(kTrash); }

} // namespace

TreeDriver::TreeDriver(const PoolContext& pool)
    : name_{pool.name}, config_{pool.config}, state_dir_{pool.state_dir}, log_{pool.log}, helper_{pool.helper} {}

const char* TreeDriver::dir_of(VolumePlace place) {
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

std::string TreeDriver::snapshots_of(VolumePlace place) { return std::string{dir_of(place)} + "-snapshots"; }

const std::string& TreeDriver::leaf(const VolumeId& volume) {
    return volume.snapshot.empty() ? volume.name : volume.snapshot;
}

Staged TreeDriver::staging_name(const VolumeId& as) { return {as, std::string{kStaging} + text::random_hex(12)}; }

void TreeDriver::make_layout(const Dir& top) const {
    for (const auto& [name, mode] : kLayout) {
        const auto dir = top.make_dir(name, mode);
        struct stat status {};
        if (::fstat(dir.fd(), &status) != 0) throw_errno(dir.path());
        if ((status.st_mode & 07777) != mode && ::fchmod(dir.fd(), mode) != 0) throw_errno(dir.path());
    }
}

void TreeDriver::remove_layout(const Dir& top) const {
    for (const auto place : kPlaces) {
        if (top.exists(dir_of(place))) {
            const auto volumes = top.dir(dir_of(place));
            for (const auto& volume : volumes.list())
                remove_entry(volumes, volume);
        }
        if (!top.exists(snapshots_of(place))) continue;
        const auto snapshots = top.dir(snapshots_of(place));
        for (const auto& volume : snapshots.list()) {
            const auto dir = snapshots.dir(volume);
            for (const auto& snapshot : dir.list())
                remove_entry(dir, snapshot);
        }
    }
    for (const auto& [name, mode] : kLayout)
        top.remove_tree(name);
}

bool TreeDriver::layout_in_use(const Dir& top) const {
    return std::any_of(std::begin(kLayout), std::end(kLayout),
                       [&](const auto& item) { return top.exists(item.first) && !top.dir(item.first).list().empty(); });
}

std::string TreeDriver::own_path() const { return state_dir_.path() + "/storage-pools/" + name_; }

std::string TreeDriver::option(const std::string& key) const {
    const auto it = config_.find(key);
    return it == config_.end() ? std::string{} : it->second;
}

Dir TreeDriver::root() const { return state_dir_.dir("storage-pools/" + name_); }

std::optional<Dir> TreeDriver::find_parent(const VolumeId& volume) const {
    if (volume.snapshot.empty()) return root().dir(dir_of(volume.place));
    const auto top = root().dir(snapshots_of(volume.place));
    if (!top.exists(volume.name)) return std::nullopt;
    return top.dir(volume.name);
}

Dir TreeDriver::make_parent(const VolumeId& volume) const {
    if (volume.snapshot.empty()) return root().dir(dir_of(volume.place));
    return root().dir(snapshots_of(volume.place)).make_dir(volume.name, 0700);
}

api::StoragePoolResources TreeDriver::resources() const {
    struct statvfs fs {};
    const auto top = root();
    if (::fstatvfs(top.fd(), &fs) != 0) throw_errno(top.path());
    return {.space = {.used = (fs.f_blocks - fs.f_bfree) * fs.f_frsize, .total = fs.f_blocks * fs.f_frsize},
            .inodes = {.used = fs.f_files - fs.f_ffree, .total = fs.f_files}};
}

Staged TreeDriver::stage(const VolumeId& as) {
    auto staged = staging_name(as);
    make_entry(make_parent(as), staged.name, mode_of(as.place));
    return staged;
}

Staged TreeDriver::stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                              std::stop_token stop, std::atomic<std::int64_t>* copied) {
    auto staged = stage(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    const auto target = open_staged(staged);
    for (const auto& entry : entries)
        if (source.exists(entry)) copy_entry(source, target, entry, {.stop = stop, .devices = true, .copied = copied});
    undo.commit();
    return staged;
}

Dir TreeDriver::open_staged(const Staged& staged) const { return make_parent(staged.as).dir(staged.name); }

void TreeDriver::publish(const Staged& staged) { make_parent(staged.as).rename(staged.name, leaf(staged.as)); }

void TreeDriver::exchange(const Staged& staged) { make_parent(staged.as).exchange(staged.name, leaf(staged.as)); }

void TreeDriver::discard(const Staged& staged) noexcept {
    try {
        const auto parent = find_parent(staged.as);
        if (parent) remove_entry(*parent, staged.name);
        // The last snapshot of a volume takes the directory along.
        if (parent && !staged.as.snapshot.empty() && parent->list().empty())
            root().dir(snapshots_of(staged.as.place)).remove(staged.as.name);
    } catch (const std::exception& error) { // sweep() comes by at the next start
        log_.warning("Failed to remove a staged volume", {{"pool", name_}, {"err", error.what()}});
    }
}

bool TreeDriver::exists(const VolumeId& volume) const {
    const auto parent = find_parent(volume);
    return parent && parent->exists(leaf(volume));
}

Dir TreeDriver::open(const VolumeId& volume) const {
    if (const auto parent = find_parent(volume)) return parent->dir(leaf(volume));
    throw Error{ErrorCode::NotFound, "Storage volume snapshot not found"};
}

std::vector<std::string> TreeDriver::list(VolumePlace place) const {
    auto names = root().dir(dir_of(place)).list();
    std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
    return names;
}

std::vector<std::string> TreeDriver::list_snapshots(const VolumeId& volume) const {
    if (volume.place == VolumePlace::Image) return {};
    const auto top = root().dir(snapshots_of(volume.place));
    if (!top.exists(volume.name)) return {};
    auto names = top.dir(volume.name).list();
    std::erase_if(names, [](const std::string& name) { return is_hidden(name); });
    return names;
}

/// Snapshots follow the volume: whether there is anything left to do is seen by each alone.
void TreeDriver::rename(const VolumeId& volume, const std::string& to) {
    const auto move = [&](const Dir& dir, const std::string& from) {
        if (dir.exists(from) || !dir.exists(to)) dir.rename(from, to);
    };
    if (const auto parent = find_parent(volume)) move(*parent, leaf(volume));
    if (!volume.snapshot.empty() || volume.place == VolumePlace::Image) return;
    const auto snapshots = root().dir(snapshots_of(volume.place));
    if (!snapshots.exists(volume.name)) return;
    if (snapshots.exists(to)) { // what a volume of that name had, set aside
        const auto old = snapshots.dir(to);
        const auto names = old.list();
        if (std::all_of(names.begin(), names.end(), [](const auto& name) { return is_hidden(name); })) {
            for (const auto& name : names)
                remove_entry(old, name);
            snapshots.remove(to);
        }
    }
    move(snapshots, volume.name);
}

std::optional<Staged> TreeDriver::set_aside(const VolumeId& volume) {
    const auto parent = find_parent(volume);
    if (!parent || !parent->exists(leaf(volume))) return std::nullopt;
    Staged trash{volume, std::string{kTrash} + text::random_hex(12)};
    parent->rename(leaf(volume), trash.name);
    return trash;
}

void TreeDriver::sweep() {
    const auto clean = [this](const Dir& dir) {
        for (const auto& name : dir.list())
            if (is_hidden(name)) remove_entry(dir, name);
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
