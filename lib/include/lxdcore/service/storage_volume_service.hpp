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
/// one volume run one after another. All throw Error NotFound "Storage pool not found" for an unknown pool, "Storage
/// pool volume not found" for an unknown volume or snapshot, InvalidArgument "Invalid storage volume type name",
/// StaleEtag where @p if_match is neither "" nor the etag(), and those that touch content Unavailable while the pool is
/// away. Wrong options are Internal, as with LXD.
class LXDCORE_API StorageVolumeService {
public:
    virtual ~StorageVolumeService();
    /// With their snapshots, named "<volume>/<snapshot>". @p type "": all.
    virtual std::vector<api::StorageVolume> list(const std::string& pool, const std::string& project,
                                                 const std::string& type) const = 0;
    /// With used_by.
    virtual api::StorageVolume get(const VolumeRef& ref) const = 0;
    /// In bytes; total 0: no limit. @throws Error Internal "Not supported" where the pool does not count space
    virtual api::StorageVolumeState state(const VolumeRef& ref) const = 0;

    /// Null: an empty custom volume has been made. Else the operation that copies (or refreshes) one. @p volume names
    /// no pool or project. @throws Error AlreadyExists, InvalidArgument (name, content type, source), Internal for
    /// wrong options, NoSpace, Unsupported (from other servers)
    virtual OperationPtr create(const std::string& pool, const std::string& project,
                                const api::StorageVolumesPost& volume) = 0;
    /// Configuration, or the content of a snapshot (`restore`), or both. @throws Error Internal for wrong options, an
    /// unknown snapshot, and while running instances use what is to be restored
    virtual void update(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) = 0;
    /// Adds keys; the description is replaced (as LXD), `restore` ignored.
    virtual void patch(const VolumeRef& ref, const api::StorageVolumePut& change, const std::string& if_match) = 0;
    /// Null when the volume was renamed at once; else the operation that moves it to another pool or project. @throws
    /// Error AlreadyExists, Internal while running instances or the server use it, InvalidArgument (name, not a custom
    /// one), Unsupported (to other servers)
    virtual OperationPtr move(const VolumeRef& ref, const api::StorageVolumePost& change) = 0;
    /// With its snapshots and backups. @throws Error BadState "The storage volume is still in use", InvalidArgument for
    /// one that is not custom
    virtual void remove(const VolumeRef& ref) = 0;

    /// Named "<volume>/<snapshot>", in the order of their making; none of an unknown volume (as LXD).
    virtual std::vector<api::StorageVolumeSnapshot> snapshots(const VolumeRef& ref) const = 0;
    /// Named without the volume.
    virtual api::StorageVolumeSnapshot snapshot(const VolumeRef& ref, const std::string& name) const = 0;
    /// Of a custom one. @throws Error AlreadyExists, InvalidArgument (name, kind, a volume of the server's own)
    virtual OperationPtr create_snapshot(const VolumeRef& ref, const api::StorageVolumeSnapshotsPost& snapshot) = 0;
    /// Description and expiry; what is not named goes.
    virtual void update_snapshot(const VolumeRef& ref, const std::string& name,
                                 const api::StorageVolumeSnapshotPut& change, const std::string& if_match) = 0;
    /// As update_snapshot(); what is not named stays.
    virtual void patch_snapshot(const VolumeRef& ref, const std::string& name,
                                const api::StorageVolumeSnapshotPut& change, const std::string& if_match) = 0;
    /// @throws Error InvalidArgument (name, kind), Unsupported. A name that is taken fails the operation.
    virtual OperationPtr rename_snapshot(const VolumeRef& ref, const std::string& name,
                                         const api::StorageVolumeSnapshotPost& change) = 0;
    /// @throws Error InvalidArgument for one of another kind than custom
    virtual OperationPtr remove_snapshot(const VolumeRef& ref, const std::string& name) = 0;

    /// Of [name, type, config].
    static std::string etag(const api::StorageVolume& volume);
    /// Of [description, expires_at].
    static std::string etag(const api::StorageVolumeSnapshot& snapshot);
};

} // namespace lxdcore
