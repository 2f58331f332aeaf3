// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "util/dir.hpp"
#include "util/template_engine.hpp"

namespace lxdcore::instance {

/// Writes the templates of metadata.yaml in @p volume that @p trigger asks for into its rootfs, never outside
/// of it (R2, R4). New files and directories get @p root_uid and @p root_gid: root of the instance as stored on disk.
/// @throws Error naming the file
void apply_templates(const Dir& volume, const std::string& trigger, const TemplateContext& context,
                     std::int64_t root_uid, std::int64_t root_gid);

} // namespace lxdcore::instance
