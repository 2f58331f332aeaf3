// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/ceph/ceph_driver.hpp"
#include "storage/drivers/ceph/ceph_names.hpp"
#include "storage/drivers/mounted/filesystem.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::string_view kNew = "lxdcore-new-";
constexpr std::string_view kSnapshot = "@snapshot_";
constexpr const char* kReadOnly = "@readonly";

const char* prefix_of(VolumePlace place) {
    switch (place) {
    case VolumePlace::Image:
        return "image_";
    case VolumePlace::Custom:
        return "custom_";
    case VolumePlace::Instance:
        break;
    }
    return "container_";
}

std::string image_of(const std::string& object) { return object.substr(0, object.find('@')); }

} // namespace

std::string CephDriver::filesystem_type() const {
    return filesystem::checked(value("volume.block.filesystem", filesystem::kDefault));
}

/// The filesystem is part of an image's name: instances with another one need another image.
std::string CephDriver::object_of(const VolumeId& volume) const {
    auto object = prefix_of(volume.place) + checked_name(volume.name);
    if (volume.place == VolumePlace::Image) object += "_" + filesystem_type();
    if (volume.block) object += kBlockSuffix;
    if (!volume.snapshot.empty()) object += std::string{kSnapshot} + checked_name(volume.snapshot);
    return object;
}

bool CephDriver::has_object(const std::string& object) const { return tools().succeeds(rbd({"info", object})); }

std::vector<std::string> CephDriver::images() const { return lines_of(tools().run(rbd({"ls"}))); }

std::vector<std::string> CephDriver::snapshots_of(const std::string& image) const {
    const auto found = tools().ask(rbd({"--format", "json", "snap", "ls", image}));
    std::vector<std::string> names;
    const auto list = nlohmann::json::parse(found.out, nullptr, false);
    if (found.code != 0 || !list.is_array()) return names;
    for (const auto& snapshot : list)
        names.push_back(snapshot.value("name", ""));
    return names;
}

std::vector<std::string> CephDriver::children_of(const std::string& snapshot) const {
    return lines_of(tools().run(rbd({"children", snapshot})));
}

std::string CephDriver::parent_of(const std::string& image) const {
    const auto info = nlohmann::json::parse(tools().run(rbd({"--format", "json", "info", image})), nullptr, false);
    if (!info.is_object() || !info.contains("parent")) return "";
    const auto& parent = info["parent"];
    return parent.value("image", "") + "@" + parent.value("snapshot", "");
}

std::int64_t CephDriver::size_of(const std::string& image) const {
    const auto info = nlohmann::json::parse(tools().run(rbd({"--format", "json", "info", image})), nullptr, false);
    if (!info.is_object() || !info.contains("size"))
        throw Error{ErrorCode::Internal, "Unexpected output from rbd info"};
    return info["size"].get<std::int64_t>();
}

std::string CephDriver::map(const std::string& object) const {
    const auto shown = nlohmann::json::parse(tools().run(rbd({"--format", "json", "showmapped"})), nullptr, false);
    const auto at = object.find('@');
    const auto snapshot = at == std::string::npos ? std::string{"-"} : object.substr(at + 1);
    if (shown.is_structured()) // older programs print an object by numbers
        for (const auto& mapped : shown)
            if (mapped.value("pool", "") == osd_pool() && mapped.value("name", "") == image_of(object) &&
                mapped.value("snap", "-") == snapshot)
                return mapped.value("device", "");
    const auto device = text::trim(tools().run(rbd({"map", object})));
    if (!device.starts_with("/dev/")) throw Error{ErrorCode::Internal, "Failed mapping Ceph RBD volume"};
    return device;
}

void CephDriver::unmap(const std::string& object) const {
    (void)tools().ask(rbd({"unmap", object})); // not mapped is fine; one that is used stays, and stops what comes next
}

void CephDriver::release_object(const std::string& object) const noexcept {
    try {
        unmap(object);
    } catch (const std::exception& error) {
        log().warning("Failed to unmap an RBD image", {{"pool", name()}, {"err", error.what()}});
    }
}

