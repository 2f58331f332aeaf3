// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lxdcore::instance {

/// Lines of raw.lxc as liblxc reads them: leading blanks dropped, comments and empty lines left out, key and value
/// split at the first '=', blanks and one pair of quotes around the value removed. Keys in lower case (R14).
/// @throws Error InvalidArgument for a line without '=' or with control characters
std::vector<std::pair<std::string, std::string>> parse_raw_lxc(std::string_view raw);

/// Refuses what would break our hold on the container: its log, its name and cgroup, prlimits, hooks that run before
/// anything is contained, includes. @throws Error InvalidArgument with LXD's text
void check_raw_lxc(std::string_view raw);

/// Refuses what acts outside of the container or decides about its ids: includes, id maps, hooks, mounts (R14).
/// @throws Error InvalidArgument
void check_contained(std::string_view raw);

/// The lines that are liblxc's, in its form; without id maps, which are part of the container's map.
std::string raw_lxc_text(std::string_view raw);

} // namespace lxdcore::instance
