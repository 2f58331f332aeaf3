// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "network/firewall.hpp"
#include "support/golden.hpp"

using namespace lxdcore;
using namespace lxdcore::network;

TEST_CASE("a network's rules are one transaction on our own table") {
    const auto config = parse_bridge_config({{"ipv4.address", "10.71.5.1/24"},
                                             {"ipv4.nat", "true"},
                                             {"ipv6.address", "fd42:71:5::1/64"},
                                             {"ipv6.nat", "true"},
                                             {"ipv6.nat.address", "fd42::9"},
                                             {"ipv6.routing", "false"}});
    const auto commands = rules::replace("br0", config);
    test::Golden::open("network/nft_full.json").check(commands);
    for (const auto& command : commands["nftables"])
        CHECK(command.dump().find("lxdcore") != std::string::npos);
}

TEST_CASE("every rule names the network's own chains") {
    const auto config = parse_bridge_config({{"ipv4.address", "10.71.5.1/24"}, {"ipv4.nat", "true"}});
    CHECK(rules::expected("br0", config) ==
          std::map<std::string, std::size_t>{{"fwd.br0", 2}, {"in.br0", 4}, {"out.br0", 4}, {"pstrt.br0", 1}});
    CHECK(rules::expected("br0", parse_bridge_config({{"ipv4.address", "none"}})).empty());
    CHECK(rules::expected("br0", parse_bridge_config({{"ipv4.address", "10.71.5.1/24"}, {"ipv4.firewall", "false"}}))
              .empty());
}

TEST_CASE("a limited interface has a table of its own, replaced in one transaction") {
    const auto commands = rules::limit_incoming("veth1", 8'000'000)["nftables"];
    REQUIRE(commands.size() == 5);
    CHECK(commands[1]["delete"]["table"]["name"] == "lxdcore.veth1");
    CHECK(commands[3]["add"]["chain"]["dev"] == "veth1");
    const auto limit = commands[4]["add"]["rule"]["expr"][0]["limit"];
    CHECK(limit["rate"] == 1'000'000);
    CHECK(limit["inv"] == true);
    CHECK(rules::limit_incoming("veth1", 0)["nftables"].size() == 2);
}
