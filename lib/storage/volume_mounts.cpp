// SPDX-License-Identifier: Apache-2.0
#include "storage/volume_mounts.hpp"

#include <exception>
#include <utility>

#include <fmt/format.h>

namespace lxdcore::storage {

std::string VolumeMounts::key(const VolumeId& volume) {
    return fmt::format("{}/{}/{}/{}", static_cast<int>(volume.place), volume.name, volume.snapshot, volume.block);
}

MountedDir VolumeMounts::open(const std::shared_ptr<StorageDriver>& driver, const VolumeId& volume) {
    auto mounted = hold(driver, volume);
    auto dir = driver->open(volume);
    return {std::move(mounted), std::move(dir)};
}

OpenBlock VolumeMounts::open_block(const std::shared_ptr<StorageDriver>& driver, const VolumeId& volume) {
    auto mounted = hold(driver, volume);
    auto file = driver->open_block(volume);
    const auto size = driver->block_bytes(volume, file.get());
    return {std::move(mounted), std::move(file), size};
}

std::shared_ptr<const void> VolumeMounts::hold(const std::shared_ptr<StorageDriver>& driver, const VolumeId& volume) {
    if (!driver->mounts_volumes()) return nullptr;
    // The lock is kept while mounting and unmounting: they take milliseconds, and whoever comes meanwhile needs the
    // result.
    const auto name = key(volume);
    const auto counts = counts_->lock();
    if (!counts->contains(name)) driver->mount_volume(volume);
    ++(*counts)[name];
    return {static_cast<const void*>(driver.get()), [shared = counts_, driver, volume, name](const void*) {
                const auto left = shared->lock();
                if (--(*left)[name] > 0) return;
                left->erase(name);
                try {
                    driver->unmount_volume(volume);
                } catch (const std::exception&) { // still busy: the next user finds it mounted
                }
            }};
}

void VolumeMounts::unmount_others(StorageDriver& driver) {
    const auto counts = counts_->lock();
    for (const auto& volume : driver.mounted_volumes()) {
        if (counts->contains(key(volume))) continue;
        try {
            driver.unmount_volume(volume);
        } catch (const std::exception&) { // the next user finds it mounted
        }
    }
}

bool VolumeMounts::in_use(const VolumeId& volume) const { return counts_->lock()->contains(key(volume)); }

} // namespace lxdcore::storage
