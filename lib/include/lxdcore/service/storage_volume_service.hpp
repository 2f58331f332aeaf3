// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/storage_volume.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/storage_service.hpp>

namespace lxdcore {

/// A volume as a request names it.
struct VolumeRef {
    std::string pool;
    std::string project = "default";
    std::string type = "custom"; ///< container, image, custom, virtual-machine
    std::string name;
};

/// The volumes of all pools: all kinds can be looked at, custom ones made, changed and removed. Thread-safe; changes to
/// one volume run one after another. All throw Error NotFound "Storage pool not found" for an unknown pool,
/// "Storage pool volume not found" for an unknown volume, InvalidArgument "Invalid storage volume type name".
class LXDCORE_API StorageVolumeService {
public:
    virtual ~StorageVolumeService();
    /// With their snapshots, named "<volume>/<snapshot>". @p type "": all.
    virtual std::vector<api::StorageVolume> list(const std::string& pool, const std::string& project,
                                                 const std::string& type) const = 0;
    virtual api::StorageVolume get(const VolumeRef& ref) const = 0;
    /// @throws Error Internal "Not supported" where the pool does not count space
    virtual api::StorageVolumeState state(const VolumeRef& ref) const = 0;

    /// An empty volume at once, or the operation that copies (or refreshes) one. @p volume names no pool or project.
    /// @throws Error AlreadyExists, Internal for wrong options
    virtual OperationPtr create(const std::string& pool, const std::string& project,
                                const api::StorageVolumesPost& volume) = 0;
    /// Configuration, or the content of a snapshot (`restore`), or both.
    virtual void update(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) = 0;
    virtual void patch(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) = 0;
    /// Null when the volume was renamed at once; else the operation that moves it.
    virtual OperationPtr move(const VolumeRef& ref, const api::StorageVolumePost& change) = 0;
    /// @throws Error BadState "The storage volume is still in use"
    virtual void remove(const VolumeRef& ref) = 0;

    virtual std::vector<api::StorageVolumeSnapshot> snapshots(const VolumeRef& ref) const = 0;
    virtual api::StorageVolumeSnapshot snapshot(const VolumeRef& ref, const std::string& name) const = 0;
    virtual OperationPtr create_snapshot(const VolumeRef& ref, const api::StorageVolumeSnapshotsPost& snapshot) = 0;
    virtual void update_snapshot(const VolumeRef& ref, const std::string& name,
                                 const api::StorageVolumeSnapshotPut& change, const std::string& if_match) = 0;
    /// As update_snapshot(); what is not named stays.
    virtual void patch_snapshot(const VolumeRef& ref, const std::string& name,
                                const api::StorageVolumeSnapshotPut& change, const std::string& if_match) = 0;
    virtual OperationPtr rename_snapshot(const VolumeRef& ref, const std::string& name,
                                         const api::StorageVolumeSnapshotPost& change) = 0;
    virtual OperationPtr remove_snapshot(const VolumeRef& ref, const std::string& name) = 0;

    static std::string etag(const api::StorageVolume& volume);
    static std::string etag(const api::StorageVolumeSnapshot& snapshot);
};

} // namespace lxdcore
