// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace lxdcore {

/// The name of the next snapshot by LXD's `snapshots.pattern`: a template that may look at creation_date, with at most
/// one "%d" for the next free number; "" is "snap%d". A name that is taken gets "-0", "-1", … Reentrant.
/// @throws Error InvalidArgument; the name itself has still to be checked
std::string next_snapshot_name(const std::string& pattern, std::chrono::system_clock::time_point now,
                               const std::vector<std::string>& taken);

/// What every snapshot name must keep to, whichever way it came (R8). @throws Error InvalidArgument with LXD's text
void check_snapshot_name(const std::string& name);

} // namespace lxdcore
