// SPDX-License-Identifier: Apache-2.0
#include "network/leases.hpp"

#include <algorithm>
#include <cctype>

#include "system/ip.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::network {
namespace {

bool is_mac(std::string_view text) {
    if (text.size() != 17) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i % 3 == 2 ? text[i] != ':' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) return false;
    }
    return true;
}

bool is_hostname(std::string_view text) {
    return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
    });
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
        const bool mac = is_mac(fields[1]);
        if (address->family == AF_INET && !mac) continue;
        result.push_back({is_hostname(fields[3]) ? fields[3] : "", mac ? text::lower(fields[1]) : "", address->str()});
    }
    return result;
}

} // namespace lxdcore::network
