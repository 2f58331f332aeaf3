// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "storage/storage_manager.hpp"
#include "storage/volume_mounts.hpp"

namespace lxdcore::storage {

class CustomVolumes;
class ServerFolders;

/// The other face of a StorageManager: what volumes beside those of instances are made with. Thread-safe.
class PoolAccess {
public:
    virtual ~PoolAccess() = default;
    /// Of a pool that is there; lives as long as the pointer. @throws Error as StorageManager::require_pool()
    virtual std::shared_ptr<StorageDriver> driver(const std::string& pool) const = 0;
    /// The content of any volume or snapshot of the pool. @throws Error NotFound
    virtual MountedDir open_content(const std::string& pool, const VolumeId& volume) const = 0;
    /// The bytes of any block volume or snapshot of the pool. @throws Error NotFound
    virtual OpenBlock open_block(const std::string& pool, const VolumeId& volume) const = 0;
    /// Removes what was set aside, when nobody waits for it.
    virtual void discard_later(const std::string& pool, Staged staged) = 0;

    /// The custom volumes of these pools, which announce themselves. @throws Error Unsupported if there are none
    virtual CustomVolumes& custom() const = 0;
    virtual void set_custom(CustomVolumes* volumes) = 0;

    /// Where the server keeps images and backups.
    virtual ServerFolders& server_folders() noexcept = 0;
    /// What is used for tools that read what came from outside; before start().
    virtual void confine_with(const HelperProgram& helper) noexcept = 0;

    /// @throws Error Unsupported
    static PoolAccess& of(StorageService& pools);
};

} // namespace lxdcore::storage
