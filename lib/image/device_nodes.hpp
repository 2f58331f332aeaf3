// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "util/dir.hpp"
#include "util/helper_program.hpp"

namespace lxdcore::image {

/// Cage::unpack_backup() of a privileged instance: the host makes the device nodes that the cage must leave out. Those
/// of a squashfs stay away. Reentrant.
void unpack_backup_with_devices(const HelperProgram& helper, int archive, const Dir& target, const std::string& prefix,
                                std::stop_token stop);

} // namespace lxdcore::image