MountedDriver::Mountable CephDriver::prepare_mount(const std::string& object, const VolumeId& volume) const {
    const auto device = map(object);
    const auto type = host().filesystem_of(device);
    if (type.empty()) throw Error{ErrorCode::Internal, fmt::format("No known filesystem on {}", text::quote(device))};
    const auto wanted = value_of(volume, "block.mount_options", filesystem::kDefaultOptions);
    return {device, type, filesystem::mount_options(wanted, type, !volume.snapshot.empty())};
}

void CephDriver::make_image(const std::string& image, std::int64_t bytes) {
    std::vector<std::string> argv;
    for (const auto& feature : text::split(value("ceph.rbd.features", "layering"), ','))
        argv.insert(argv.end(), {"--image-feature", checked_ceph_name(text::trim(feature))});
    if (const auto data = value("ceph.osd.data_pool_name"); !data.empty())
        argv.insert(argv.end(), {"--data-pool", checked_ceph_name(data)});
    argv.insert(argv.end(), {"--size", fmt::format("{}B", bytes), "create", image});
    tools().run(rbd(std::move(argv)));
}

void CephDriver::make_snapshot(const std::string& snapshot) { tools().run(rbd({"snap", "create", snapshot})); }

void CephDriver::protect(const std::string& snapshot) {
    const auto result = tools().ask(rbd({"snap", "protect", snapshot}));
    if (result.code != 0 && result.code != 16) // EBUSY: it is already
        throw Error{ErrorCode::Internal, fmt::format("Failed to protect {}: {}", snapshot, text::trim(result.err))};
}

Staged CephDriver::stage(const VolumeId& as) {
    object_of(as); // a bad name is refused before anything is made
    Staged staged{as, std::string{kNew} + text::random_hex(12)};
    const auto wanted = text::parse_bytes(value_of(as, "size", "0"));
    make_image(staged.name, wanted > 0 ? wanted : filesystem::kDefaultSize);
    if (as.block) return staged;
    Rollback undo;
    undo.add([&] { discard(staged); });
    filesystem::make(tools(), map(staged.name),
                     as.place == VolumePlace::Image ? filesystem_type()
                                                    : value_of(as, "block.filesystem", filesystem::kDefault));
    {
        const auto content = open_staged(staged);
        if (::fchmod(content.fd(), as.place == VolumePlace::Custom ? 0711 : 0100) != 0) throw_errno(content.path());
        content.remove("lost+found"); // of ext4, and in the way of one that is copied or unpacked
    }
    undo.commit();
    return staged;
}

Staged CephDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    object_of(as);
    const auto from = object_of(source);
    if (!has_object(from)) throw Error{ErrorCode::NotFound, "Ceph RBD volume parent not found"};
    const bool same = as.place == source.place && as.name == source.name;
    if (same && !as.snapshot.empty() && source.snapshot.empty()) {
        Staged staged{as, from + "@" + std::string{kNew} + text::random_hex(12)};
        while_frozen(source, [&] { make_snapshot(staged.name); });
        return staged;
    }
    Staged staged{as, std::string{kNew} + text::random_hex(12)};
    auto snapshot = from;
    if (source.place == VolumePlace::Image) {
        snapshot += kReadOnly;
    } else if (source.snapshot.empty()) {
        snapshot += "@zombie_snapshot_" + text::uuid4(); // stays for as long as the clone does
        while_frozen(source, [&] { make_snapshot(snapshot); });
    }
    Rollback undo;
    undo.add([&] { discard(staged); });
    if (source.place == VolumePlace::Image || text::is_true(value("ceph.rbd.clone_copy", "true"))) {
        protect(snapshot);
        std::vector<std::string> argv;
        if (const auto data = value("ceph.osd.data_pool_name"); !data.empty())
            argv.insert(argv.end(), {"--data-pool", checked_ceph_name(data)});
        argv.insert(argv.end(), {"--image-feature", "layering", "clone", in_pool(snapshot), in_pool(staged.name)});
        tools().run(rbd(std::move(argv)));
    } else {
        tools().run({.argv = rbd({"cp", in_pool(snapshot), in_pool(staged.name)}),
                     .stop = std::move(stop),
                     .timeout = std::chrono::hours{24}});
        if (source.snapshot.empty()) remove_snapshot(snapshot);
    }
    if (as.block) {
        undo.commit();
        return staged;
    }
    const auto device = map(staged.name);
    const auto type = host().filesystem_of(device);
    // Replays its log, which a new identity asks for.
    if (type == "xfs") host().mount_detached(device, root(), type, "nouuid");
    filesystem::renew_identity(tools(), device, type);
    unmap(staged.name);
    undo.commit();
    return staged;
}

