// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "storage/tools/tools.hpp"

namespace lxdcore::storage {

/// Clusters, users and pools: nothing that a program could take for an option or a list (R7). @throws Internal
const std::string& checked_ceph_name(const std::string& name);
/// @throws Error Internal with LXD's text when a program is missing
void require_ceph(const Tools& tools);

} // namespace lxdcore::storage
