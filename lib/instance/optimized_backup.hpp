// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "instance/backup_writer.hpp"
#include "storage/storage_driver.hpp"

namespace lxdcore::instance {

/// Where the parts of a backup lie in its archive.
struct BackupLayout {
    std::string volume, snapshots; ///< "backup/container" and "backup/snapshots"

    static BackupLayout of_instance() { return {"backup/container", "backup/snapshots"}; }
    static BackupLayout of_volume() { return {"backup/volume", "backup/volume-snapshots"}; }
    /// Of the volume itself ("") or of a snapshot; with nothing behind it, a tree.
    std::string at(const std::string& snapshot) const { return snapshot.empty() ? volume : snapshots + "/" + snapshot; }
};

/// One stream of a backup in the form of its storage driver.
struct BackupPart {
    std::string snapshot; ///< "": of the volume itself
    std::string path;     ///< "/", or where it is in it
    bool read_only = false;
};

/// "backup/snapshots/s0.bin"; in that of a nested one '/' is '-' and '-' is "--".
std::string part_file(const BackupLayout& layout, const BackupPart& part);

/// optimized_header.yaml of a backup with these snapshots (null: it has none, and each is one part). Every snapshot and
/// the volume begin with "/". @throws Error InvalidArgument
std::vector<BackupPart> read_parts(const nlohmann::json& header, const std::vector<std::string>& snapshots);

/// The snapshots, oldest first, then the volume, each upon the one before; after a header where that is usual.
void write_optimized(BackupWriter& writer, const BackupLayout& layout, storage::StorageDriver& driver,
                     const storage::VolumeId& volume, const std::vector<std::string>& snapshots, bool header,
                     const Dir& folder, OperationContext& op);

/// Drivers whose backups have a header.
inline bool has_backup_header(const std::string& driver) { return driver == "btrfs"; }

} // namespace lxdcore::instance
