// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lxdcore {

/// As OperationType, of snapshots and backups of volumes.
enum VolumeOperationType : int {
    kVolumeSnapshotCreate = 34,
    kVolumeSnapshotDelete = 35,
    kVolumeSnapshotsExpire = 46,
    kVolumeBackupCreate = 47,
    kVolumeBackupRemove = 48,
    kVolumeBackupRename = 49,
    kVolumeBackupRestore = 50,
    kVolumeSnapshotRename = 53,
};

} // namespace lxdcore
