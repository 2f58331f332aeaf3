// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "instance/lxc/apparmor_profile.hpp"
#include "support/golden.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

ApparmorInput input() { return {.name = apparmor_name("c1", "/var/lib/lxd")}; }

} // namespace

TEST_CASE("an unprivileged container has this AppArmor profile, with the rules of raw.apparmor at its end") {
    auto in = input();
    in.raw = "deny /x r,\n\n\tnetwork raw,";
    test::Golden::open("lxc/apparmor_unprivileged.txt").check(apparmor_profile(in));
}

TEST_CASE("a privileged container may mount only what concerns nobody else") {
    auto in = input();
    in.privileged = true;
    test::Golden::open("lxc/apparmor_privileged.txt").check(apparmor_profile(in));
    in.nesting = true;
    CHECK(apparmor_profile(in).find("\n  mount,\n") != std::string::npos);
}

TEST_CASE("profiles have LXD's names and no odd characters") {
    CHECK(input().name == "lxd-c1_</var/lib/lxd>");
    auto in = input();
    in.raw = "deny /x r,\rdeny";
    CHECK_THROWS_AS(apparmor_profile(in), Error);
}
