// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <set>
#include <string>

#include <lxdcore/log.hpp>

#include "util/dir.hpp"

namespace lxdcore::instance {

/// Removes what LXD removes once a day from the folder of logs: of an instance that is there, *.log and *.log.old not
/// written to for 48 hours; of one that is gone, everything when nothing in it changed for a day. Recorded output of
/// commands stays until it is deleted. Never throws for a single folder; it is logged.
/// @param known folders of instances @param running those whose lxc.log and console.log are being written
void expire_logs(const Dir& logs, const std::set<std::string>& known, const std::set<std::string>& running,
                 std::chrono::system_clock::time_point now, const Logger& log);

} // namespace lxdcore::instance
