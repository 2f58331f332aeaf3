// SPDX-License-Identifier: Apache-2.0
#include "network/leases.hpp"

#include <algorithm>
#include <cctype>

#include "network/mac.hpp"
#include "system/ip.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::network {
namespace {

bool is_hostname(std::string_view text) {
    return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
    });
}

/// A DHCPv6 client names itself by a DUID; those of type link-layer end in the MAC.
std::string mac_of_duid(const std::string& duid) {
    const bool link_layer = (duid.size() == 41 && duid.starts_with("00:01:00:01:")) ||
                            (duid.size() == 29 && duid.starts_with("00:03:00:01:"));
    const std::string mac = link_layer ? duid.substr(duid.size() - 17) : "";
    return is_mac(mac) ? mac : "";
}

} // namespace

std::vector<Lease> parse_leases(std::string_view text) {
    std::vector<Lease> result;
    for (const std::string& line : text::split(text, '\n')) {
        if (names::has_control(line)) continue;
        const auto fields = text::split(line, ' ');
        if (fields.size() != 5 || !text::parse_int(fields[0])) continue; // "duid …" and damaged lines
        const auto address = IpAddress::parse(fields[2]);
        if (!address) continue;
        const std::string mac = address->family == AF_INET ? fields[1] : mac_of_duid(fields[4]);
        if (address->family == AF_INET && !is_mac(mac)) continue;
        result.push_back({is_hostname(fields[3]) ? fields[3] : "", text::lower(mac), address->str()});
    }
    return result;
}

} // namespace lxdcore::network
