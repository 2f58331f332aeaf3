// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/lvm/lvm_driver.hpp"
#include "storage/drivers/mounted/filesystem.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::string_view kNew = "lxdcore-new-";
/// A tag of copy-on-write snapshots, which grow with their origin: bytes that it had.
constexpr std::string_view kSize = "lxdcore.size=";

std::string escaped(const std::string& name) {
    std::string result;
    for (const char c : checked_name(name)) {
        result += c;
        if (c == '-') result += c;
    }
    return result;
}

double number(const std::string& text) { return text.empty() ? 0 : std::stod(text); }

} // namespace

std::string lvm_name(const VolumeId& volume) {
    auto name = fmt::format("{}_{}", place_name(volume.place), escaped(volume.name));
    if (!volume.snapshot.empty()) name += "-" + escaped(volume.snapshot);
    if (volume.block) name += kBlockSuffix;
    return name;
}

std::optional<VolumeId> lvm_volume(VolumePlace place, const std::string& object) {
    const auto prefix = std::string{place_name(place)} + "_";
    if (!object.starts_with(prefix)) return std::nullopt;
    VolumeId volume{.place = place, .name = {}};
    volume.block = place == VolumePlace::Custom && object.ends_with(kBlockSuffix);
    const auto name = volume.block ? object.substr(0, object.size() - kBlockSuffix.size()) : object;
    auto* part = &volume.name;
    for (auto i = prefix.size(); i < name.size(); ++i) {
        if (name[i] != '-') {
            *part += name[i];
        } else if (i + 1 < name.size() && name[i + 1] == '-') {
            *part += name[i++];
        } else if (part == &volume.name) {
            part = &volume.snapshot;
        } else {
            return std::nullopt;
        }
    }
    if (volume.name.empty() || part->empty()) return std::nullopt;
    return volume;
}

std::string LvmDriver::object_of(const VolumeId& volume) const { return lvm_name(volume); }

std::map<std::string, LvmDriver::Volume> LvmDriver::volumes() const {
    std::map<std::string, Volume> result;
    const auto out = tools().run({"lvs", "--noheadings", "--units", "b", "--nosuffix", "--separator", ";", "-o",
                                  "lv_name,lv_size,origin,data_percent,lv_tags", group()});
    for (const auto& line : lines_of(out)) {
        auto fields = text::split(line, ';');
        fields.resize(5);
        result[fields[0]] = {.name = fields[0],
                             .origin = fields[2],
                             .tags = fields[4],
                             .size = text::parse_int(fields[1]).value_or(0),
                             .used_percent = number(fields[3])};
    }
    return result;
}

std::optional<LvmDriver::Volume> LvmDriver::find(const std::string& object) const {
    const auto all = volumes();
    const auto it = all.find(object);
    return it == all.end() ? std::nullopt : std::optional{it->second};
}

std::int64_t LvmDriver::content_size(const Volume& volume, const std::map<std::string, Volume>& all) const {
    const auto origin = all.find(volume.origin);
    if (thin() || origin == all.end()) return volume.size;
    // Its own size is the room for what changes.
    for (const auto& tag : text::split(volume.tags, ','))
        if (tag.starts_with(kSize)) return text::parse_int(tag.substr(kSize.size())).value_or(origin->second.size);
    return origin->second.size;
}

std::int64_t LvmDriver::block_bytes(const VolumeId& volume, int /*file*/) const {
    const auto all = volumes();
    const auto it = all.find(object_of(volume));
    if (it == all.end()) throw Error{ErrorCode::NotFound, "LVM volume not found"};
    return content_size(it->second, all);
}

bool LvmDriver::has_object(const std::string& object) const {
    return tools().succeeds({"lvs", "--noheadings", "-o", "lv_name", in_group(object)});
}

/// Of a copy-on-write snapshot this activates the origin, too, which is asked about.
void LvmDriver::activate(const std::string& object) const {
    tools().run({"lvchange", "--yes", "--activate", "y", "--ignoreactivationskip", in_group(object)});
}

std::string LvmDriver::block_device(const std::string& object) const {
    activate(object);
    return device(object);
}

MountedDriver::Mountable LvmDriver::prepare_mount(const std::string& object, const VolumeId& volume) const {
    activate(object);
    const auto type = host().filesystem_of(device(object));
    if (type.empty())
        throw Error{ErrorCode::Internal, fmt::format("No known filesystem on {}", text::quote(device(object)))};
    const auto wanted = value_of(volume, "block.mount_options", filesystem::kDefaultOptions);
    return {device(object), type, filesystem::mount_options(wanted, type, !volume.snapshot.empty())};
}

void LvmDriver::release_object(const std::string& object) const noexcept {
    try { // one that is mounted elsewhere is refused, as it should be
        (void)tools().ask({"lvchange", "--activate", "n", "--ignoreactivationskip", in_group(object)});
    } catch (const std::exception& error) {
        log().warning("Failed to deactivate a logical volume", {{"pool", name()}, {"err", error.what()}});
    }
}

