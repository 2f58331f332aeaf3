// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lxdcore::text {

std::vector<std::string> split(std::string_view text, char separator); ///< empty text: empty list
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string trim(std::string_view text);
std::string lower(std::string_view text);
bool is_true(std::string_view text);  ///< true, 1, yes, on (any case), as LXD
bool is_false(std::string_view text); ///< false, 0, no, off
/// "64MiB", "1GB", "512": bytes. @throws Error InvalidArgument with LXD's text
std::int64_t parse_bytes(std::string_view text);
std::optional<std::int64_t> parse_int(std::string_view text); ///< whole text, base 10
std::string quote(std::string_view text);                     ///< Go's %q
std::string uuid4();
std::string random_hex(std::size_t bytes); ///< from getrandom
bool equal_constant_time(std::string_view a, std::string_view b);
std::string sha256_hex(std::string_view data);
/// Length of the valid UTF-8 sequence at the front of a text that is not empty, 0 if there is none.
std::size_t decode_utf8(std::string_view text, char32_t& rune);
std::string base64(std::string_view data);
std::optional<std::string> base64_decode(std::string_view text);

} // namespace lxdcore::text
