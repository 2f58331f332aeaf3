// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace lxdcore::instance {

/// A random "adjective-animal", a valid instance name.
std::string random_name();

} // namespace lxdcore::instance
