// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <lxdcore/event.hpp>
#include <lxdcore/service/warning_service.hpp>

#include "db/database.hpp"

namespace lxdcore::server {

std::unique_ptr<WarningService> make_warning_service(db::Database& global, EventService& events);

} // namespace lxdcore::server
