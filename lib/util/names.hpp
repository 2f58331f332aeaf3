// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

/// One validator per kind of name, for every way in: JSON, query, header, archive (R8, R9). All throw Error
/// InvalidArgument with LXD's text where clients know one.
namespace lxdcore::names {

void check_instance(std::string_view name); ///< hostname rule, 1 to 63, not numeric, no leading or trailing '-'
void check_profile(std::string_view name);  ///< no '/', not . or .., no control characters
void check_network(std::string_view name);  ///< interface name: 2 to 15, LXD's rule
void check_pool(std::string_view name);
void check_volume(std::string_view name);
void check_alias(std::string_view name); ///< image alias: may contain '/'
void check_device(std::string_view name);
void check_project(std::string_view name);
void check_log_file(std::string_view name);
void check_fingerprint(std::string_view full);          ///< exactly 64 of [0-9a-f]
void check_fingerprint_prefix(std::string_view prefix); ///< 12 to 64 of [0-9a-f]
/// Config key: no control characters, blanks or '='.
void check_config_key(std::string_view key);
/// True if @p text holds 0x00-0x1f or 0x7f.
bool has_control(std::string_view text);
/// True for valid UTF-8 without NUL.
bool is_utf8(std::string_view text);

} // namespace lxdcore::names
