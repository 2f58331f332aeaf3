// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lxdcore {

/// As OperationType, of snapshots of volumes.
enum VolumeOperationType : int {
    kVolumeSnapshotCreate = 34,
    kVolumeSnapshotDelete = 35,
    kVolumeSnapshotsExpire = 46,
    kVolumeSnapshotRename = 53,
};

} // namespace lxdcore
