// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace lxdcore::api {

/// YAML with the keys in the order they have, laid out and quoted as LXD's: backup.yaml and index.yaml, which other
/// programs and people read. Texts under created_at, last_used_at and expires_at are moments and stand unquoted.
std::string encode_ordered_yaml(const nlohmann::ordered_json& value);

} // namespace lxdcore::api
