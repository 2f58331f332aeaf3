// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "network/leases.hpp"

using lxdcore::network::parse_leases;

TEST_CASE("leases of both families are read") {
    const auto leases = parse_leases("1700000000 00:16:3E:aa:bb:cc 10.0.0.5 c1 01:00:16:3e:aa:bb:cc\n"
                                     "duid 00:01:00:01:2b:aa:bb:cc:00:16:3e:10:fa:44\n"
                                     "1700000000 123456 fd42::5 c2 00:01:00:01:2b:aa:bb:cc:00:16:3e:10:fa:45\n"
                                     "1700000000 123456 fd42::6 * 00:03:00:01:00:16:3e:10:fa:46\n");
    REQUIRE(leases.size() == 3);
    CHECK(leases[0].hostname == "c1");
    CHECK(leases[0].mac == "00:16:3e:aa:bb:cc");
    CHECK(leases[0].address == "10.0.0.5");
    CHECK(leases[1].mac == "00:16:3e:10:fa:45");
    CHECK(leases[2].hostname.empty());
    CHECK(leases[2].mac == "00:16:3e:10:fa:46");
}

TEST_CASE("what a guest wrote into the lease file cannot become a lease of another shape") {
    CHECK(parse_leases("").empty());
    CHECK(parse_leases("\n\n").empty());
    CHECK(parse_leases("1700000000 00:16:3e:aa:bb:cc 10.0.0.5").empty());
    CHECK(parse_leases("x 00:16:3e:aa:bb:cc 10.0.0.5 c1 *").empty());
    CHECK(parse_leases("1 00:16:3e:aa:bb:cc 10.0.0.999 c1 *").empty());
    CHECK(parse_leases("1 notamac 10.0.0.5 c1 *").empty());
    CHECK(parse_leases("1 00:16:3e:aa:bb:cc 10.0.0.5 c1 * extra").empty());
    CHECK(parse_leases(std::string("1 00:16:3e:aa:bb:cc 10.0.0.5 c\x1b[1m *")).empty());
    const auto odd = parse_leases("1 00:16:3e:aa:bb:cc 10.0.0.5 ../../etc *");
    REQUIRE(odd.size() == 1);
    CHECK(odd[0].hostname.empty());
    CHECK(parse_leases("1 00:16:3e:aa:bb:cc 10.0.0.5 " + std::string(300, 'a') + " *")[0].hostname.empty());
    CHECK(parse_leases("1 5 fd42::5 c2 ff:00").at(0).mac.empty());
}
