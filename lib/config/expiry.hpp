// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include <lxdcore/api/types.hpp>

namespace lxdcore::config {

/// When something made at @p from ends by LXD's expression "1H 30M"; unset for an empty one.
/// @throws Error InvalidArgument "Invalid expiry expression"
std::optional<api::Time> expiry_of(const std::string& expression, const api::Time& from);

} // namespace lxdcore::config
