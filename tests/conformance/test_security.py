# SPDX-License-Identifier: Apache-2.0
"""Ids, raw keys, nesting: R12 and R14 beyond what single keys show, and a container in a container."""
import concurrent.futures
import shutil

import pytest

from conftest import failed, remove

RAW_LXC = ["lxc.mount.entry = / mnt none rbind 0 0", "lxc.hook.pre-start = /bin/true", "lxc.hook.start-host = /bin/true", "lxc.idmap = u 0 0 1",
           "lxc.include = /etc/passwd", "  LXC.Mount.Entry\t= / mnt none bind 0 0", "# x\nlxc.hook.mount=/bin/true\r", "lxc.cap.drop ="]
REACHING = [*({"raw.lxc": raw} for raw in RAW_LXC), {"raw.idmap": "both 0 0"}, {"raw.idmap": "uid 1000 1000"}, {"raw.apparmor": "deny /x r,"},
            {"raw.seccomp": "2\ndenylist\n"}]


@pytest.mark.ours
@pytest.mark.parametrize("config", REACHING, ids=str)
def test_r14_only_administrators_reach_out(api, restricted, container, name, config):
    """No way in: creating, changing, replacing, copying, profiles."""
    instance, fresh = f"/1.0/instances/{container}", name + "-x"
    image = {"name": fresh, "source": {"type": "image", "alias": "bb"}}
    before = api.get(instance).metadata
    assert failed(restricted, "PATCH", instance, {"config": config})
    assert failed(restricted, "PUT", instance, {**before, "config": {**before["config"], **config}})
    assert failed(restricted, "POST", "/1.0/instances", {**image, "config": config})
    assert failed(restricted, "POST", "/1.0/instances", {"name": fresh, "source": {"type": "copy", "source": container}, "config": config})
    assert failed(restricted, "POST", "/1.0/profiles", {"name": fresh, "config": config})
    assert failed(restricted, "PATCH", "/1.0/profiles/default", {"config": config})
    assert api.get(instance).metadata == before
    assert api.get(f"/1.0/instances/{fresh}").status == 404 and api.get(f"/1.0/profiles/{fresh}").status == 404
    assert not set(config) & set(api.get("/1.0/profiles/default").metadata["config"])


@pytest.mark.ours
def test_r22_a_profile_of_the_administrator_gives_nobody_more(api, restricted, container):
    instance = f"/1.0/instances/{container}"
    assert api.post("/1.0/profiles", {"name": "reaching", "config": {"raw.lxc": "lxc.environment = A=B"}}).status == 201
    try:
        assert failed(restricted, "PATCH", instance, {"profiles": ["default", "reaching"]})
        assert failed(restricted, "POST", "/1.0/instances", {"name": container + "-p", "source": {"type": "image", "alias": "bb"},
                                                             "profiles": ["default", "reaching"]})
        assert api.patch(instance, {"profiles": ["default", "reaching"]}).status == 200
        # What is there stays, and does not hinder other changes.
        assert restricted.patch(instance, {"config": {"user.a": "b"}}).status == 200
    finally:
        api.patch(instance, {"profiles": ["default"]})
        api.delete("/1.0/profiles/reaching")


@pytest.mark.parametrize("key", ["environment.A", "limits.memory", "security.nesting", "security.idmap.isolated"])
def test_r22_the_restricted_do_what_is_theirs(restricted, container, key):
    value = {"environment.A": "b", "limits.memory": "64MiB"}.get(key, "true")
    assert restricted.patch(f"/1.0/instances/{container}", {"config": {key: value}}).status == 200


def test_r12_ids_are_never_given_twice_to_many_at_once(api, daemon, name):
    names = [f"{name}{i}" for i in range(8)]

    def launch(one):
        api.run("POST", "/1.0/instances", {"name": one, "source": {"type": "image", "alias": "bb"}, "config": {"security.idmap.isolated": "true"}})
        api.run("PUT", f"/1.0/instances/{one}/state", {"action": "start"})
        pid = api.get(f"/1.0/instances/{one}/state").metadata["pid"]
        return [tuple(map(int, line.split()[1:])) for line in open(f"/proc/{pid}/uid_map", encoding="ascii")]

    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            ranges = sorted(line for lines in pool.map(launch, names) for line in lines)
    finally:
        for one in names:
            remove(daemon, one)
    assert len(ranges) == 8 and all(start >= 65536 for start, _ in ranges)
    assert all(a[0] + a[1] <= b[0] for a, b in zip(ranges, ranges[1:])), ranges


# A busybox container started inside with plain lxc-start, from the host's own package. Debian has no cgroups mounted for
# whoever starts without an init that does it, so the script does.
NESTED = """
mount -t tmpfs cgroup /sys/fs/cgroup
while IFS=: read -r id names path; do
  [ "$id" = 0 ] && continue
  mkdir "/sys/fs/cgroup/${names#name=}" && mount -t cgroup -o "$names" cgroup "/sys/fs/cgroup/${names#name=}"
done < /proc/self/cgroup
mkdir /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
set -e
root=/var/lib/lxc/inner/rootfs
mkdir -p $root/bin $root/dev $root/proc $root/sys $root/tmp /run/lxc /var/cache/lxc
cp /bin/busybox $root/bin/busybox
ln -s busybox $root/bin/sh
cat > /var/lib/lxc/inner/config <<C
lxc.uts.name = inner
lxc.rootfs.path = dir:$root
lxc.mount.auto = proc:mixed sys:ro cgroup:mixed
lxc.net.0.type = empty
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
C
chown -R 100000:100000 $root
export PATH=/bin:/sbin
/usr/bin/lxc-start -n inner -F -- /bin/sh -c '/bin/busybox cat /proc/self/uid_map > /tmp/map; /bin/busybox hostname > /tmp/name; exit 0'
cat $root/tmp/map $root/tmp/name
"""


@pytest.mark.skipif(not shutil.which("lxc-start"), reason="needs the package lxc")
@pytest.mark.parametrize("nesting", ["true", "false"])
def test_a_container_in_a_container(api, container, nesting):
    """With security.nesting a container starts another one with plain lxc; without, the kernel refuses its /proc."""
    devices = {path[1:]: {"type": "disk", "source": path, "path": path, "readonly": "true"} for path in ("/usr", "/lib", "/lib64")}
    instance = f"/1.0/instances/{container}"
    assert api.patch(instance, {"config": {"security.nesting": nesting}, "devices": devices}).status == 200
    api.run("PUT", instance + "/state", {"action": "start"})
    code, out, err = api.exec(container, ["sh", "-c", NESTED])
    if nesting == "true":
        assert code == 0, out + err
        lines = out.splitlines()
        assert lines[-2].split() == ["0", "100000", "65536"] and lines[-1] == "inner", out
    else:
        assert code != 0
