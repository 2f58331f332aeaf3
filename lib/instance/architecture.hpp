// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace lxdcore::instance {

/// LXD's number of an architecture name as stored in the database; aliases ("amd64") are known.
/// @throws Error Internal "Architecture isn't supported: foo"
int architecture_id(std::string_view name);
std::string architecture_name(int id); ///< "" for an unknown number
std::string host_architecture();       ///< canonical name
/// True if this host runs programs of @p name: its own, or the 32-bit one beside it.
bool runs_here(std::string_view name);

} // namespace lxdcore::instance