std::vector<std::string> CephDriver::list(VolumePlace place) const {
    const std::string prefix = prefix_of(place);
    const auto suffix = place == VolumePlace::Image ? "_" + filesystem_type() : std::string{};
    std::vector<std::string> names;
    for (const auto& image : images())
        if (image.starts_with(prefix) && image.ends_with(suffix) && image.size() > prefix.size() + suffix.size() &&
            !(place == VolumePlace::Custom && image.ends_with(kBlockSuffix)))
            names.push_back(image.substr(prefix.size(), image.size() - prefix.size() - suffix.size()));
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> CephDriver::list_blocks() const {
    const std::string_view prefix = prefix_of(VolumePlace::Custom);
    std::vector<std::string> names;
    for (const auto& image : images())
        if (image.starts_with(prefix) && image.ends_with(kBlockSuffix) &&
            image.size() > prefix.size() + kBlockSuffix.size())
            names.push_back(image.substr(prefix.size(), image.size() - prefix.size() - kBlockSuffix.size()));
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> CephDriver::list_snapshots(const VolumeId& volume) const {
    const auto prefix = kSnapshot.substr(1);
    std::vector<std::string> names;
    auto whole = volume;
    whole.snapshot.clear();
    for (const auto& snapshot : snapshots_of(object_of(whole)))
        if (snapshot.starts_with(prefix)) names.push_back(snapshot.substr(prefix.size()));
    return names;
}

void CephDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    if (bytes <= 0) return;
    const auto image = object_of(volume);
    const auto now = size_of(image);
    if (volume.block) {
        refuse_block_shrink(bytes, now);
        if (bytes > now) tools().run(rbd({"resize", "--size", fmt::format("{}B", bytes), image}));
        return;
    }
    const auto device = map(image);
    const auto type = host().filesystem_of(device);
    const auto size = fmt::format("{}B", bytes);
    if (bytes >= now) {
        if (bytes > now) tools().run(rbd({"resize", "--size", size, image}));
        while_mounted(volume, [&](const Dir& content) { filesystem::grow(tools(), device, type, content); });
        return;
    }
    if (filesystem::shrinks_mounted(type)) {
        while_mounted(volume, [&](const Dir& content) { filesystem::shrink(tools(), device, type, bytes, &content); });
    } else {
        if (filesystem::can_shrink(type) && mounted(volume)) throw Error{ErrorCode::BadState, "In use"};
        filesystem::shrink(tools(), device, type, bytes, nullptr);
    }
    tools().run(rbd({"resize", "--allow-shrink", "--size", size, image}));
}

std::int64_t CephDriver::usage(const VolumeId& volume) const {
    if (volume.snapshot.empty() && mounted(volume)) return static_cast<std::int64_t>(host().space(open(volume)).used);
    if (!text::is_true(value("ceph.rbd.du", "true"))) return -1;
    const auto report =
        nlohmann::json::parse(tools().run(rbd({"--format", "json", "du", object_of(volume)})), nullptr, false);
    if (!report.is_object() || !report.contains("images")) return -1;
    std::int64_t used = 0;
    for (const auto& image : report["images"])
        used += image.value("used_size", std::int64_t{0});
    return used;
}

} // namespace lxdcore::storage
