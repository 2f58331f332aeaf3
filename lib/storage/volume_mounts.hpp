// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include "storage/storage_driver.hpp"
#include "util/locked.hpp"

namespace lxdcore::storage {

/// A volume's directory and what keeps it mounted; both live together.
struct MountedDir {
    std::shared_ptr<const void> mount; ///< first, so that it goes after the descriptor
    Dir dir;
};

/// The bytes of a block volume, which can be read for as long as this lives.
struct OpenBlock {
    std::shared_ptr<const void> mount;
    UniqueFd file;
    std::int64_t size = 0; ///< bytes; a device may have more
};

/// Who uses which volume of a pool: mounted for the first, unmounted after the last. Costs nothing with drivers whose
/// volumes are directories of the pool. Thread-safe.
class VolumeMounts {
public:
    /// @throws NotFound. @p driver lives on as long as the result.
    MountedDir open(const std::shared_ptr<StorageDriver>& driver, const VolumeId& volume);
    OpenBlock open_block(const std::shared_ptr<StorageDriver>& driver, const VolumeId& volume);
    /// The mount alone, for what reaches the volume by its path: a running instance. Null where nothing is to mount.
    std::shared_ptr<const void> hold(const std::shared_ptr<StorageDriver>& driver, const VolumeId& volume);
    bool in_use(const VolumeId& volume) const;
    /// Unmounts what nobody here uses: an earlier process did. What is still busy stays.
    void unmount_others(StorageDriver& driver);

private:
    using Counts = Locked<std::map<std::string, unsigned>>;
    static std::string key(const VolumeId& volume);
    std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

} // namespace lxdcore::storage
