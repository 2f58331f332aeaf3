// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/log.hpp>

#include "util/dir.hpp"

namespace lxdcore::storage {

/// What a driver is made for.
struct PoolContext {
    std::string name;
    api::StringMap config;
    const Dir& state_dir; ///< $LXD_DIR; the pool's mount point is storage-pools/<name> in it
    const Logger& log;
};

/// Where volumes of one kind live in a pool.
enum class VolumePlace { Instance, Image };

/// Ability: limits on the space of a volume.
class QuotaOps {
public:
    virtual ~QuotaOps();
    virtual void set_quota(VolumePlace place, const std::string& volume, std::int64_t bytes) = 0;
    virtual std::int64_t usage(VolumePlace place, const std::string& volume) const = 0;
};

/// One pool on one backend. Reentrant; never called twice at once for the same volume. Volume names are directory names
/// that the caller has checked.
class StorageDriver {
public:
    virtual ~StorageDriver(); ///< in the .cpp: one vtable in one library

    /// Checks and completes the configuration of a new pool ("source"). @throws Error with LXD's texts
    virtual void prepare_config(api::StringMap& config) const = 0;
    virtual void create_pool() = 0; ///< safe to repeat after a failure
    virtual void delete_pool() = 0; ///< absent is fine
    virtual void mount_pool() = 0;  ///< idempotent; re-applies directory modes. @throws when the source is away
    virtual api::StoragePoolResources resources() const = 0;

    /// An empty volume under a staging name, not visible until publish(). Name of the staging directory.
    virtual std::string stage(VolumePlace place) = 0;
    /// A staged volume with the content of another; a driver with snapshots needs no copy.
    virtual std::string stage_copy(VolumePlace place, const Dir& source, const std::vector<std::string>& entries,
                                   std::stop_token stop) = 0;
    virtual Dir open_staged(VolumePlace place, const std::string& staged) const = 0;
    /// Makes a staged volume the volume @p name, in one step; never replaces.
    virtual void publish(VolumePlace place, const std::string& staged, const std::string& name) = 0;
    virtual void discard(VolumePlace place, const std::string& staged) noexcept = 0;

    virtual bool exists(VolumePlace place, const std::string& name) const = 0;
    virtual Dir open(VolumePlace place, const std::string& name) const = 0; ///< @throws NotFound
    virtual std::vector<std::string> list(VolumePlace place) const = 0;
    virtual void rename(VolumePlace place, const std::string& from, const std::string& to) = 0;
    /// Vanishes in one step, then its content goes; absent is fine.
    virtual void remove(VolumePlace place, const std::string& name) = 0;
    /// The first half of remove(): gives the name that discard() takes for the second, "" when absent.
    virtual std::string set_aside(VolumePlace place, const std::string& name) = 0;
    /// Removes what interrupted work left under staging names.
    virtual void sweep() = 0;

    virtual QuotaOps* quotas() noexcept { return nullptr; } ///< nullptr: none
};

/// Name to maker; explicit, so that the linker drops nothing and tests add their own. Reentrant.
class StorageDriverRegistry {
public:
    using Maker = std::function<std::unique_ptr<StorageDriver>(const PoolContext&)>;
    static StorageDriverRegistry with_builtin_drivers();
    void add(std::string name, Maker maker) { makers_[std::move(name)] = std::move(maker); }
    /// @throws Error Internal "Unknown driver", as LXD
    std::unique_ptr<StorageDriver> make(const std::string& driver, const PoolContext& pool) const;

private:
    std::map<std::string, Maker> makers_;
};

} // namespace lxdcore::storage
