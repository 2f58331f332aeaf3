// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "http/asio.hpp"
#include "http/router.hpp"

namespace lxdcore::daemon {

/// Below those of pools.
void add_storage_volume_routes(Router& router);
void add_volume_backup_routes(Router& router);

/// An upload that is to become a custom volume, and what answers it.
bool is_volume_backup(const Request& request);
Awaitable<Response> import_volume_backup(Exchange& exchange);

} // namespace lxdcore::daemon
