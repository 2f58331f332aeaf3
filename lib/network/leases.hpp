// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lxdcore::network {

/// One line of dnsmasq.leases.
struct Lease {
    std::string hostname; ///< "" when the client has none
    std::string mac;      ///< "" for DHCPv6, which knows only a DUID
    std::string address;
};

/// Reads dnsmasq's lease file. Guests choose what stands in some of its fields: lines that are not of the expected
/// shape are skipped. Reentrant.
std::vector<Lease> parse_leases(std::string_view text);

} // namespace lxdcore::network
