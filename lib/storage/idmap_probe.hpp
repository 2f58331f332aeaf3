// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "util/dir.hpp"

namespace lxdcore::storage {

/// Whether the filesystem of @p dir takes mounts with an id map, tried with a throw-away user namespace.
bool takes_idmapped_mounts(const Dir& dir);

} // namespace lxdcore::storage
