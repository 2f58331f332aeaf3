// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/lvm/lvm_driver.hpp"
#include "storage/drivers/mounted/filesystem.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

/// The group's unit of space.
std::int64_t LvmDriver::rounded(std::int64_t bytes) const {
    const auto out =
        tools().run({"vgs", "--noheadings", "--units", "b", "--nosuffix", "-o", "vg_extent_size", group()});
    const auto unit = text::parse_int(text::trim(out)).value_or(std::int64_t{4} << 20);
    return (bytes + unit - 1) / unit * unit;
}

std::vector<std::string> LvmDriver::dependents(const std::string& object,
                                               const std::map<std::string, Volume>& all) const {
    std::vector<std::string> names;
    if (thin()) return names;
    for (const auto& [name, volume] : all)
        if (volume.origin == object) names.push_back(name);
    return names;
}

/// What has copy-on-write snapshots grows only while nobody uses it, and they with it: they must not run full.
void LvmDriver::resize(const Volume& volume, const std::vector<std::string>& snapshots, std::int64_t bytes) {
    const auto size = fmt::format("{}b", bytes);
    if (!snapshots.empty() &&
        tools().ask({"lvchange", "--activate", "n", "--ignoreactivationskip", in_group(volume.name)}).code != 0)
        throw Error{ErrorCode::BadState, "In use"};
    tools().run({"lvresize", "-L", size, "-f", in_group(volume.name)});
    for (const auto& snapshot : snapshots)
        tools().run({"lvresize", "-L", size, "-f", in_group(snapshot)});
    if (!snapshots.empty()) activate(volume.name);
}

/// A device larger than its filesystem is harmless, the other way round is the end of it: after an interruption a
/// repetition continues.
void LvmDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    if (bytes <= 0) return;
    const auto object = object_of(volume);
    const auto all = volumes();
    const auto it = all.find(object);
    if (it == all.end()) throw Error{ErrorCode::NotFound, "LVM volume not found"};
    const auto& now = it->second;
    const auto snapshots = dependents(object, all);
    const auto wanted = rounded(bytes);
    if (volume.block) {
        refuse_block_shrink(wanted, now.size);
        if (wanted == now.size) return;
        resize(now, snapshots, wanted);
        if (!thin()) host().zero_device(block_device(object), now.size); // what somebody deleted
        return;
    }
    activate(object);
    const auto type = host().filesystem_of(device(object));
    if (wanted >= now.size) {
        if (wanted > now.size) resize(now, snapshots, wanted);
        while_mounted(volume, [&](const Dir& content) { filesystem::grow(tools(), device(object), type, content); });
        return;
    }
    if (!snapshots.empty()) throw Error{ErrorCode::Internal, "Volumes with snapshots cannot be shrunk in this pool"};
    if (filesystem::shrinks_mounted(type)) {
        while_mounted(volume,
                      [&](const Dir& content) { filesystem::shrink(tools(), device(object), type, wanted, &content); });
    } else {
        if (filesystem::can_shrink(type) && mounted(volume)) throw Error{ErrorCode::BadState, "In use"};
        filesystem::shrink(tools(), device(object), type, wanted, nullptr);
    }
    resize(now, snapshots, wanted);
}

std::int64_t LvmDriver::usage(const VolumeId& volume) const {
    if (!volume.snapshot.empty()) return -1; // what it shares is not known
    if (mounted(volume)) return static_cast<std::int64_t>(host().space(open(volume)).used);
    const auto now = find(object_of(volume));
    if (!now || !thin()) return -1;
    return static_cast<std::int64_t>(static_cast<double>(now->size) * now->used_percent / 100);
}

} // namespace lxdcore::storage
