// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <lxdcore/api/types.hpp>
#include <lxdcore/error.hpp>

namespace lxdcore {

/// A pool of a driver that a program adds to a Core (CoreOptions::storage_drivers). The backend brings a filesystem;
/// what is in it (layout, staging, snapshots, repair after a crash) is the library's business, as with the driver
/// "dir". Reentrant: one object per pool; calls for a pool come one after another, except clone_tree().
class LXDCORE_API StorageBackend {
public:
    virtual ~StorageBackend();
    /// Checks and completes the configuration of a pool, which is kept with it: of a new one, and of one that is
    /// changed. Keys "user.*" are not shown. @throws Error InvalidArgument
    virtual void prepare(api::StringMap& config) const = 0;
    /// Makes the filesystem; safe to repeat after an interruption.
    virtual void create() = 0;
    /// Puts it at @p place, an empty directory, unless it is there already. Called for a new pool and at every start.
    /// @throws Error Unavailable: the pool is shown so, and tried again when it is needed
    virtual void mount(const std::filesystem::path& place) = 0;
    /// Takes a changed configuration into use, before it is stored. By default that happens at the next mount.
    virtual void update(const api::StringMap& config);
    virtual void unmount(const std::filesystem::path& place) = 0; ///< absent is fine
    /// Removes the filesystem with all that is in it; unmounted before. Absent is fine.
    virtual void destroy() = 0;
    /// Fills the empty directory @p target with all of @p source (both descriptors are of the mounted filesystem) in a
    /// better way than copying: a snapshot, shared extents. False: it cannot, and nothing has been done.
    virtual bool clone_tree(int source, int target);
};

/// Makes the backend of one pool. @p config is that of the pool: empty keys are left out.
using StorageBackendMaker =
    std::function<std::unique_ptr<StorageBackend>(const std::string& pool, const api::StringMap& config)>;

} // namespace lxdcore
