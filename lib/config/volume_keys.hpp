// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config_keys.hpp"

namespace lxdcore::config {

/// Custom volumes, filesystems of directories and subvolumes; those of a block volume have no security.*.
std::span<const Key> volume_keys();
/// One of them, or one that volumes of this driver have beside them (what its pools have as "volume.<name>").
const Key* find_volume_key(std::string_view driver, std::string_view name);

} // namespace lxdcore::config
