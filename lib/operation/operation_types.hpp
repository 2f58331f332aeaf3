// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace lxdcore {

/// LXD's numbers, stored in the table `operations`; append only.
enum OperationType : int {
    kUnknown = 0,
    kBackupCreate = 3,
    kBackupRename = 4,
    kBackupRestore = 5,
    kBackupRemove = 6,
    kConsoleShow = 7,
    kInstanceCreate = 8,
    kInstanceUpdate = 9,
    kInstanceRename = 10,
    kInstanceMigrate = 11,
    kInstanceLiveMigrate = 12,
    kInstanceFreeze = 13,
    kInstanceUnfreeze = 14,
    kInstanceDelete = 15,
    kInstanceStart = 16,
    kInstanceStop = 17,
    kInstanceRestart = 18,
    kCommandExec = 19,
    kSnapshotCreate = 20,
    kSnapshotRename = 21,
    kSnapshotRestore = 22,
    kSnapshotTransfer = 23,
    kSnapshotUpdate = 24,
    kSnapshotDelete = 25,
    kImageDownload = 26,
    kImageDelete = 27,
    kImageToken = 28,
    kImageRefresh = 29,
    kVolumeCopy = 30,
    kVolumeCreate = 31,
    kVolumeMigrate = 32,
    kVolumeMove = 33,
    kCertificateAddToken = 56,
};

/// "Creating instance" for kInstanceCreate.
std::string_view operation_description(int type);

} // namespace lxdcore
