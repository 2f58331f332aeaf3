// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <lxdcore/api/types.hpp>

/// Fields of documents that come with backups, of which nothing is taken for granted (R52).
namespace lxdcore::instance::backup_fields {

using Json = nlohmann::json;

inline constexpr std::size_t kMostSnapshots = 10'000;

[[noreturn]] void refuse(std::string_view why); ///< @throws Error InvalidArgument "Invalid backup: …"
/// The member of an object; null when it has none. @throws Error for what is no object
const Json& member(const Json& object, const char* key);
std::string text_at(const Json& object, const char* key); ///< "" when there is none
bool flag_at(const Json& object, const char* key);
std::vector<std::string> list_at(const Json& object, const char* key);
api::Time time_at(const Json& object, const char* key);

} // namespace lxdcore::instance::backup_fields
