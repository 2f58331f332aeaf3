// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace lxdcore::instance {

/// Asks the container's monitor for the pid of init by its command socket; -1 when no monitor answers. Forks nothing.
int lxc_init_pid(const std::string& lxc_path, const std::string& name);

} // namespace lxdcore::instance
