// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <signal.h>

#include <filesystem>

#include <lxdcore/error.hpp>

#include "db/intents.hpp"
#include "network/bridge.hpp"
#include "network/network_runtime.hpp"
#include "network/private_network.hpp"
#include "system/netlink.hpp"
#include "system/sysctl.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

const api::StringMap kPlain{{"ipv4.address", "10.71.5.1/24"}, {"ipv4.nat", "true"}, {"ipv6.address", "none"}};

std::vector<std::string> addresses(const std::string& bridge) {
    const Netlink netlink;
    std::vector<std::string> result;
    for (const auto& address : netlink.addresses(netlink.link(bridge).index))
        if (address.scope == "global") result.push_back(address.network.str());
    return result;
}

bool alive(pid_t pid) {
    return pid > 0 && ::kill(pid, 0) == 0 && std::filesystem::exists("/proc/" + std::to_string(pid) + "/exe");
}

} // namespace

TEST_CASE("a managed bridge comes up with its address, rules and dnsmasq, and leaves nothing when it goes") {
    NetworkHost host;
    const std::string before = ruleset();
    host.add("netbr0", kPlain);
    CHECK(network::bridge::is_up("netbr0"));
    CHECK(addresses("netbr0") == std::vector<std::string>{"10.71.5.1/24"});
    CHECK(sysctl::read("net/ipv4/ip_forward") == "1");
    CHECK(ruleset().find("ip saddr 10.71.5.0/24 ip daddr != 10.71.5.0/24 masquerade") != std::string::npos);
    const pid_t dnsmasq = host.dnsmasq("netbr0");
    CHECK(alive(dnsmasq));
    CHECK(output({"stat", "-c", "%U", "/proc/" + std::to_string(dnsmasq)}).find("root") == std::string::npos);

    host.manager().remove("default", "netbr0");
    CHECK_FALSE(Netlink{}.find("netbr0").has_value());
    CHECK(ruleset() == before);
    CHECK_FALSE(alive(dnsmasq));
    CHECK_FALSE(std::filesystem::exists(host.path("networks/netbr0")));
}

TEST_CASE("a restart of the daemon keeps bridge, address and dnsmasq process") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    const int index = Netlink{}.link("netbr0").index;
    const std::string mac = Netlink{}.link("netbr0").hwaddr;
    const pid_t dnsmasq = host.dnsmasq("netbr0");
    host.restart();
    CHECK(Netlink{}.link("netbr0").index == index);
    CHECK(Netlink{}.link("netbr0").hwaddr == mac);
    CHECK(mac.starts_with("00:16:3e:"));
    CHECK(host.dnsmasq("netbr0") == dnsmasq);
    CHECK(alive(dnsmasq));
}

TEST_CASE("differences on the host are reconciled at start") {
    NetworkHost host;
    host.add("netbr0",
             {{"ipv4.address", "10.71.5.1/24"}, {"ipv6.address", "fd42:71:5::1/64"}, {"ipv4.routes", "10.72.0.0/24"}});
    output({"ip", "addr", "del", "10.71.5.1/24", "dev", "netbr0"});
    output({"ip", "addr", "add", "10.9.9.9/24", "dev", "netbr0"});
    output({"ip", "route", "add", "10.73.0.0/24", "dev", "netbr0", "proto", "static"});
    output({"ip", "link", "set", "netbr0", "down", "mtu", "1400"});
    host.restart();
    CHECK(addresses("netbr0") == std::vector<std::string>{"10.71.5.1/24", "fd42:71:5::1/64"});
    CHECK(Netlink{}.link("netbr0").mtu == 1500);
    const std::string routes = output({"ip", "route"});
    CHECK(routes.find("10.72.0.0/24 dev netbr0 proto static") != std::string::npos);
    CHECK(routes.find("10.73.0.0/24") == std::string::npos);
}

