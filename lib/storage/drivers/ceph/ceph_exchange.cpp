// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/block_content.hpp"
#include "storage/drivers/ceph/ceph_driver.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

// An image without snapshots changes places by names: what is going to happen is written into the name of what takes
// the place, "lxdcore-take-<random>.<image>", and from there on a start goes forward. One with snapshots keeps its name
// and gets the content; a snapshot "lxdcore-keep-…" means that this is not finished, and a start goes back to it.

namespace lxdcore::storage {

namespace {

constexpr std::string_view kNew = "lxdcore-new-";
constexpr std::string_view kOld = "lxdcore-old-";
constexpr std::string_view kTake = "lxdcore-take-";
constexpr std::string_view kKeep = "lxdcore-keep-";
constexpr std::string_view kZombie = "zombie_";
constexpr const char* kReadOnly = "@readonly";

std::string image_of(const std::string& object) { return object.substr(0, object.find('@')); }
std::string snapshot_in(const std::string& object) {
    const auto at = object.find('@');
    return at == std::string::npos ? std::string{} : object.substr(at + 1);
}

} // namespace

void CephDriver::rename_object(const std::string& from, const std::string& to) {
    if (from.find('@') != std::string::npos) {
        tools().run(rbd({"snap", "rename", from, to}));
        return;
    }
    unmap(from);
    tools().run(rbd({"rename", from, to}));
}

void CephDriver::publish(const Staged& staged) {
    unmount_staged(staged);
    const auto leaf = object_of(staged.as);
    if (staged.name.find('@') != std::string::npos) return rename_object(staged.name, leaf);
    if (!staged.as.snapshot.empty()) {
        auto volume = staged.as;
        volume.snapshot.clear();
        remove_mount_point(volume);
        overwrite(object_of(volume), staged.name, leaf);
        discard(staged);
        return;
    }
    if (staged.as.place == VolumePlace::Image) {
        make_snapshot(staged.name + kReadOnly);
        protect(staged.name + kReadOnly);
    }
    rename_object(staged.name, leaf);
}

/// The content of @p image becomes that of @p with. With a snapshot to be made of that, what was there comes back
/// after.
void CephDriver::overwrite(const std::string& image, const std::string& with, const std::string& then_snapshot) {
    const auto keep = fmt::format("{}@{}{}", image, kKeep, text::random_hex(12));
    make_snapshot(keep);
    const auto back = [&] {
        unmap(image);
        tools().run(rbd({"snap", "rollback", keep}));
    };
    Rollback undo;
    undo.add([&] {
        back();
        remove_snapshot(keep);
    });
    const auto bytes = size_of(with);
    if (bytes != size_of(image))
        tools().run(rbd({"resize", "--allow-shrink", "--size", fmt::format("{}B", bytes), image}));
    host().copy_device(map(with), map(image), kAllOfIt, {});
    unmap(with);
    unmap(image);
    if (!then_snapshot.empty()) {
        make_snapshot(then_snapshot);
        back();
    }
    undo.commit();
    remove_snapshot(keep);
}

void CephDriver::exchange(const Staged& staged) {
    unmount_staged(staged);
    const auto leaf = object_of(staged.as);
    remove_mount_point(staged.as);
    if (!snapshots_of(leaf).empty()) return overwrite(leaf, staged.name, "");
    const auto taker = fmt::format("{}{}.{}", kTake, text::random_hex(12), leaf);
    rename_object(staged.name, taker);
    rename_object(leaf, staged.name);
    rename_object(taker, leaf);
}

void CephDriver::finish_exchange(const std::string& taker, const std::string& leaf) {
    if (has_object(leaf)) rename_object(leaf, std::string{kOld} + text::random_hex(12));
    rename_object(taker, leaf);
}

void CephDriver::rename(const VolumeId& volume, const std::string& to) {
    checked_name(to);
    auto target = volume;
    (volume.snapshot.empty() ? target.name : target.snapshot) = to;
    if (!exists(volume) && exists(target)) return;
    if (volume.snapshot.empty())
        remove_mount_points(volume);
    else
        remove_mount_point(volume);
    rename_object(object_of(volume), object_of(target));
}

std::optional<Staged> CephDriver::set_aside(const VolumeId& volume) {
    const auto object = object_of(volume);
    if (!has_object(object)) return std::nullopt;
    remove_mount_point(volume);
    const auto old = std::string{kOld} + text::random_hex(12);
    Staged trash{volume, volume.snapshot.empty() ? old : image_of(object) + "@" + old};
    rename_object(object, trash.name);
    return trash;
}

void CephDriver::remove_snapshot(const std::string& snapshot) {
    unmap(snapshot);
    (void)tools().ask(rbd({"snap", "unprotect", snapshot})); // not protected is fine
    tools().run(rbd({"snap", "rm", snapshot}));
}

/// What has clones becomes a zombie, as LXD calls it, and goes with the last of them.
void CephDriver::remove_object(const std::string& object) {
    if (!has_object(object)) return;
    const auto image = image_of(object);
    if (const auto snapshot = snapshot_in(object); !snapshot.empty()) {
        if (!children_of(object).empty()) {
            if (!snapshot.starts_with(kZombie)) rename_object(object, image + "@zombie_snapshot_" + text::uuid4());
            return;
        }
        remove_snapshot(object);
        if (image.starts_with(kZombie) && snapshots_of(image).empty()) remove_object(image);
        return;
    }
    const auto snapshots = snapshots_of(image);
    for (const auto& snapshot : snapshots) {
        if (children_of(image + "@" + snapshot).empty()) continue;
        if (!image.starts_with(kZombie)) rename_object(image, std::string{kZombie} + text::uuid4());
        return;
    }
    const auto parent = parent_of(image);
    for (const auto& snapshot : snapshots)
        remove_snapshot(image + "@" + snapshot);
    unmap(image);
    tools().run(rbd({"rm", image}));
    if (parent.empty()) return;
    if (image_of(parent).starts_with(kZombie))
        remove_object(image_of(parent));
    else if (snapshot_in(parent).starts_with(kZombie))
        remove_object(parent);
}

void CephDriver::sweep() {
    sweep_mounts();
    for (const auto& image : images()) {
        const auto dot = image.find('.');
        if (image.starts_with(kTake) && dot != std::string::npos) finish_exchange(image, image.substr(dot + 1));
    }
    for (const auto& image : images()) {
        if (image.starts_with(kNew) || image.starts_with(kOld)) {
            discard({{}, image});
            continue;
        }
        for (const auto& snapshot : snapshots_of(image)) {
            const auto full = image + "@" + snapshot;
            if (snapshot.starts_with(kKeep)) {
                unmap(image);
                tools().run(rbd({"snap", "rollback", full}));
                remove_snapshot(full);
            } else if (snapshot.starts_with(kNew) || snapshot.starts_with(kOld)) {
                discard({{}, full});
            }
        }
    }
}

} // namespace lxdcore::storage
