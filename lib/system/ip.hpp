// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lxdcore {

/// An IPv4 or IPv6 address. A value.
struct IpAddress {
    int family = AF_INET;
    std::array<std::uint8_t, 16> bytes{}; ///< network order; IPv4 uses the first four

    static std::optional<IpAddress> parse(std::string_view text);
    std::size_t size() const noexcept { return family == AF_INET ? 4 : 16; }
    unsigned bits() const noexcept { return family == AF_INET ? 32 : 128; }
    std::string str() const;
    IpAddress plus(int delta) const; ///< wraps around at the ends of the family
    auto operator<=>(const IpAddress&) const = default;
};

/// An address with its prefix length, host bits kept ("10.0.0.1/24"). A value.
struct IpNetwork {
    IpAddress address;
    unsigned prefix = 0;

    static std::optional<IpNetwork> parse(std::string_view cidr);
    IpAddress first() const; ///< the network's own address
    IpAddress last() const;  ///< the broadcast address of IPv4
    bool contains(const IpAddress& other) const;
    bool overlaps(const IpNetwork& other) const;
    std::string str() const;         ///< "10.0.0.1/24"
    std::string network_str() const; ///< "10.0.0.0/24"
    auto operator<=>(const IpNetwork&) const = default;
};

} // namespace lxdcore