TEST_CASE("rules outlive a daemon that was killed, and foreign tables are never touched") {
    NetworkHost host;
    output({"nft", "add", "table", "inet", "foreign"});
    output({"nft", "add", "chain", "inet", "foreign", "c", "{ type filter hook input priority 5; }"});
    const std::string before = ruleset();
    host.add("netbr0", kPlain);
    const std::string with = ruleset();
    host.crash();
    CHECK(ruleset() == with);
    host.restart();
    CHECK(output({"nft", "list", "table", "inet", "foreign"}).find("chain c") != std::string::npos);
    CHECK(output({"nft", "list", "table", "inet", "lxdcore"}).find("masquerade") != std::string::npos);
    host.manager().remove("default", "netbr0");
    CHECK(ruleset() == before);
    output({"nft", "delete", "table", "inet", "foreign"});
}

TEST_CASE("flushed rules are seen and put back") {
    enter_private_network();
    TempDir dir;
    const Dir networks = Dir::open(dir.path().string());
    network::Firewall firewall;
    Reactor reactor;
    const Logger log;
    const network::RuntimeServices services{networks, firewall, reactor, log, [] {}};
    network::NetworkRuntime runtime{"netbr3", services};
    const auto config = network::parse_bridge_config({{"ipv4.address", "10.71.5.1/24"}, {"ipv4.nat", "true"}});
    runtime.up(config);
    const auto expected = network::rules::expected("netbr3", config);
    CHECK(firewall.present() == expected);
    SUBCASE("the whole ruleset") { output({"nft", "flush", "ruleset"}); }
    SUBCASE("one chain") { output({"nft", "flush", "chain", "inet", "lxdcore", "pstrt.netbr3"}); }
    SUBCASE("the table") { output({"nft", "delete", "table", "inet", "lxdcore"}); }
    CHECK(firewall.present() != expected);
    runtime.check(firewall.present());
    CHECK(firewall.present() == expected);
    runtime.down();
    CHECK(firewall.present().empty());
}

TEST_CASE("a deleted bridge is made again") {
    enter_private_network();
    TempDir dir;
    const Dir networks = Dir::open(dir.path().string());
    network::Firewall firewall;
    Reactor reactor;
    const Logger log;
    const network::RuntimeServices services{networks, firewall, reactor, log, [] {}};
    network::NetworkRuntime runtime{"netbr3", services};
    runtime.up(network::parse_bridge_config({{"ipv4.address", "10.71.5.1/24"}}));
    Netlink{}.remove("netbr3");
    runtime.check(firewall.present());
    CHECK(addresses("netbr3") == std::vector<std::string>{"10.71.5.1/24"});
    runtime.down();
}

TEST_CASE("dnsmasq that is killed comes back") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    for (int round = 0; round < 2; ++round) {
        const pid_t first = host.dnsmasq("netbr0");
        REQUIRE(alive(first));
        ::kill(first, SIGKILL);
        CHECK(eventually([&] { return host.dnsmasq("netbr0") != first && alive(host.dnsmasq("netbr0")); }));
        host.restart(); // the second round kills one that was re-adopted, not started by this manager
    }
}

TEST_CASE("a network that cannot come up is unavailable, does not stop the daemon, and is retried") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    host.crash();
    Netlink{}.remove("netbr0");
    Netlink{}.create_veth({.host_name = "netbr0", .peer_name = "other0"}); // somebody took the name
    host.restart();
    CHECK(host.manager().get("default", "netbr0").status == "Unavailable");
    CHECK_THROWS_WITH_AS(host.manager().bridge_of("default", "netbr0"), "Network \"netbr0\" unavailable on this server",
                         Error);
    output({"ip", "link", "del", "netbr0"});
    host.restart();
    CHECK(host.manager().get("default", "netbr0").status == "Created");
}

