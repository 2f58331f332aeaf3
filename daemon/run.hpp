// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "logging.hpp"

namespace lxdcore::daemon {

struct RunOptions {
    std::filesystem::path state_dir;
    std::string group; ///< may use the local socket; "": lxd if it exists
    LogOptions log;
    bool allow_empty_database = false; ///< although there are instances on disk
};

/// Runs the daemon until it is told to end; the exit code. Containers outlive it.
int run_daemon(const RunOptions& options);

} // namespace lxdcore::daemon
