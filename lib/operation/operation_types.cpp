// SPDX-License-Identifier: Apache-2.0
#include "operation/operation_types.hpp"

#include "operation/volume_operation_types.hpp"

namespace lxdcore {

std::string_view operation_description(int type) {
    switch (type) {
    case kBackupCreate:
        return "Backing up instance";
    case kBackupRename:
        return "Renaming instance backup";
    case kBackupRestore:
        return "Restoring backup";
    case kBackupRemove:
        return "Removing instance backup";
    case kConsoleShow:
        return "Showing console";
    case kInstanceCreate:
        return "Creating instance";
    case kInstanceUpdate:
        return "Updating instance";
    case kInstanceRename:
        return "Renaming instance";
    case kInstanceMigrate:
        return "Migrating instance";
    case kInstanceLiveMigrate:
        return "Live-migrating instance";
    case kInstanceFreeze:
        return "Freezing instance";
    case kInstanceUnfreeze:
        return "Unfreezing instance";
    case kInstanceDelete:
        return "Deleting instance";
    case kInstanceStart:
        return "Starting instance";
    case kInstanceStop:
        return "Stopping instance";
    case kInstanceRestart:
        return "Restarting instance";
    case kCommandExec:
        return "Executing command";
    case kSnapshotCreate:
        return "Snapshotting instance";
    case kSnapshotRename:
        return "Renaming snapshot";
    case kSnapshotRestore:
        return "Restoring snapshot";
    case kSnapshotTransfer:
        return "Transferring snapshot";
    case kSnapshotUpdate:
        return "Updating snapshot";
    case kSnapshotDelete:
        return "Deleting snapshot";
    case kImageDownload:
        return "Downloading image";
    case kImageDelete:
        return "Deleting image";
    case kImageToken:
        return "Image download token";
    case kImageRefresh:
        return "Refreshing image";
    case kVolumeCopy:
        return "Copying storage volume";
    case kVolumeCreate:
        return "Creating storage volume";
    case kVolumeMigrate:
        return "Migrating storage volume";
    case kVolumeMove:
        return "Moving storage volume";
    case kVolumeSnapshotCreate:
        return "Creating storage volume snapshot";
    case kVolumeSnapshotDelete:
        return "Deleting storage volume snapshot";
    case kVolumeSnapshotsExpire:
        return "Cleaning up expired volume snapshots";
    case kVolumeBackupCreate:
        return "Creating custom volume backup";
    case kVolumeBackupRemove:
        return "Deleting custom volume backup";
    case kVolumeBackupRename:
        return "Renaming custom volume backup";
    case kVolumeBackupRestore:
        return "Restoring custom volume backup";
    case kVolumeSnapshotRename:
        return "Renaming storage volume snapshot";
    case 45: // expired snapshots
        return "Cleaning up expired instance snapshots";
    default:
        return "Executing operation";
    }
}

} // namespace lxdcore
