// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "util/dir.hpp"

namespace lxdcore::storage {

/// What LXD gives a pool in a file: a fifth of the disk, at least 5 and at most 30 GiB, but not more than there is.
/// "5GiB"
std::string default_loop_size(const Dir& state_dir);
/// @throws Error NoSpace when a file of @p bytes could not be filled
void check_loop_space(const Dir& state_dir, std::int64_t bytes);

} // namespace lxdcore::storage
