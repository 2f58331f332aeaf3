// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lxdcore/operation.hpp>

#include "image/cage.hpp"
#include "instance/optimized_backup.hpp"
#include "storage/storage_driver.hpp"

namespace lxdcore::instance {

/// The files of an archive that is to become a volume with its snapshots. Reentrant.
struct BackupContent {
    enum class Kind { Instance, Filesystem, Block };
    Kind kind = Kind::Instance;
    std::shared_ptr<int> archive;
    bool devices = false;               ///< device nodes too: of a privileged instance
    std::vector<BackupPart> parts = {}; ///< in the form of a storage driver; empty: files

    /// What the archive has for each, staged: all or none. It is read once, whatever its order (streams: in theirs).
    /// @p space: where the pool is, for how much of it is free. @throws Error InvalidArgument, NoSpace, Cancelled
    std::vector<storage::Staged> stage(const HelperProgram& helper, storage::StorageDriver& driver,
                                       const std::vector<storage::VolumeId>& as, const Dir& space,
                                       const std::stop_token& stop) const;

private:
    struct Work;
    BackupLayout layout() const {
        return kind == Kind::Instance ? BackupLayout::of_instance() : BackupLayout::of_volume();
    }
};

/// The part of an index that says in which form the files are: their parts, none for plain files.
/// @throws Error InvalidArgument when the pool has another driver
std::vector<BackupPart> backup_parts(const image::Cage& cage, int archive, const std::string& backend,
                                     const std::vector<std::string>& snapshots, const std::string& pool_driver);

} // namespace lxdcore::instance
