// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lxdcore::image {

/// LXD's number of an architecture's name or alias ("amd64").
std::optional<int> architecture_id(std::string_view name);
std::string architecture_name(int id); ///< "x86_64" for 2; "" for an unknown number

} // namespace lxdcore::image
