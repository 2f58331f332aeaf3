// SPDX-License-Identifier: Apache-2.0
#include "helper/verbs.hpp"

namespace lxdcore::helper {
void file_verb(const nlohmann::json&, Reply&) {}
} // namespace lxdcore::helper
