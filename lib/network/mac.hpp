// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace lxdcore::network {

bool is_mac(std::string_view text); ///< six bytes of hex separated by colons
std::string random_mac();           ///< 00:16:3e:…, as LXD makes them

} // namespace lxdcore::network
