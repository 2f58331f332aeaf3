// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "db/warning_repository.hpp"
#include "system/cgroup.hpp"

namespace lxdcore::instance {

/// What instances cannot have on this host, in LXD's words; "" where they can. @p apparmor is apparmor_problem().
std::map<db::WarningType, std::string> host_problems(const CgroupLayout& layout, const std::string& apparmor);
/// Keeps a warning about each of them, and settles those of a start before that are none any more.
void note_host_problems(db::Database& global, const std::map<db::WarningType, std::string>& problems);

} // namespace lxdcore::instance
