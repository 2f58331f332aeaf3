// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lxdcore::daemon {

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

/// Undoes percent-encoding once. Nothing for a bad escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
/// All of RFC 3986's unreserved characters stay, the rest becomes %XX.
std::string percent_encode(std::string_view text);
/// "a=1&b": the pairs in order, decoded; a pair with a bad escape is left out, as Go does.
QueryPairs parse_query(std::string_view query);
/// True for well-formed UTF-8 without NUL (R57).
bool is_clean_utf8(std::string_view text);
bool iequals(std::string_view a, std::string_view b);
std::string lower(std::string_view text);

} // namespace lxdcore::daemon
