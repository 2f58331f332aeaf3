// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/types.hpp>
#include <lxdcore/export.hpp>

namespace lxdcore::api {

/// One template of an image: which file of templates/ is written, and when. Unset lists and maps are null in JSON.
struct ImageTemplate {
    std::optional<std::vector<std::string>> when; ///< create, copy, rename, start
    bool create_only = false;                     ///< never over a file that exists
    std::string source;                           ///< "template": name below templates/
    std::optional<StringMap> properties;
};

/// metadata.yaml of an image or an instance.
struct ImageMetadata {
    std::string architecture;
    std::int64_t creation_date = 0, expiry_date = 0; ///< seconds since 1970
    std::optional<StringMap> properties;
    std::optional<std::map<std::string, ImageTemplate>> templates; ///< by the path that is written
};

/// Every key. Like the functions below reentrant.
LXDCORE_API void to_json(nlohmann::json& json, const ImageMetadata& value);
/// Keys that are absent leave the member as it is. @throws Error InvalidArgument
LXDCORE_API void from_json(const nlohmann::json& json, ImageMetadata& value);
/// The JSON text with the keys in LXD's order, which its ETag is made of.
LXDCORE_API std::string json_text(const ImageMetadata& value);
/// @throws Error InvalidArgument, TooLarge
LXDCORE_API ImageMetadata metadata_from_yaml(const std::string& text);
/// What metadata_from_yaml() reads again; null becomes empty. @throws Error TooLarge for more than that takes
LXDCORE_API std::string metadata_to_yaml(const ImageMetadata& value);

} // namespace lxdcore::api
