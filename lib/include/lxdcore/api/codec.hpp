// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/types.hpp>
#include <lxdcore/export.hpp>

namespace lxdcore::api {

// All of these functions are reentrant.

/// Parses a request body with the bounds of R53 and R57: at most 16 MiB, depth 100, 100,000 nodes, valid UTF-8, no lone
/// surrogates, no NUL, no trailing bytes; of duplicate keys the last wins. @throws Error InvalidArgument, TooLarge
LXDCORE_API nlohmann::json parse_json(std::string_view text);
/// Go's encoding/json: sorted object keys, '<', '>', '&' and U+2028/9 escaped, no blanks, no newline at the end.
/// @throws Error Internal for a number that is not finite
LXDCORE_API std::string encode_json(const nlohmann::json& value);
/// SHA-256 (hex) over encode_json(fields) and a newline; @p fields is the list of editable fields in LXD's order.
LXDCORE_API std::string etag_of(const nlohmann::json& fields);
/// @throws Error StaleEtag with LXD's text if @p if_match is not empty and different (quotes are ignored)
LXDCORE_API void check_etag(const std::string& current, const std::string& if_match);
/// YAML of metadata.yaml, backup.yaml, preseed to JSON: at most 1 MiB, no aliases, depth 100 (R53). Scalars are strings
/// unless they are plain integers, booleans or null. @throws Error TooLarge (size), InvalidArgument "invalid YAML: …"
LXDCORE_API nlohmann::json parse_yaml(std::string_view text);
/// Block style, keys sorted; parse_yaml() gives the same value again.
LXDCORE_API std::string encode_yaml(const nlohmann::json& value);
/// An object whose values are scalars, as text: what YAML gives where a map of strings is wanted ("serial: 2023").
/// null is "". @throws Error InvalidArgument
LXDCORE_API StringMap to_string_map(const nlohmann::json& object);

} // namespace lxdcore::api
