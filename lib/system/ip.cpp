// SPDX-License-Identifier: Apache-2.0
#include "system/ip.hpp"

#include <arpa/inet.h>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lxdcore {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string copy{text};
    IpAddress result;
    if (::inet_pton(AF_INET, copy.c_str(), result.bytes.data()) == 1) return result;
    result.bytes = {};
    result.family = AF_INET6;
    if (::inet_pton(AF_INET6, copy.c_str(), result.bytes.data()) == 1) return result;
    return std::nullopt;
}

std::string IpAddress::str() const {
    char buffer[INET6_ADDRSTRLEN];
    return ::inet_ntop(family, bytes.data(), buffer, sizeof buffer);
}

IpAddress IpAddress::plus(int delta) const {
    IpAddress result = *this;
    std::int64_t carry = delta;
    for (std::size_t i = size(); i-- > 0 && carry != 0;) {
        const std::int64_t sum = result.bytes[i] + carry;
        result.bytes[i] = static_cast<std::uint8_t>(sum & 0xff);
        carry = sum >> 8;
    }
    return result;
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view cidr) {
    const auto slash = cidr.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto digits = cidr.substr(slash + 1);
    const auto address = IpAddress::parse(cidr.substr(0, slash));
    if (!address || digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return std::nullopt;
    const auto prefix = text::parse_int(digits);
    if (!prefix || *prefix > address->bits()) return std::nullopt;
    return IpNetwork{*address, static_cast<unsigned>(*prefix)};
}

namespace {

IpAddress masked(const IpNetwork& network, std::uint8_t fill) {
    IpAddress result = network.address;
    for (unsigned bit = network.prefix; bit < result.bits(); ++bit) {
        const auto mask = static_cast<std::uint8_t>(0x80 >> (bit % 8));
        auto& byte = result.bytes[bit / 8];
        byte = static_cast<std::uint8_t>((byte & ~mask) | (fill & mask));
    }
    return result;
}

} // namespace

IpAddress IpNetwork::first() const { return masked(*this, 0x00); }
IpAddress IpNetwork::last() const { return masked(*this, 0xff); }

bool IpNetwork::contains(const IpAddress& other) const {
    return other.family == address.family && first() <= other && other <= last();
}

bool IpNetwork::overlaps(const IpNetwork& other) const { return contains(other.first()) || other.contains(first()); }

std::string IpNetwork::str() const { return fmt::format("{}/{}", address.str(), prefix); }
std::string IpNetwork::network_str() const { return fmt::format("{}/{}", first().str(), prefix); }

} // namespace lxdcore
