// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <lxdcore/api/types.hpp>

namespace lxdcore::device {

/// limits.ingress, limits.egress and limits.max of a NIC, in bits per second as the guest sees the direction; 0: none.
struct NicRate {
    std::uint64_t ingress = 0, egress = 0;
    bool any() const noexcept { return ingress != 0 || egress != 0; }
};

/// @throws Error InvalidArgument with LXD's text
NicRate nic_rate(const api::Device& nic);

/// "10Mbit", "1Gibit", "1000": bits. @throws Error InvalidArgument with LXD's text
std::uint64_t parse_bits(const std::string& text);

} // namespace lxdcore::device
