// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/types.hpp>

namespace lxdcore::image {

/// What metadata.yaml says about an image.
struct ImageMetadata {
    int architecture = 0;
    api::Time created_at, expires_at;
    api::StringMap properties;
};

/// Checks metadata.yaml, which the cage has parsed: types of all fields, architecture, dates, properties, template
/// names and sizes. @throws Error InvalidArgument with LXD's texts where it has one
ImageMetadata read_metadata(const nlohmann::json& document);

} // namespace lxdcore::image
