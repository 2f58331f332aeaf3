// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "util/unique_fd.hpp"

namespace lxdcore::instance {

/// The container's console, allocated by its monitor. Asks the monitor by its socket; forks nothing.
struct LxcConsole {
    UniqueFd lease;  ///< the monitor frees the console when this is closed
    UniqueFd master; ///< the pty
};

/// @throws Error BadState when somebody is attached already or the monitor does not answer
LxcConsole open_lxc_console(const std::string& lxc_path, const std::string& name);

} // namespace lxdcore::instance
