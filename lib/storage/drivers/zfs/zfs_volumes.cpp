// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "storage/block_content.hpp"
#include "storage/drivers/zfs/zfs_driver.hpp"
#include "storage/file_copy.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::string_view kSnapshot = "@snapshot-";
constexpr const char* kReadOnly = "@readonly"; ///< of an image: what instances are clones of

/// What datasets are made with that are no pools of others.
std::vector<std::string> zfs_options(bool block) {
    if (block) return {"-o", "volmode=dev"};
    return {"-o", "mountpoint=legacy", "-o", "canmount=noauto"};
}

/// Of a size that any block size divides, as LXD's.
std::int64_t rounded_block(std::int64_t bytes) {
    constexpr std::int64_t step = 8192;
    return (bytes + step - 1) / step * step;
}

} // namespace

std::string ZfsDriver::object_of(const VolumeId& volume) const {
    auto object = fmt::format("{}/{}/{}", top(), place_name(volume.place), checked_name(volume.name));
    if (volume.block) object += kBlockSuffix;
    if (!volume.snapshot.empty()) object += std::string{kSnapshot} + checked_name(volume.snapshot);
    return object;
}

std::string ZfsDriver::hidden(VolumePlace place, const std::string& name) const {
    return fmt::format("{}/deleted/{}/{}", top(), place_name(place), name);
}
std::string ZfsDriver::hidden_new(VolumePlace place) const {
    return hidden(place, "lxdcore-new-" + text::random_hex(12));
}
std::string ZfsDriver::hidden_old(VolumePlace place) const {
    return hidden(place, "lxdcore-old-" + text::random_hex(12));
}

bool ZfsDriver::has_object(const std::string& object) const {
    return tools().succeeds({"zfs", "list", "-H", "-o", "name", "-t", "all", object});
}

std::string ZfsDriver::property(const std::string& object, const std::string& name) const {
    return text::trim(tools().run({"zfs", "get", "-H", "-p", "-o", "value", name, object}));
}

std::vector<std::string> ZfsDriver::snapshots_of(const std::string& dataset) const {
    const auto found =
        tools().ask({"zfs", "list", "-H", "-o", "name", "-s", "creation", "-t", "snapshot", "-d", "1", dataset});
    return found.code == 0 ? lines_of(found.out) : std::vector<std::string>{};
}

std::string ZfsDriver::latest_snapshot(const VolumeId& volume) const {
    std::string latest;
    auto whole = volume;
    whole.snapshot.clear();
    for (const auto& name : snapshots_of(object_of(whole)))
        if (name.find(kSnapshot) != std::string::npos) latest = name;
    return latest;
}

MountedDriver::Mountable ZfsDriver::prepare_mount(const std::string& object, const VolumeId& volume) const {
    std::string options = !volume.snapshot.empty() ? "ro" : "";
    if (object.find('@') == std::string::npos) { // what a mount by the zfs program would heed
        const auto add = [&](const char* option) { options += options.empty() ? option : std::string{","} + option; };
        const auto values = lines_of(tools().run({"zfs", "get", "-H", "-p", "-o", "value", "atime,relatime", object}));
        if (!values.empty() && values[0] == "off")
            add("noatime");
        else if (values.size() > 1 && values[1] == "off")
            add("strictatime");
    }
    return {object, "zfs", options};
}

void ZfsDriver::make_dataset(const std::string& dataset, const VolumeId& volume) {
    std::vector<std::string> argv{"zfs", "create", "-o", "mountpoint=legacy", "-o", "canmount=noauto"};
    if (const auto size = value_of(volume, "zfs.blocksize"); !size.empty())
        argv.insert(argv.end(), {"-o", fmt::format("recordsize={}", text::parse_bytes(size))});
    argv.push_back(dataset);
    tools().run(std::move(argv));
}

void ZfsDriver::make_block(const std::string& dataset, const VolumeId& volume) {
    const auto wanted = text::parse_bytes(value_of(volume, "size", "0"));
    const auto bytes = rounded_block(wanted > 0 ? wanted : kBlockDefault);
    std::vector<std::string> argv{"zfs", "create", "-V", std::to_string(bytes), "-o", "volmode=dev"};
    if (!text::is_true(value_of(volume, "zfs.reserve_space"))) argv.insert(argv.begin() + 2, "-s");
    if (const auto size = value_of(volume, "zfs.blocksize"); !size.empty())
        argv.insert(argv.end(), {"-o", fmt::format("volblocksize={}", text::parse_bytes(size))});
    argv.push_back(dataset);
    tools().run(std::move(argv));
}

