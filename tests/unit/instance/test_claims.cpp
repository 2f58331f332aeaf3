// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <thread>

#include <lxdcore/error.hpp>

#include "instance/claims.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;
using namespace std::chrono_literals;

TEST_CASE("a second change of one instance names the first") {
    Claims claims;
    const InstanceRef ref{"default", "c1"};
    auto first = claims.take(ref, "stop");
    CHECK(claims.holder(ref) == "stop");
    CHECK_THROWS_WITH_AS(claims.take(ref, "start"), "Instance is busy running a \"stop\" operation", Error);
    CHECK_NOTHROW(claims.take({"default", "c2"}, "start"));
    CHECK_NOTHROW(claims.take({"other", "c1"}, "start"));
    first.release();
    CHECK(claims.holder(ref).empty());
    CHECK_NOTHROW(claims.take(ref, "start"));
}

TEST_CASE("waiting for a claim ends when it is free") {
    Claims claims;
    const InstanceRef ref{"default", "c1"};
    auto first = claims.take(ref, "start");
    std::thread release{[&] {
        std::this_thread::sleep_for(20ms);
        first.release();
    }};
    CHECK(claims.wait(ref, "update", 10s));
    release.join();
    const auto held = claims.take(ref, "start");
    CHECK_THROWS_AS(claims.wait(ref, "update", 1ms), Error);
}

TEST_CASE("a claim outlives its table") {
    Claims::Claim claim;
    {
        Claims claims;
        claim = claims.take({"default", "c1"}, "stop");
    }
    CHECK_NOTHROW(claim.release());
}
