// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "util/dir.hpp"

namespace lxdcore::instance {

/// What a container has said on its console, in the folder of its logs: console.log, and console.log.1, which liblxc
/// has made of an earlier one that was full. Reentrant.
constexpr std::size_t kConsoleLog = 128 << 10; ///< as much as LXD remembers

/// The last kConsoleLog bytes.
std::string read_console_log(const Dir& logs);
void reset_console_log(const Dir& logs);

} // namespace lxdcore::instance
