// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include <lxdcore/extension/storage_backend.hpp>

#include "storage/storage_manager.hpp"

namespace lxdcore::storage {

/// Drivers that the program has added, by name.
using AddedDrivers = std::map<std::string, StorageBackendMaker>;

std::unique_ptr<StorageManager> make_storage_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, const Logger& log, AddedDrivers added);

} // namespace lxdcore::storage
