// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "http/router.hpp"

namespace lxdcore::daemon {

/// Below those of pools.
void add_storage_volume_routes(Router& router);

} // namespace lxdcore::daemon
