// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "instance/lxc/raw_lxc.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

TEST_CASE("what breaks our hold on the container is refused in every spelling (R14)") {
    for (const char* raw : {"lxc.log.file = /x",
                            "  LXC.Log.File = /x",
                            "\tlxc.log.file=/x",
                            "lxc.log.level=9",
                            "lxc.logfile = x",
                            "lxc.aa_profile = x\n lxc.log.file = /x\r",
                            "\r\nlxc.ephemeral=1",
                            "lxc.ephemeral = 1",
                            "LXC.EPHEMERAL=1",
                            "lxc.prlimit.nofile = 5",
                            "lxc.syslog = local0",
                            "lxc.hook = ",
                            "lxc.hook.post-stop=",
                            "lxc.hook.version = 0",
                            "lxc.include = /x",
                            "LXC.include=/x",
                            "lxc.idmap = ",
                            "lxc.idmap",
                            "lxc.cgroup.dir.monitor = x",
                            "lxc.rootfs.path = /",
                            "# comment\nlxc.log.file=/x",
                            "lxc.log.file \t = \"/x\""}) {
        CAPTURE(raw);
        CHECK_THROWS_AS(check_raw_lxc(raw), Error);
    }
}

TEST_CASE("lines that are none are refused") {
    for (const char* raw : {"lxc.mount.entry", "= x", "lxc mount = x", "lxc.x\x01 = y", "lxc.x = a\x7f"}) {
        CAPTURE(raw);
        CHECK_THROWS_AS(check_raw_lxc(raw), Error);
    }
}

TEST_CASE("harmless settings pass and are read as liblxc reads them") {
    const auto lines = parse_raw_lxc("# note\n\n  LXC.Signal.Halt = SIGTERM  \r\nlxc.mount.entry = \"a b c d 0 0\"\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == std::pair<std::string, std::string>{"lxc.signal.halt", "SIGTERM"});
    CHECK(lines[1].second == "a b c d 0 0");
    CHECK_NOTHROW(check_raw_lxc("lxc.mount.entry = a b c d 0 0\nlxc.apparmor.profile=unconfined"));
    CHECK_NOTHROW(check_raw_lxc(""));
}

TEST_CASE("an administrator may set hooks, mounts and id maps; what LXD ignores is left out") {
    const char* raw = "lxc.hook.start-host = /bin/x\nlxc.idmap = u 1000 1000 1\nfoo = bar\nlxc.uts.name=\"other\"\n";
    CHECK_NOTHROW(check_raw_lxc(raw));
    CHECK(raw_lxc_text(raw) == "lxc.hook.start-host = /bin/x\nlxc.uts.name = other\n");
}

TEST_CASE("where only unprivileged containers are allowed, nothing leads out of them (R14)") {
    for (const char* raw : {"lxc.include = /x", " LXC.Include = /x", "lxc.idmap = u 0 0 1", "lxc.hook.pre-start=/x",
                            "\tlxc.hook.mount = /x\r", "lxc.mount.entry = / x none bind", "lxc.mount.auto = sys:rw",
                            "lxc.mount.fstab=/x", "# a\nlxc.idmap = g 0 0 1", "lxc.rootfs.options = x"}) {
        CAPTURE(raw);
        CHECK_THROWS_AS(check_contained(raw), Error);
    }
    CHECK_NOTHROW(check_contained("lxc.signal.halt = SIGTERM\nlxc.environment = A=lxc.hook"));
}
