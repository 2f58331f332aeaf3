// SPDX-License-Identifier: Apache-2.0
#include "storage/pool_access.hpp"

#include <lxdcore/error.hpp>

#include "storage/custom_volumes.hpp"
#include "storage/manager_impl.hpp"

namespace lxdcore {

namespace storage {

PoolAccess& PoolAccess::of(StorageService& pools) {
    if (auto* access = dynamic_cast<PoolAccess*>(&pools)) return *access;
    throw Error{ErrorCode::Unsupported, "Custom storage volumes are not supported by this server"};
}

std::shared_ptr<StorageDriver> StorageManagerImpl::driver(const std::string& name) const {
    const auto pool = need_pool(name);
    return {pool, pool->driver.get()};
}

MountedDir StorageManagerImpl::open_content(const std::string& pool, const VolumeId& volume) const {
    return open_volume(need_pool(pool), volume);
}

OpenBlock StorageManagerImpl::open_block(const std::string& name, const VolumeId& volume) const {
    const auto pool = need_pool(name);
    return pool->mounts.open_block({pool, pool->driver.get()}, volume);
}

void StorageManagerImpl::discard_later(const std::string& pool, Staged staged) {
    queue_discard(find_pool(pool), std::move(staged));
}

CustomVolumes& StorageManagerImpl::custom() const {
    if (auto* volumes = custom_.load()) return *volumes;
    throw Error{ErrorCode::Unsupported, "Custom storage volumes are not supported by this server"};
}

void StorageManagerImpl::set_custom(CustomVolumes* volumes) { custom_ = volumes; }

} // namespace storage
} // namespace lxdcore
