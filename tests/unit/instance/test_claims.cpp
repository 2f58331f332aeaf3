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

TEST_CASE("readers of an instance keep its content, and nothing else, from being taken away") {
    Claims claims;
    const InstanceRef ref{"default", "c1"};
    auto first = claims.share(ref, "copy", 1ms);
    auto second = claims.share(ref, "publish", 1ms);
    { const auto start = claims.take(ref, "start"); }
    CHECK_THROWS_WITH_AS(claims.take(ref, "delete"), "Instance is busy running a \"copy\" operation", Error);
    CHECK_THROWS_AS(claims.wait_unshared(ref, 1ms), Error);
    first.release();
    CHECK_THROWS_WITH_AS(claims.take(ref, "restore"), "Instance is busy running a \"publish\" operation", Error);
    second.release();
    CHECK_NOTHROW(claims.wait_unshared(ref, 1ms));
    const auto deleting = claims.take(ref, "delete");
    CHECK_THROWS_AS(claims.share(ref, "copy", 1ms), Error);
}
