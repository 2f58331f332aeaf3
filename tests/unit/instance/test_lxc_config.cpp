// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "instance/lxc/lxc_config.hpp"
#include "support/golden.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

LxcConfigInput unprivileged() {
    LxcConfigInput in;
    in.host_name = "c1";
    in.rootfs = "/var/lib/lxd/storage-pools/default/containers/c1/rootfs";
    in.log_dir = "/var/lib/lxd/logs/c1";
    in.devlxd = "/var/lib/lxd/devlxd";
    in.seccomp_file = "/var/lib/lxd/security/seccomp/c1";
    in.cgroup_payload = "lxc.payload.c1";
    in.cgroup_monitor = "lxc.monitor.c1";
    in.idmapped_root = true;
    in.idmap = IdMap{{{true, false, 100000, 0, 65536}, {false, true, 200000, 0, 65536}}};
    in.nics = {{{"type", "veth"}, {"link", "lxdbr0"}, {"name", "eth0"}}};
    return in;
}

} // namespace

TEST_CASE("an unprivileged container has this lxc.conf") {
    test::Golden::open("lxc/unprivileged.conf").check(lxc_config(unprivileged()));
}

TEST_CASE("a privileged container loses capabilities and devices instead of having an id map") {
    auto in = unprivileged();
    in.idmap = {};
    in.idmapped_root = false;
    in.apparmor = "lxd-c1_</var/lib/lxd>";
    in.expanded_config = {{"security.nesting", "true"}};
    test::Golden::open("lxc/privileged.conf").check(lxc_config(in));
}

TEST_CASE("configuration keys, limits, disks and raw.lxc appear in it") {
    auto in = unprivileged();
    in.nics.clear();
    in.expanded_config = {
        {"environment.FOO", "a b"},
        {"limits.kernel.nofile", "1000"},
        {"linux.sysctl.net.ipv4.ip_forward", "1"},
        {"raw.lxc", "  LXC.signal.halt=SIGTERM \r\n# x\nlxc.idmap = u 70000 1000 1\nother = x\nlxc.hook.stop = /bin/x"},
        {"user.meta", "two\nlines"}};
    in.cgroup = {{false, "memory", "memory.limit_in_bytes", "5"},
                 {true, "pids", "pids.max", "7"},
                 {false, "blkio", "blkio.throttle.read_bps_device", "254:0 10000000"}};
    in.idmap.ranges.push_back({true, true, 1000, 70000, 1});
    in.mounts = {{"/srv/a b", "mnt/x", "none", {"bind", "create=dir"}}};
    test::Golden::open("lxc/configured.conf").check(lxc_config(in));
}

TEST_CASE("the same input gives the same bytes") { CHECK(lxc_config(unprivileged()) == lxc_config(unprivileged())); }

TEST_CASE("no value can become a second line (R5)") {
    const std::string evil = "x\nlxc.hook.start-host = /bin/touch /p";
    std::vector<LxcConfigInput> inputs(6, unprivileged());
    inputs[0].expanded_config = {{"environment.A", evil}};
    inputs[1].expanded_config = {{"environment.A\nlxc.x", "y"}};
    inputs[2].host_name = evil;
    inputs[3].nics[0].push_back({"hwaddr", evil});
    inputs[4].mounts = {{evil, "mnt", "none", {"bind"}}};
    inputs[5].expanded_config = {{"limits.kernel.nofile", evil}};
    for (const auto& in : inputs)
        CHECK_THROWS_AS(lxc_config(in), Error);
}
