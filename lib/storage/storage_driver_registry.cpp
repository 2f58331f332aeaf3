// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/block_content.hpp"
#include "storage/drivers/btrfs/btrfs_driver.hpp"
#include "storage/drivers/ceph/ceph_driver.hpp"
#include "storage/drivers/cephfs/cephfs_driver.hpp"
#include "storage/drivers/dir/dir_driver.hpp"
#include "storage/drivers/lvm/lvm_driver.hpp"
#include "storage/drivers/zfs/zfs_driver.hpp"
#include "storage/program_drivers.hpp"
#include "storage/storage_driver.hpp"
#include "storage/storage_manager.hpp"

namespace lxdcore::storage {

StorageDriver::~StorageDriver() = default;
QuotaOps::~QuotaOps() = default;
SendReceiveOps::~SendReceiveOps() = default;
SendReceiveOps::Source::~Source() = default;
SendReceiveOps::Sink::~Sink() = default;

std::int64_t StorageDriver::block_bytes(const VolumeId& /*volume*/, int file) const { return block_size(file); }

UniqueFd StorageDriver::open_block(const VolumeId& volume) const {
    const auto content = open(volume);
    return content.open_file(kBlockFile, O_RDONLY);
}

UniqueFd StorageDriver::open_staged_block(const Staged& staged) const {
    return open_staged(staged).open_file(kBlockFile, O_RDWR | O_CREAT, 0600);
}

void StorageDriver::remove(const VolumeId& volume) {
    if (const auto trash = set_aside(volume)) discard(*trash);
}

StorageDriverRegistry StorageDriverRegistry::with_builtin_drivers() {
    StorageDriverRegistry registry;
    registry.add("btrfs", [](const PoolContext& pool) { return std::make_unique<BtrfsDriver>(pool); });
    registry.add("ceph", [](const PoolContext& pool) { return std::make_unique<CephDriver>(pool); });
    registry.add("cephfs", [](const PoolContext& pool) { return std::make_unique<CephfsDriver>(pool); });
    registry.add("dir", [](const PoolContext& pool) { return std::make_unique<DirDriver>(pool); });
    registry.add("lvm", [](const PoolContext& pool) { return std::make_unique<LvmDriver>(pool); });
    registry.add("zfs", [](const PoolContext& pool) { return std::make_unique<ZfsDriver>(pool); });
    return registry;
}

std::unique_ptr<StorageDriver> StorageDriverRegistry::make(const std::string& driver, const PoolContext& pool) const {
    if (const auto it = makers_.find(driver); it != makers_.end()) return it->second(pool);
    throw Error{ErrorCode::Internal, "Unknown driver"};
}

nlohmann::json supported_drivers() {
    auto list = nlohmann::json::array({{{"Name", "dir"}, {"Version", "1"}, {"Remote", false}}});
    try {
        list.push_back({{"Name", "btrfs"}, {"Version", BtrfsDriver::version()}, {"Remote", false}});
    } catch (const Error&) { // not here
    }
    const Logger quiet;
    Tools tools{quiet};
    for (const auto& driver : program_drivers(tools, Host{}))
        list.push_back({{"Name", driver.name}, {"Version", driver.version}, {"Remote", driver.remote}});
    return list;
}

} // namespace lxdcore::storage
