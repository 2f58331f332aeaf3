// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <vector>

#include "image/cage.hpp"
#include "util/helper_program.hpp"

namespace lxdcore::image {

/// Cage::unpack_backup() of privileged instances: the host makes the device nodes that the cage must leave out.
/// Reentrant.
void unpack_backup_with_devices(const HelperProgram& helper, int archive, const std::vector<Cage::Tree>& trees,
                                std::stop_token stop);

} // namespace lxdcore::image