TEST_CASE("a failed creation leaves neither row nor interface nor rules") {
    NetworkHost host;
    const std::string before = ruleset();
    CHECK_THROWS_AS(host.add("netbr0", {{"ipv4.address", "10.71.5.1/24"}, {"raw.dnsmasq", "bogus=1"}}), Error);
    CHECK_FALSE(Netlink{}.find("netbr0").has_value());
    CHECK_THROWS_WITH_AS(host.manager().get("default", "netbr0"), "Network not found", Error);
    CHECK_FALSE(std::filesystem::exists(host.path("networks/netbr0")));
    CHECK(ruleset() == before);
}

TEST_CASE("a failed update leaves the network as it was") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    api::NetworkPatch patch;
    patch.config = api::StringMap{{"raw.dnsmasq", "bogus=1"}, {"ipv4.address", "10.71.5.9/24"}};
    CHECK_THROWS_AS(host.manager().patch("default", "netbr0", patch, ""), Error);
    CHECK(host.manager().get("default", "netbr0").config == kPlain);
    CHECK(addresses("netbr0") == std::vector<std::string>{"10.71.5.1/24"});
    CHECK(alive(host.dnsmasq("netbr0")));
}

TEST_CASE("interrupted changes are finished or undone by the next start") {
    NetworkHost host;
    db::IntentLog intents{host.local()};
    SUBCASE("a creation without a row is undone") {
        host.add("netbr0", kPlain);
        intents.begin("network-create", "default", "netbr0");
        host.global().write([](db::Transaction& tx) { tx.exec("DELETE FROM networks"); });
        host.restart();
        CHECK_FALSE(Netlink{}.find("netbr0").has_value());
        CHECK_FALSE(std::filesystem::exists(host.path("networks/netbr0")));
    }
    SUBCASE("a deletion is finished") {
        host.add("netbr0", kPlain);
        intents.begin("network-delete", "default", "netbr0");
        host.restart();
        CHECK_FALSE(Netlink{}.find("netbr0").has_value());
        CHECK_THROWS_AS(host.manager().get("default", "netbr0"), Error);
    }
    SUBCASE("a rename that did everything but the row goes back") {
        host.add("netbr0", kPlain);
        const std::string mac = Netlink{}.link("netbr0").hwaddr;
        host.manager().rename("default", "netbr0", "netbr1");
        intents.begin("network-rename", "default", "netbr0", R"({"to":"netbr1"})");
        host.global().write([](db::Transaction& tx) { tx.exec("UPDATE networks SET name = 'netbr0'"); });
        host.restart();
        CHECK(Netlink{}.link("netbr0").hwaddr == mac);
        CHECK_FALSE(Netlink{}.find("netbr1").has_value());
        CHECK_FALSE(std::filesystem::exists(host.path("networks/netbr1")));
        CHECK(host.manager().get("default", "netbr0").status == "Created");
    }
    CHECK(intents.pending("network-create").empty());
    CHECK(intents.pending("network-delete").empty());
    CHECK(intents.pending("network-rename").empty());
}

TEST_CASE("a renamed network keeps its MAC and drops the old interface") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    const std::string mac = Netlink{}.link("netbr0").hwaddr;
    host.manager().rename("default", "netbr0", "netbr1");
    CHECK_FALSE(Netlink{}.find("netbr0").has_value());
    CHECK(Netlink{}.link("netbr1").hwaddr == mac);
    CHECK(alive(host.dnsmasq("netbr1")));
    CHECK(ruleset().find("netbr0") == std::string::npos);
}

TEST_CASE("an automatic subnet is free on this host and gets NAT") {
    NetworkHost host;
    host.add("netbr0", {});
    const auto config = host.manager().get("default", "netbr0").config;
    CHECK(config.at("ipv4.address").starts_with("10."));
    CHECK(config.at("ipv4.address").ends_with(".1/24"));
    CHECK(config.at("ipv4.nat") == "true");
    CHECK(config.at("ipv6.address").starts_with("fd42:"));
    CHECK(config.at("ipv6.nat") == "true");
}
