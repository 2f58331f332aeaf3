// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <lxdcore/api/instance.hpp>
#include <lxdcore/export.hpp>

namespace lxdcore::api {

/// Appends what encode_json(nlohmann::json(value)) would, keys in the order of LXD's structs, without making the JSON
/// tree in between: for lists that are long. Reentrant.
LXDCORE_API void append_json(std::string& out, const Instance& value);

} // namespace lxdcore::api
