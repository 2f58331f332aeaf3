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

void LvmDriver::resize(const std::string& object, std::int64_t bytes) {
    tools().run({"lvresize", "-L", fmt::format("{}b", bytes), "-f", in_group(object)});
}

/// A device larger than its filesystem is harmless, the other way round is the end of it: after an interruption a
/// repetition continues.
void LvmDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    if (bytes <= 0) return;
    const auto object = object_of(volume);
    const auto now = find(object);
    if (!now) throw Error{ErrorCode::NotFound, "LVM volume not found"};
    const auto wanted = rounded(bytes);
    activate(object);
    const auto type = host().filesystem_of(device(object));
    if (wanted >= now->size) {
        if (wanted > now->size) resize(object, wanted);
        while_mounted(volume, [&](const Dir& content) { filesystem::grow(tools(), device(object), type, content); });
        return;
    }
    if (filesystem::shrinks_mounted(type)) {
        while_mounted(volume,
                      [&](const Dir& content) { filesystem::shrink(tools(), device(object), type, wanted, &content); });
    } else {
        if (filesystem::can_shrink(type) && mounted(volume)) throw Error{ErrorCode::BadState, "In use"};
        filesystem::shrink(tools(), device(object), type, wanted, nullptr);
    }
    resize(object, wanted);
}

std::int64_t LvmDriver::usage(const VolumeId& volume) const {
    if (!volume.snapshot.empty()) return -1; // what it shares is not known
    if (mounted(volume)) return static_cast<std::int64_t>(host().space(open(volume)).used);
    const auto now = find(object_of(volume));
    if (!now || !thin()) return -1;
    return static_cast<std::int64_t>(static_cast<double>(now->size) * now->used_percent / 100);
}

} // namespace lxdcore::storage
