// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "network/dnsmasq_config.hpp"
#include "support/golden.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using namespace lxdcore::network;

namespace {

std::string arguments(const api::StringMap& config) {
    return text::join(dnsmasq_argv("br0", parse_bridge_config(config), "/d", {"nobody", "nogroup"}), "\n") + "\n";
}

} // namespace

TEST_CASE("dnsmasq's arguments follow the configuration") {
    test::Golden::open("network/dnsmasq_ipv4.txt").check(arguments({{"ipv4.address", "10.71.5.1/24"}}));
    test::Golden::open("network/dnsmasq_full.txt")
        .check(arguments({{"ipv4.address", "10.71.5.1/24"},
                          {"ipv4.dhcp.ranges", "10.71.5.10-10.71.5.20, 10.71.5.40-10.71.5.50"},
                          {"ipv4.dhcp.gateway", "10.71.5.3"},
                          {"ipv4.dhcp.expiry", "30m"},
                          {"bridge.mtu", "1400"},
                          {"dns.domain", "foo"},
                          {"dns.search", "a.b,c.d"},
                          {"ipv6.address", "fd42:71:5::1/64"},
                          {"ipv6.dhcp.stateful", "true"}}));
    test::Golden::open("network/dnsmasq_no_dns.txt")
        .check(arguments({{"ipv6.address", "fd42:71:5::1/64"}, {"ipv6.dhcp", "false"}, {"dns.mode", "none"}}));
}

TEST_CASE("names that guests choose are believed only where the administrator asked for it") {
    CHECK(arguments({{"ipv4.address", "10.71.5.1/24"}}).find("--dhcp-ignore-names") != std::string::npos);
    CHECK(arguments({{"ipv4.address", "10.71.5.1/24"}, {"dns.mode", "none"}}).find("--dhcp-ignore-names") !=
          std::string::npos);
    CHECK(arguments({{"ipv4.address", "10.71.5.1/24"}, {"dns.mode", "dynamic"}}).find("--dhcp-ignore-names") ==
          std::string::npos);
}

TEST_CASE("a stored value cannot smuggle a line or an argument into dnsmasq") {
    for (const char* key : {"dns.domain", "dns.search", "ipv4.dhcp.expiry", "ipv4.dhcp.gateway"})
        CHECK_THROWS_AS(arguments({{"ipv4.address", "10.71.5.1/24"}, {key, "x\ndhcp-script=/bin/sh"}}), Error);
    BridgeConfig raw;
    raw.raw = "a=1\nb=2";
    CHECK(dnsmasq_raw(raw) == "a=1\nb=2\n");
    raw.raw = "a=1\rb=2";
    CHECK_THROWS_AS(dnsmasq_raw(raw), Error);
}

TEST_CASE("host entries hold validated names only") {
    NicRecord nic{"default", "c1", "eth0", "00:16:3e:00:00:01", "10.0.0.5", "fd42::5"};
    CHECK(host_file(nic) == "c1.eth0");
    CHECK(host_line(nic, DnsMode::Managed) == "00:16:3e:00:00:01,10.0.0.5,[fd42::5],c1\n");
    CHECK(host_line(nic, DnsMode::None) == "00:16:3e:00:00:01,10.0.0.5,[fd42::5]\n");
    nic.ipv4 = nic.ipv6 = "";
    CHECK(host_line(nic, DnsMode::None).empty());
    nic.project = "p1";
    CHECK(host_file(nic) == "p1_c1.eth0");
    CHECK(host_line(nic, DnsMode::Managed) == "00:16:3e:00:00:01,c1.p1\n");
    for (const char* bad : {"../x", "a\nb", "a,b", "a b", ""}) {
        nic.instance = bad;
        CHECK_THROWS_AS(host_file(nic), Error);
    }
    nic.instance = "c1";
    for (const char* bad : {"../x", "a\nb", "a/b"}) {
        nic.device = bad;
        CHECK_THROWS_AS(host_file(nic), Error);
    }
}