void ZfsDriver::clone(const std::string& snapshot, const std::string& dataset, bool block) {
    std::vector<std::string> argv{"zfs", "clone"};
    const auto options = zfs_options(block);
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {snapshot, dataset});
    tools().run(std::move(argv));
}

/// Devices of snapshots are shown while they are needed.
std::string ZfsDriver::block_device(const std::string& object) const {
    if (const auto at = object.find('@'); at != std::string::npos)
        tools().run({"zfs", "set", "snapdev=visible", object.substr(0, at)});
    return "/dev/zvol/" + object;
}

void ZfsDriver::release_object(const std::string& object) const noexcept {
    const auto at = object.find('@');
    if (at == std::string::npos || !object.substr(0, at).ends_with(kBlockSuffix)) return;
    try {
        (void)tools().ask({"zfs", "set", "snapdev=hidden", object.substr(0, at)});
    } catch (const std::exception& error) {
        log().warning("Failed to hide a device", {{"pool", name()}, {"err", error.what()}});
    }
}

/// In the history of what it is to replace, and as large as it was asked for; all of it is going to be written.
Staged ZfsDriver::stage_block(const VolumeId& as) {
    Staged staged{as, hidden_new(as.place)};
    const auto latest = latest_snapshot(as);
    if (latest.empty()) {
        make_block(staged.name, as);
        return staged;
    }
    Rollback undo;
    clone(latest, staged.name, true);
    undo.add([&] { discard(staged); });
    const auto wanted = text::parse_bytes(value_of(as, "size", "0"));
    tools().run(
        {"zfs", "set", fmt::format("volsize={}", rounded_block(wanted > 0 ? wanted : kBlockDefault)), staged.name});
    undo.commit();
    return staged;
}

void ZfsDriver::copy_content(const VolumeId& source, const Staged& staged, std::stop_token stop) {
    if (!source.block) {
        const auto content = open(source);
        return copy_tree(content, open_staged(staged), {.stop = std::move(stop), .devices = true});
    }
    const auto from = object_of(source);
    host().copy_device(block_device(from), block_device(staged.name), kAllOfIt, std::move(stop));
    release_object(from);
}

void ZfsDriver::empty(const Staged& staged) const {
    const auto content = open_staged(staged);
    for (const auto& name : content.list())
        content.remove_tree(name);
}

/// Something for a volume that has snapshots is made in its history, or it could not take its place.
Staged ZfsDriver::stage(const VolumeId& as) {
    object_of(as); // a bad name is refused before anything is made
    if (as.block) return stage_block(as);
    Staged staged{as, hidden_new(as.place)};
    const auto latest = latest_snapshot(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    if (latest.empty())
        make_dataset(staged.name, as);
    else
        clone(latest, staged.name, false);
    if (!latest.empty()) empty(staged);
    const auto content = open_staged(staged);
    if (::fchmod(content.fd(), as.place == VolumePlace::Custom ? 0711 : 0100) != 0) throw_errno(content.path());
    undo.commit();
    return staged;
}

/// LXD's rule: what lies between the snapshot and now goes, if that was allowed.
void ZfsDriver::check_restorable(const VolumeId& source) const {
    if (text::is_true(value_of(source, "zfs.remove_snapshots"))) return;
    if (latest_snapshot(source) != object_of(source))
        throw Error{
            ErrorCode::Internal,
            fmt::format("Snapshot {} cannot be restored due to subsequent snapshot(s). Set zfs.remove_snapshots "
                        "to override",
                        text::quote(source.snapshot))};
}

Staged ZfsDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    object_of(as);
    const auto from = object_of(source);
    if (!has_object(from)) throw Error{ErrorCode::NotFound, "Storage volume not found"};
    const bool same = as.place == source.place && as.name == source.name;
    if (same && !as.snapshot.empty() && source.snapshot.empty()) {
        Staged staged{as, from + "@lxdcore-new-" + text::random_hex(12)};
        tools().run({"zfs", "snapshot", staged.name});
        return staged;
    }
    if (same && as.snapshot.empty()) check_restorable(source);
    if (!as.snapshot.empty() || (!same && !latest_snapshot(as).empty())) { // into another history
        auto sized = as;
        if (as.block) sized.config["size"] = property(from, "volsize");
        auto staged = stage(sized);
        Rollback undo;
        undo.add([&] { discard(staged); });
        copy_content(source, staged, stop);
        undo.commit();
        return staged;
    }
    Staged staged{as, hidden_new(as.place)};
    Rollback undo;
    undo.add([&] { discard(staged); });
    auto snapshot = from;
    if (source.place == VolumePlace::Image) {
        snapshot += kReadOnly;
    } else if (source.snapshot.empty()) {
        snapshot += "@copy-" + text::uuid4(); // stays for as long as the clone does
        tools().run({"zfs", "snapshot", snapshot});
    }
    if (source.place == VolumePlace::Image || same || text::is_true(value("zfs.clone_copy", "true"))) {
        clone(snapshot, staged.name, as.block);
    } else {
        copy_stream(snapshot, staged.name, as.block, stop);
        if (source.snapshot.empty()) tools().run({"zfs", "destroy", snapshot});
    }
    undo.commit();
    return staged;
}

