// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "system/ip.hpp"

namespace lxdcore::network {

/// Fills the bytes with random ones.
using RandomBytes = std::function<void(std::uint8_t* out, std::size_t count)>;

/// 10.x.y.1/24 and fd42:…::1/64 that overlap nothing in @p taken (default routes are no obstacle).
/// @throws Error Internal with LXD's text after a bounded number of tries
IpNetwork choose_ipv4(const std::vector<IpNetwork>& taken, const RandomBytes& random);
IpNetwork choose_ipv6(const std::vector<IpNetwork>& taken, const RandomBytes& random);

} // namespace lxdcore::network
