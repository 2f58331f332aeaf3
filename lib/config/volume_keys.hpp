// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config_keys.hpp"

namespace lxdcore::config {

/// Custom volumes, filesystems of directories and subvolumes; those of a block volume have no security.*.
std::span<const Key> volume_keys();

} // namespace lxdcore::config
