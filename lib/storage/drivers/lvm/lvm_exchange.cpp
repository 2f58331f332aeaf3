// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string_view>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/lvm/lvm_driver.hpp"
#include "util/fault_point.hpp"
#include "util/text.hpp"

// Logical volumes have no exchange of names. What is going to happen is written on the staged volume as a tag first;
// from there on a start goes forward.

namespace lxdcore::storage {

namespace {

constexpr std::string_view kNew = "lxdcore-new-";
constexpr std::string_view kOld = "lxdcore-old-";
/// An origin that has lost its name, and stays for its copy-on-write snapshots.
constexpr std::string_view kKept = "lxdcore-kept-";
constexpr std::string_view kTakes = "lxdcore.takes=";

std::string taken_by(const std::string& tags) {
    for (const auto& tag : text::split(tags, ','))
        if (tag.starts_with(kTakes)) return tag.substr(kTakes.size());
    return "";
}

} // namespace

void LvmDriver::rename_object(const std::string& from, const std::string& to) {
    tools().run({"lvrename", group(), from, to});
}

void LvmDriver::publish(const Staged& staged) {
    unmount_staged(staged);
    if (!staged.as.snapshot.empty()) tools().run({"lvchange", "--permission", "r", in_group(staged.name)});
    rename_object(staged.name, object_of(staged.as));
}

void LvmDriver::exchange(const Staged& staged) {
    unmount_staged(staged);
    const auto leaf = object_of(staged.as);
    remove_mount_point(staged.as);
    tools().run({"lvchange", "--addtag", std::string{kTakes} + leaf, in_group(staged.name)});
    fault_point("lvm-exchange:tagged");
    const auto aside = std::string{kOld} + text::random_hex(12);
    rename_object(leaf, aside);
    fault_point("lvm-exchange:aside");
    rename_object(staged.name, leaf);
    fault_point("lvm-exchange:taken");
    tools().run({"lvchange", "--deltag", std::string{kTakes} + leaf, in_group(leaf)});
    fault_point("lvm-exchange:untagged");
    rename_object(aside, staged.name);
}

void LvmDriver::finish_exchange(const Volume& staged, const std::string& leaf) {
    if (staged.name != leaf) {
        if (has_object(leaf)) rename_object(leaf, std::string{kOld} + text::random_hex(12));
        rename_object(staged.name, leaf);
    }
    tools().run({"lvchange", "--deltag", std::string{kTakes} + leaf, in_group(leaf)});
}

/// Snapshots follow the volume: whether there is anything left to do is seen by each alone.
void LvmDriver::rename(const VolumeId& volume, const std::string& to) {
    checked_name(to);
    const auto move = [&](const VolumeId& from, const VolumeId& target) {
        remove_mount_point(from);
        rename_object(object_of(from), object_of(target));
    };
    if (!volume.snapshot.empty()) {
        auto target = volume;
        target.snapshot = to;
        if (exists(volume) || !exists(target)) move(volume, target);
        return;
    }
    auto target = volume;
    target.name = to;
    for (const auto& snapshot : list_snapshots(volume)) {
        auto from = volume, onto = target;
        from.snapshot = onto.snapshot = snapshot;
        move(from, onto);
    }
    remove_mount_points(volume);
    if (exists(volume) || !exists(target)) move(volume, target);
}

std::optional<Staged> LvmDriver::set_aside(const VolumeId& volume) {
    if (!exists(volume)) return std::nullopt;
    remove_mount_point(volume);
    Staged trash{volume, std::string{kOld} + text::random_hex(12)};
    rename_object(object_of(volume), trash.name);
    return trash;
}

/// With an origin its copy-on-write snapshots would go: it stays until the last of them does.
void LvmDriver::remove_object(const std::string& object) {
    const auto all = volumes();
    const auto it = all.find(object);
    if (it == all.end()) return;
    if (!thin())
        for (const auto& [name, volume] : all) {
            if (volume.origin != object) continue;
            rename_object(object, std::string{kKept} + text::random_hex(12));
            return;
        }
    tools().run({"lvremove", "-f", in_group(object)});
    const auto& origin = it->second.origin;
    if (thin() || !origin.starts_with(kKept)) return;
    for (const auto& [name, volume] : all)
        if (name != object && volume.origin == origin) return;
    tools().run({"lvremove", "-f", in_group(origin)});
}

void LvmDriver::sweep() {
    sweep_mounts();
    for (const auto& [name, volume] : volumes())
        if (const auto leaf = taken_by(volume.tags); !leaf.empty()) finish_exchange(volume, leaf);
    for (const auto& [name, volume] : volumes()) {
        if (!name.starts_with(kNew) && !name.starts_with(kOld) && !name.starts_with(kKept)) continue;
        try {
            remove_object(name);
        } catch (const std::exception& error) { // still in use by an instance: the next start comes by
            log().warning("Failed to remove a logical volume", {{"pool", this->name()}, {"err", error.what()}});
        }
    }
}

} // namespace lxdcore::storage
