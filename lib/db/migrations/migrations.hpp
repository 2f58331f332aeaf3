// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace lxdcore::db {

// One file each; a number is never reused and a landed file never changes.
extern const std::string_view local_0001;
extern const std::string_view global_0001;

} // namespace lxdcore::db
