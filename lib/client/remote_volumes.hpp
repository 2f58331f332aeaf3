// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/storage_volume_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Volumes of the server's pools. Thread-safe.
class RemoteVolumes final : public StorageVolumeService {
public:
    explicit RemoteVolumes(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::StorageVolume> list(const std::string& pool, const std::string& project,
                                         const std::string& type) const override;
    api::StorageVolume get(const VolumeRef& ref) const override;
    api::StorageVolumeState state(const VolumeRef& ref) const override;

    OperationPtr create(const std::string& pool, const std::string& project,
                        const api::StorageVolumesPost& volume) override;
    void update(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) override;
    void patch(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) override;
    OperationPtr move(const VolumeRef& ref, const api::StorageVolumePost& change) override;
    void remove(const VolumeRef& ref) override;

    std::vector<api::StorageVolumeSnapshot> snapshots(const VolumeRef& ref) const override;
    api::StorageVolumeSnapshot snapshot(const VolumeRef& ref, const std::string& name) const override;
    OperationPtr create_snapshot(const VolumeRef& ref, const api::StorageVolumeSnapshotsPost& snapshot) override;
    void update_snapshot(const VolumeRef& ref, const std::string& name, const api::StorageVolumeSnapshotPut& change,
                         const std::string& if_match) override;
    void patch_snapshot(const VolumeRef& ref, const std::string& name, const api::StorageVolumeSnapshotPut& change,
                        const std::string& if_match) override;
    OperationPtr rename_snapshot(const VolumeRef& ref, const std::string& name,
                                 const api::StorageVolumeSnapshotPost& change) override;
    OperationPtr remove_snapshot(const VolumeRef& ref, const std::string& name) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