/// A copy without a tie to its source; "rebase" keeps the tie to the image that the source came from.
void ZfsDriver::copy_stream(const std::string& snapshot, const std::string& dataset, bool block, std::stop_token stop) {
    ToolCall send{.argv = {"zfs", "send"}, .stop = stop};
    ToolCall receive{.argv = {"zfs", "receive", "-u"}, .stop = stop};
    const auto options = zfs_options(block);
    receive.argv.insert(receive.argv.end(), options.begin(), options.end());
    receive.argv.push_back(dataset);
    if (value("zfs.clone_copy") == "rebase") {
        const auto origin = property(snapshot.substr(0, snapshot.find('@')), "origin");
        if (origin.ends_with(kReadOnly)) send.argv.insert(send.argv.end(), {"-i", origin});
    }
    send.argv.push_back(snapshot);
    send.timeout = receive.timeout = std::chrono::hours{24};
    tools().pipe(send, receive);
    tools().run({"zfs", "destroy", dataset + snapshot.substr(snapshot.find('@'))});
}

std::vector<std::string> ZfsDriver::list(VolumePlace place) const {
    const auto parent = fmt::format("{}/{}/", top(), place_name(place));
    std::vector<std::string> names;
    for (const auto& dataset : lines_of(tools().run(
             {"zfs", "list", "-H", "-o", "name", "-t", "filesystem", "-d", "1", parent.substr(0, parent.size() - 1)})))
        if (dataset.starts_with(parent)) names.push_back(dataset.substr(parent.size()));
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> ZfsDriver::list_blocks() const {
    const auto parent = fmt::format("{}/{}/", top(), place_name(VolumePlace::Custom));
    std::vector<std::string> names;
    for (const auto& dataset : lines_of(tools().run(
             {"zfs", "list", "-H", "-o", "name", "-t", "volume", "-d", "1", parent.substr(0, parent.size() - 1)})))
        if (dataset.starts_with(parent) && dataset.ends_with(kBlockSuffix))
            names.push_back(dataset.substr(parent.size(), dataset.size() - parent.size() - kBlockSuffix.size()));
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> ZfsDriver::list_snapshots(const VolumeId& volume) const {
    std::vector<std::string> names;
    auto whole = volume;
    whole.snapshot.clear();
    for (const auto& full : snapshots_of(object_of(whole)))
        if (const auto at = full.find(kSnapshot); at != std::string::npos)
            names.push_back(full.substr(at + kSnapshot.size()));
    return names;
}

void ZfsDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    if (volume.block) {
        if (bytes <= 0) return;
        const auto now = text::parse_int(property(object_of(volume), "volsize")).value_or(0);
        const auto wanted = rounded_block(bytes);
        refuse_block_shrink(wanted, now);
        if (wanted > now) tools().run({"zfs", "set", fmt::format("volsize={}", wanted), object_of(volume)});
        return;
    }
    const bool own = text::is_true(value_of(volume, "zfs.use_refquota"));
    const auto size = bytes > 0 ? std::to_string(bytes) : "none";
    const auto object = object_of(volume);
    tools().run({"zfs", "set", fmt::format("{}={}", own ? "refquota" : "quota", size), object});
    if (text::is_true(value_of(volume, "zfs.reserve_space")))
        tools().run({"zfs", "set", fmt::format("{}={}", own ? "refreservation" : "reservation", size), object});
}

std::int64_t ZfsDriver::usage(const VolumeId& volume) const {
    // Of a snapshot as LXD: what only it keeps.
    const bool own = volume.snapshot.empty() && text::is_true(value_of(volume, "zfs.use_refquota"));
    return text::parse_int(property(object_of(volume), own ? "referenced" : "used")).value_or(-1);
}

} // namespace lxdcore::storage
