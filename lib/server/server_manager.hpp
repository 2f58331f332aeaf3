// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/server_service.hpp>

#include "db/database.hpp"
#include "util/dir.hpp"

namespace lxdcore::server {

/// Makes server.crt and server.key if missing. @p storage_drivers: "storage_supported_drivers" of the environment
std::unique_ptr<ServerService> make_server_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                   EventService& events, OperationService& operations,
                                                   const nlohmann::json& storage_drivers, const Logger& log);

} // namespace lxdcore::server
