// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "network/private_network.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

const api::StringMap kPlain{{"ipv4.address", "10.71.5.1/24"}, {"ipv6.address", "none"}};

} // namespace

TEST_CASE("a guest gets a lease, its gateway and the DNS of the bridge") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    host.manager().set_nic("netbr0", {"default", "c1", "eth0", "00:16:3e:00:00:01", "10.71.5.77", ""});
    Guest guest{"netbr0", "00:16:3e:00:00:01"};
    CHECK(guest.lease() == "10.71.5.77 10.71.5.1 10.71.5.1 lxd");
    CHECK(guest.lookup("c1.lxd", "10.71.5.1").find("10.71.5.77") != std::string::npos);
    CHECK(guest.lookup("_gateway.lxd", "10.71.5.1").find("10.71.5.1") != std::string::npos);

    const auto leases = host.manager().leases("default", "netbr0");
    REQUIRE(leases.size() == 2);
    CHECK(leases[0].hostname == "netbr0.gw");
    CHECK(leases[0].type == "gateway");
    CHECK(leases[1].hwaddr == "00:16:3e:00:00:01");
    CHECK(leases[1].address == "10.71.5.77");
    CHECK(leases[1].hostname == "c1");
}

TEST_CASE("a guest cannot take the name of another by DHCP") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    host.manager().set_nic("netbr0", {"default", "victim", "eth0", "00:16:3e:00:00:01", "10.71.5.77", ""});
    host.manager().set_nic("netbr0", {"default", "thief", "eth0", "00:16:3e:00:00:02", "", ""});
    Guest guest{"netbr0", "00:16:3e:00:00:02"};
    std::string claimed;
    SUBCASE("the plain name") { claimed = "victim"; }
    SUBCASE("with the domain") { claimed = "victim.lxd"; }
    SUBCASE("the gateway") { claimed = "_gateway"; }
    const std::string address = guest.lease(claimed).substr(0, guest.lease(claimed).find(' '));
    CHECK(address.starts_with("10.71.5."));
    CHECK(guest.lookup("victim.lxd", "10.71.5.1").find(address + "\n") == std::string::npos);
    CHECK(guest.lookup("_gateway.lxd", "10.71.5.1").find(address + "\n") == std::string::npos);
    CHECK(guest.lookup("thief.lxd", "10.71.5.1").find(address) != std::string::npos);
}

TEST_CASE("a guest that is not ours gets an address but no name") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    Guest guest{"netbr0", "02:00:00:00:00:09"};
    const std::string lease = guest.lease("stranger");
    CHECK(lease.starts_with("10.71.5."));
    CHECK(guest.lookup("stranger.lxd", "10.71.5.1").find(lease.substr(0, lease.find(' '))) == std::string::npos);
}

TEST_CASE("host entries follow the NIC") {
    NetworkHost host;
    host.add("netbr0", kPlain);
    const network::NicRecord nic{"default", "c1", "eth0", "00:16:3e:00:00:01", "", ""};
    host.manager().set_nic("netbr0", nic);
    const auto file = host.path("networks/netbr0/dnsmasq.hosts/c1.eth0");
    CHECK(read_file(file) == "00:16:3e:00:00:01,c1\n");
    network::NicRecord fixed = nic;
    fixed.ipv4 = "10.71.5.9";
    host.manager().set_nic("netbr0", fixed);
    CHECK(read_file(file) == "00:16:3e:00:00:01,10.71.5.9,c1\n");
    host.manager().remove_nic("netbr0", nic);
    host.manager().remove_nic("netbr0", nic);
    CHECK_FALSE(std::filesystem::exists(file));
}
