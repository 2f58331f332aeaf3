// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "config/config_keys.hpp"

namespace lxdcore::config {

/// The part of pool_keys() for ceph, cephfs, lvm and zfs.
std::span<const Key> program_pool_keys(std::string_view driver);

} // namespace lxdcore::config