void LvmDriver::make_volume(const std::string& object, const VolumeId& volume, std::int64_t bytes) {
    std::vector<std::string> argv{"lvcreate", "--name", object, "--yes", "--wipesignatures", "y"};
    if (thin()) {
        argv.insert(argv.end(), {"--thin", "--virtualsize", fmt::format("{}b", bytes), in_group(thin_pool())});
    } else {
        argv.insert(argv.end(), {"--size", fmt::format("{}b", bytes)});
        if (const auto stripes = value_of(volume, "lvm.stripes"); !stripes.empty())
            argv.insert(argv.end(), {"--stripes", operand(stripes)});
        if (const auto size = value_of(volume, "lvm.stripes.size"); !size.empty())
            argv.insert(argv.end(), {"--stripesize", fmt::format("{}b", text::parse_bytes(size))});
        argv.push_back(group());
    }
    tools().run(std::move(argv));
}

/// Filesystems are at rest while this happens: the kernel freezes what is mounted from the source.
void LvmDriver::make_snapshot(const std::string& object, const Volume& source) {
    std::vector<std::string> argv{"lvcreate", "--name",       object, "--snapshot", "--setactivationskip",
                                  "n",        "--permission", "rw"};
    // Room for every block of the origin: a snapshot that runs full is lost.
    if (!thin())
        argv.insert(argv.end(),
                    {"--size", fmt::format("{}b", source.size), "--addtag", fmt::format("{}{}", kSize, source.size)});
    argv.push_back(in_group(source.name));
    tools().run(std::move(argv));
}

Staged LvmDriver::stage(const VolumeId& as) {
    lvm_name(as); // a bad name is refused before anything is made
    Staged staged{as, std::string{kNew} + text::random_hex(12)};
    const auto wanted = text::parse_bytes(value_of(as, "size", "0"));
    make_volume(staged.name, as, rounded(wanted > 0 ? wanted : filesystem::kDefaultSize));
    Rollback undo;
    undo.add([&] { discard(staged); });
    if (as.block) {
        // Of a thin pool it reads as zeros; here lies what somebody deleted.
        if (!thin()) host().zero_device(block_device(staged.name), 0);
        undo.commit();
        return staged;
    }
    filesystem::make(tools(), device(staged.name), value_of(as, "block.filesystem", filesystem::kDefault));
    {
        const auto top = open_staged(staged);
        if (::fchmod(top.fd(), as.place == VolumePlace::Custom ? 0711 : 0100) != 0) throw_errno(top.path());
        top.remove("lost+found"); // of ext4, and in the way of one that is copied or unpacked
    }
    undo.commit();
    return staged;
}

Staged LvmDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    lvm_name(as);
    const auto all = volumes();
    const auto it = all.find(object_of(source));
    if (it == all.end()) throw Error{ErrorCode::NotFound, "LVM volume not found"};
    const auto* from = &it->second;
    const auto bytes = content_size(*from, all);
    Staged staged{as, std::string{kNew} + text::random_hex(12)};
    Rollback undo;
    const bool own_snapshot =
        !as.snapshot.empty() && as.place == source.place && as.name == source.name && source.snapshot.empty();
    if (thin() || own_snapshot) {
        make_snapshot(staged.name, *from);
        undo.add([&] { discard(staged); });
    } else {
        const auto size = as.snapshot.empty() ? as.config.find("size") : as.config.end();
        const auto wanted = size == as.config.end() ? 0 : text::parse_bytes(size->second);
        make_volume(staged.name, as, wanted > bytes ? rounded(wanted) : bytes);
        undo.add([&] { discard(staged); });
        auto still = from->name;
        Rollback frozen;               // in any case
        if (source.snapshot.empty()) { // it may be in use
            still = std::string{kNew} + text::random_hex(12);
            make_snapshot(still, *from);
            frozen.add([&] { tools().run({"lvremove", "-f", in_group(still)}); });
        }
        activate(still);
        host().copy_device(device(still), device(staged.name), bytes, stop);
        if (as.block) host().zero_device(device(staged.name), bytes); // what somebody deleted
    }
    const auto type = as.block ? "" : host().filesystem_of(device(staged.name));
    // Replays its log, which a new identity asks for.
    if (type == "xfs" && as.snapshot.empty()) host().mount_detached(device(staged.name), root(), type, "nouuid");
    if (as.snapshot.empty() || type == "btrfs") filesystem::renew_identity(tools(), device(staged.name), type);
    undo.commit();
    return staged;
}

std::vector<std::string> LvmDriver::list(VolumePlace place) const {
    std::vector<std::string> names;
    for (const auto& [object, volume] : volumes())
        if (const auto id = lvm_volume(place, object); id && id->snapshot.empty() && !id->block)
            names.push_back(id->name);
    return names;
}

std::vector<std::string> LvmDriver::list_blocks() const {
    std::vector<std::string> names;
    for (const auto& [object, volume] : volumes())
        if (const auto id = lvm_volume(VolumePlace::Custom, object); id && id->snapshot.empty() && id->block)
            names.push_back(id->name);
    return names;
}

std::vector<std::string> LvmDriver::list_snapshots(const VolumeId& volume) const {
    std::vector<std::string> names;
    if (volume.place == VolumePlace::Image) return names;
    for (const auto& [object, found] : volumes())
        if (const auto id = lvm_volume(volume.place, object);
            id && id->name == volume.name && id->block == volume.block && !id->snapshot.empty())
            names.push_back(id->snapshot);
    return names;
}

} // namespace lxdcore::storage
