// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include <filesystem>

#include "instance/lxc/apparmor_loader.hpp"
#include "instance/lxc/apparmor_profile.hpp"
#include "support/golden.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

ApparmorInput input() { return {.name = apparmor_name("c1", "/var/lib/lxd")}; }

/// A directory of profiles and a parser that writes down what it is called with and dislikes "bad".
struct Host {
    test::TempDir dir;
    ApparmorLoader loader{Dir::open(dir.path().string()).make_dir("profiles", 0700), (dir / "parser").string()};

    Host() {
        test::write_file(dir / "parser", "#!/bin/sh\necho \"$1 ${2##*/}\" >> " + (dir / "calls").string() +
                                             "\nif grep -q bad \"$2\"; then echo \"no such rule\" >&2; exit 1; fi\n");
        std::filesystem::permissions(dir / "parser", std::filesystem::perms{0755});
    }
    std::string calls() const { return test::read_file(dir / "calls"); }
    bool empty() const { return std::filesystem::is_empty(dir / "profiles"); }
};

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

TEST_CASE("rules are shown to the parser before they are stored, and leave nothing") {
    Host host;
    CHECK_NOTHROW(host.loader.check("profile x {\n}\n"));
    CHECK_THROWS_WITH_AS(host.loader.check("bad"), doctest::Contains("no such rule"), Error);
    CHECK(host.calls().starts_with("-QK check."));
    CHECK(host.empty());
}

TEST_CASE("a profile is loaded, replaced and unloaded by its file") {
    Host host;
    host.loader.load("lxd-c1", "one");
    host.loader.load("lxd-c1", "two");
    CHECK(test::read_file(host.dir / "profiles/lxd-c1") == "two");
    CHECK_THROWS_AS(host.loader.load("lxd-c1", "bad"), Error);
    host.loader.unload("lxd-c1");
    CHECK(host.empty());
    host.loader.unload("lxd-c1"); // nothing to do, so nobody is asked
    CHECK(host.calls() == "-rW lxd-c1\n-rW lxd-c1\n-rW lxd-c1\n-R lxd-c1\n");
}
