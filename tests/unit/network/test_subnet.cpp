// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "network/subnet.hpp"

using namespace lxdcore;
using namespace lxdcore::network;

namespace {

/// 0, 1, 2, … : each try gives the next subnet.
RandomBytes counting() {
    return [n = 0](std::uint8_t* out, std::size_t count) mutable {
        for (std::size_t i = 0; i < count; ++i)
            out[i] = i + 1 == count ? static_cast<std::uint8_t>(n) : 0;
        ++n;
    };
}
IpNetwork net(const char* text) { return IpNetwork::parse(text).value(); }

} // namespace

TEST_CASE("a subnet that something on the host overlaps is passed over") {
    CHECK(choose_ipv4({}, counting()).str() == "10.0.0.1/24");
    CHECK(choose_ipv4({net("10.0.0.7/32")}, counting()).str() == "10.0.1.1/24");
    CHECK(choose_ipv4({net("10.0.0.0/23"), net("10.0.2.128/25")}, counting()).str() == "10.0.3.1/24");
    CHECK(choose_ipv6({net("fd42::/64")}, counting()).str() == "fd42:0:0:1::1/64");
}

TEST_CASE("default routes and the other family are no obstacle") {
    CHECK(choose_ipv4({net("0.0.0.0/0"), net("::/0"), net("fd42::/16")}, counting()).str() == "10.0.0.1/24");
}

TEST_CASE("the search ends with LXD's error when nothing is free") {
    CHECK_THROWS_WITH_AS(choose_ipv4({net("10.0.0.0/8")}, counting()),
                         "Failed generating auto config: Failed to automatically find an unused IPv4 subnet, manual "
                         "configuration required",
                         Error);
    CHECK_THROWS_AS(choose_ipv6({net("fd00::/8")}, counting()), Error);
}

TEST_CASE("network arithmetic") {
    CHECK(net("10.71.5.1/24").network_str() == "10.71.5.0/24");
    CHECK(net("10.71.5.1/24").last().str() == "10.71.5.255");
    CHECK(net("10.71.5.1/30").first().plus(2).str() == "10.71.5.2");
    CHECK(IpAddress::parse("10.0.0.255")->plus(1).str() == "10.0.1.0");
    CHECK(IpAddress::parse("10.0.1.0")->plus(-1).str() == "10.0.0.255");
    CHECK_FALSE(IpNetwork::parse("10.0.0.1").has_value());
    CHECK_FALSE(IpNetwork::parse("10.0.0.1/33").has_value());
    CHECK_FALSE(IpNetwork::parse("10.0.0.1/").has_value());
    CHECK_FALSE(IpNetwork::parse("10.0.0.1/-1").has_value());
    CHECK(net("10.0.0.0/8").overlaps(net("10.9.0.0/24")));
    CHECK(net("10.9.0.0/24").overlaps(net("10.0.0.0/8")));
    CHECK_FALSE(net("10.0.0.0/24").overlaps(net("10.0.1.0/24")));
}
