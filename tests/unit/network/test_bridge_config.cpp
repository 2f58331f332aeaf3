// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include <lxdcore/error.hpp>

#include "network/bridge_config.hpp"

using namespace lxdcore;
using namespace lxdcore::network;

namespace {

struct Outcome {
    ErrorCode code;
    std::string text;
};

Outcome refusal(const std::string& key, const std::string& value) {
    try {
        validate_bridge_config("br0", {{key, value}});
    } catch (const Error& e) {
        return {e.code(), e.what()};
    }
    return {ErrorCode::Internal, "accepted"};
}

} // namespace

TEST_CASE("bad values are refused with LXD's texts") {
    const struct {
        const char *key, *value, *text;
    } table[] = {
        {"foo", "bar", "Invalid option for network \"br0\" option \"foo\""},
        {"volatile.bridge.hwaddr", "00:16:3e:00:00:01",
         "Invalid option for network \"br0\" option \"volatile.bridge.hwaddr\""},
        {"dns.nameservers", "1.2.3.4", "Invalid option for network \"br0\" option \"dns.nameservers\""},
        {"ipv4.nat", "maybe",
         "Invalid value for network \"br0\" option \"ipv4.nat\": Invalid value for a boolean \"maybe\""},
        {"dns.mode", "x",
         "Invalid value for network \"br0\" option \"dns.mode\": Invalid value \"x\" (not one of [dynamic managed "
         "none])"},
        {"bridge.mtu", "x", "Invalid value for network \"br0\" option \"bridge.mtu\": Invalid MTU \"x\""},
        {"bridge.mtu", "67",
         "Invalid value for network \"br0\" option \"bridge.mtu\": Out of MTU range (1280-16384) \"67\""},
        {"bridge.hwaddr", "x",
         "Invalid value for network \"br0\" option \"bridge.hwaddr\": Invalid MAC address, must be 6 bytes of hex "
         "separated by colons"},
        {"ipv4.address", "bar", "Invalid value for network \"br0\" option \"ipv4.address\": invalid CIDR address: bar"},
        {"ipv4.address", "10.71.6.0/24",
         "Invalid value for network \"br0\" option \"ipv4.address\": Not a usable IPv4 address \"10.71.6.0/24\""},
        {"ipv4.dhcp.ranges", "10.71.6.9",
         "Invalid value for network \"br0\" option \"ipv4.dhcp.ranges\": Item \"10.71.6.9\": IP range must contain "
         "start and end IP addresses"},
        {"ipv4.dhcp.gateway", "x",
         "Invalid value for network \"br0\" option \"ipv4.dhcp.gateway\": Not an IPv4 address \"x\""},
        {"ipv4.nat.order", "x",
         "Invalid value for network \"br0\" option \"ipv4.nat.order\": Invalid value \"x\" (not one of [before "
         "after])"},
    };
    for (const auto& row : table)
        CHECK(refusal(row.key, row.value).text == row.text);
}

TEST_CASE("control characters are refused in everything but user keys and between raw lines") {
    for (const char* key : {"dns.domain", "dns.search", "ipv4.dhcp.expiry", "bridge.hwaddr", "ipv4.address"})
        for (const char* value : {"a\nb", "a\rb", "a\tb", "a\x7f"})
            CHECK(refusal(key, value).code == ErrorCode::InvalidArgument);
    CHECK(refusal("raw.dnsmasq", "a=1\rb=2").code == ErrorCode::InvalidArgument);
    CHECK(refusal("raw.dnsmasq", "a=1\nb=2").text == "accepted");
    CHECK(refusal("user.note", "a\nb").text == "accepted");
    CHECK(refusal("dns.search", "a.example,b/8.8.8.8").text.find("Invalid domain name") != std::string::npos);
    CHECK(refusal("dns.search", "a.example, --conf-file").text.find("Invalid domain name") != std::string::npos);
    for (const auto* key : {"ipv4.dhcp.expiry", "ipv6.dhcp.expiry"})
        for (const auto* value : {"1h,set:x", "-1", "1 h", "1h;x", "/etc/x"})
            CHECK(refusal(key, value).text.find("Invalid value for network option") != std::string::npos);
    CHECK(refusal("dns.domain", "a/8.8.8.8#53").text.find("Invalid domain name") != std::string::npos);
}

TEST_CASE("what is not built is refused, not ignored") {
    CHECK(refusal("bridge.mode", "fan").code == ErrorCode::Unsupported);
    CHECK(refusal("bridge.driver", "openvswitch").code == ErrorCode::Unsupported);
    CHECK(refusal("security.acls", "a").code == ErrorCode::Unsupported);
    CHECK(refusal("bridge.mode", "standard").text == "accepted");
}

TEST_CASE("defaults are LXD's") {
    const auto config = parse_bridge_config({{"ipv4.address", "10.71.5.1/24"}});
    CHECK(config.mtu == 1500);
    CHECK(config.domain == "lxd");
    CHECK(config.ipv4.dhcp);
    CHECK(config.ipv4.firewall);
    CHECK(config.ipv4.routing);
    CHECK_FALSE(config.ipv4.nat);
    CHECK_FALSE(config.ipv6.address.has_value());
}
