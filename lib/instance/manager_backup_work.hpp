// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "instance/manager.hpp"
#include "util/compressed_output.hpp"

namespace lxdcore::instance {

/// One backup between the request and the row.
struct Manager::BackupWork {
    InstanceRef ref;
    db::BackupRow row;
    Compression compression;
};

} // namespace lxdcore::instance
