// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/zfs/zfs_driver.hpp"
#include "storage/file_copy.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

// Datasets have no exchange of names. What is going to happen is written into the name of what takes the place first,
// "lxdcore-take-<random>.<volume>"; from there on a start goes forward.

namespace lxdcore::storage {

namespace {

constexpr std::string_view kNew = "lxdcore-new-";
constexpr std::string_view kOld = "lxdcore-old-";
constexpr std::string_view kTake = "lxdcore-take-";
constexpr const char* kReadOnly = "@readonly";

std::string leaf_of(const std::string& dataset) { return dataset.substr(dataset.rfind('/') + 1); }
std::string dataset_of(const std::string& snapshot) { return snapshot.substr(0, snapshot.find('@')); }

} // namespace

void ZfsDriver::rename_object(const std::string& from, const std::string& to) {
    tools().run({"zfs", "rename", from, to});
}

void ZfsDriver::publish(const Staged& staged) {
    unmount_staged(staged);
    if (staged.name.find('@') != std::string::npos) return rename_object(staged.name, object_of(staged.as));
    if (!staged.as.snapshot.empty()) return graft(staged);
    if (staged.as.place == VolumePlace::Image) tools().run({"zfs", "snapshot", staged.name + kReadOnly});
    rename_object(staged.name, object_of(staged.as));
}

/// @p taker gets the history that it shares with the volume, then its name; what had it ends as @p aside.
void ZfsDriver::take_place(const std::string& taker, const std::string& leaf, const std::string& aside) {
    for (auto origin = property(taker, "origin"); origin != "-"; origin = property(taker, "origin")) {
        const auto from = dataset_of(origin);
        if (from != leaf && !leaf_of(from).starts_with("lxdcore-")) break; // an image, or what was copied
        tools().run({"zfs", "promote", taker});
    }
    if (has_object(leaf)) rename_object(leaf, aside);
    rename_object(taker, leaf);
}

void ZfsDriver::exchange(const Staged& staged) {
    unmount_staged(staged);
    const auto leaf = object_of(staged.as);
    if (!latest_snapshot(staged.as).empty() && dataset_of(property(staged.name, "origin")) != leaf)
        throw Error{ErrorCode::Internal, fmt::format("{} has snapshots that would be lost", leaf)};
    remove_mount_point(staged.as);
    const auto taker = hidden(staged.as.place, fmt::format("{}{}.{}", kTake, text::random_hex(12), leaf_of(leaf)));
    rename_object(staged.name, taker);
    take_place(taker, leaf, staged.name);
}

/// A snapshot whose content comes from elsewhere goes into the history of its volume: a dataset with the content of the
/// volume is made on top of it and takes the volume's place.
void ZfsDriver::graft(const Staged& staged) {
    auto volume = staged.as;
    volume.snapshot.clear();
    const auto leaf = object_of(volume);
    const auto snapshot = staged.name + "@snapshot-" + checked_name(staged.as.snapshot);
    const auto received = snapshots_of(staged.name);
    if (received.empty())
        tools().run({"zfs", "snapshot", snapshot});
    else if (received.back() != snapshot)
        rename_object(received.back(), snapshot);
    const Staged above{volume, hidden_new(volume.place)};
    Rollback undo;
    undo.add([&] { discard(above); });
    clone(snapshot, above.name, volume.block);
    if (volume.block)
        tools().run({"zfs", "set", "volsize=" + property(leaf, "volsize"), above.name});
    else
        empty(above);
    copy_content(volume, above, {});
    unmount_staged(above);
    remove_mount_point(volume);
    const auto taker = hidden(volume.place, fmt::format("{}{}.{}", kTake, text::random_hex(12), leaf_of(leaf)));
    const auto aside = hidden_old(volume.place);
    rename_object(above.name, taker);
    undo.commit();
    take_place(taker, leaf, aside);
    discard({volume, aside});
    discard({volume, staged.name});
}

void ZfsDriver::rename(const VolumeId& volume, const std::string& to) {
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

std::optional<Staged> ZfsDriver::set_aside(const VolumeId& volume) {
    const auto object = object_of(volume);
    if (!has_object(object)) return std::nullopt;
    remove_mount_point(volume);
    Staged trash{volume, volume.snapshot.empty()
                             ? hidden_old(volume.place)
                             : fmt::format("{}@{}{}", dataset_of(object), kOld, text::random_hex(12))};
    rename_object(object, trash.name);
    return trash;
}

/// Nobody but clones needs it any more.
bool ZfsDriver::is_disposable(const std::string& object) const {
    const auto at = object.find('@');
    if (object.starts_with(top() + "/deleted/")) return true;
    if (at == std::string::npos) return false;
    const auto name = std::string_view{object}.substr(at + 1);
    return name.starts_with("copy-") || name.starts_with("deleted-") || name.starts_with("lxdcore-");
}

/// What has clones stays, out of sight, and goes with the last of them.
void ZfsDriver::remove_object(const std::string& object) {
    if (!has_object(object)) return;
    const bool snapshot = object.find('@') != std::string::npos;
    const auto origin = snapshot ? "-" : property(object, "origin");
    const auto gone = tools().ask({"zfs", "destroy", "-r", object});
    if (gone.code != 0) {
        const auto said = lines_of(gone.err);
        if (gone.err.find("dependent clones") != std::string::npos) return;
        throw Error{ErrorCode::Internal, fmt::format("Failed to run: zfs destroy -r {}: exit status {} ({})", object,
                                                     gone.code, said.empty() ? "" : said.back())};
    }
    if (origin == "-" || !is_disposable(origin)) return;
    const auto parent = dataset_of(origin);
    remove_object(parent.starts_with(top() + "/deleted/") ? parent : origin);
}

void ZfsDriver::sweep_snapshots() {
    for (const auto& snapshot :
         lines_of(tools().run({"zfs", "list", "-H", "-r", "-o", "name", "-t", "snapshot", top()}))) {
        if (snapshot.starts_with(top() + "/deleted/")) continue; // they go with their dataset
        if (is_disposable(snapshot)) discard({{}, snapshot});
    }
}

void ZfsDriver::sweep() {
    sweep_mounts();
    const auto below = top() + "/deleted/";
    const auto hidden_ones = [&] {
        return lines_of(
            tools().run({"zfs", "list", "-H", "-r", "-o", "name", "-t", "filesystem,volume", top() + "/deleted"}));
    };
    for (const auto& dataset : hidden_ones()) {
        const auto name = leaf_of(dataset);
        const auto dot = name.find('.');
        if (!name.starts_with(kTake) || dot == std::string::npos) continue;
        const auto kind = dataset.substr(below.size(), dataset.rfind('/') - below.size());
        take_place(dataset, fmt::format("{}/{}/{}", top(), kind, name.substr(dot + 1)),
                   fmt::format("{}{}/{}{}", below, kind, kOld, text::random_hex(12)));
    }
    for (const auto& dataset : hidden_ones())
        if (const auto name = leaf_of(dataset); name.starts_with(kNew) || name.starts_with(kOld))
            discard({{}, dataset});
    sweep_snapshots();
}

} // namespace lxdcore::storage
