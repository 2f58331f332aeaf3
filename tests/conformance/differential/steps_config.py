# SPDX-License-Identifier: Apache-2.0
"""Instance configuration keys: which values are taken, what the errors say, what is left after unsetting them."""
import sys

from daemons import SOURCE
from engine import Step as S

sys.path.append(str(SOURCE / "tests/lint"))
from check_compatibility import key_tables  # noqa: E402

I = "/1.0/instances"

# One good value and bad ones for each key; a good value is set, read and unset again.
BOOLEANS = ["boot.autostart", "security.nesting", "security.privileged", "security.protection.delete", "security.idmap.isolated",
            "security.syscalls.deny_default", "security.syscalls.blacklist_default"]
KEYS = {
    "boot.autostart.delay": ("5", "x", "1.5", "99999999999999999999"),
    "boot.autostart.priority": ("-3", "high"),
    "boot.host_shutdown_timeout": ("10", "10s"),
    "boot.stop.priority": ("7", "x"),
    "cluster.evacuate": ("stop", "never"),
    "environment.NAME": ("some value", "two\nlines"),
    "environment.": ("x",),
    "limits.cpu": ("1", "abc", "0-", "-1", "1-2-3", "0,,1", "a-b", " 1", "3-1"),
    "limits.cpu.allowance": ("50%", "x%", "25ms", "a/b", "50", "-5%", "25ms/100ms/1", "25s/100s", "1.5%"),
    "limits.cpu.priority": ("3", "11", "-1", "x"),
    "limits.kernel.nofile": ("100:200", "abc", "1:2:3", ":"),
    "limits.kernel": (None, "1"),
    "limits.memory": ("64MiB", "0", "0%", "x%", "1.5GiB", "lots", "-1", "10mb", "64 MiB"),
    "limits.memory.enforce": ("soft", "firm", "HARD"),
    "limits.memory.swap.priority": ("4", "11", "x"),
    "limits.memory.swap": ("false", "64MB", "maybe"),
    "limits.processes": ("100", "x", "1.5"),
    "limits.disk.priority": (None, "11", "x"),
    "limits.network.priority": (None, "11", "x"),
    "limits.hugepages.2MB": (None, "x", "4mb"),
    "limits.hugepages.4KB": (None, "4MB"),
    "linux.sysctl.net.ipv4.ip_forward": ("1",),
    "linux.sysctl.": (None, "1"),
    "raw.lxc": ("lxc.environment = A=b", "lxc.log.file = /x", "nonsense", "lxc.prlimit.nofile = 1"),
    "security.idmap.base": ("1000000", "-1", "4294967296", "x"),
    "security.idmap.size": ("65536", "-1", "x"),
    "user.anything": ("two\nlines",),
    "user.": ("x",),
    "volatile.uuid": (None, "x"),
    "volatile.nosuch": (None, "x"),
    "nosuch": (None, "x"),
    "Limits.cpu": (None, "1"),
    "limits.memory.hugepages": (None, "true"),
    "raw.qemu": (None, "-s"),
    "security.secureboot": (None, "false"),
}
# Taken and unset again; some are refused by us until they are applied.
OTHERS = {
    "linux.kernel_modules": "loop", "migration.incremental.memory": "true", "migration.incremental.memory.goal": "50",
    "migration.incremental.memory.iterations": "3", "nvidia.runtime": "true", "nvidia.driver.capabilities": "compute",
    "raw.apparmor": "deny /x r,", "raw.seccomp": "2\ndenylist", "security.devlxd": "true", "security.devlxd.images": "true",
    "security.protection.shift": "true", "security.syscalls.allow": "read", "security.syscalls.deny": "reboot",
    "security.syscalls.deny_compat": "true", "security.syscalls.intercept.bpf": "true",
    "security.syscalls.intercept.bpf.devices": "true", "security.syscalls.intercept.mknod": "true",
    "security.syscalls.intercept.mount": "true", "security.syscalls.intercept.mount.allowed": "ext4",
    "security.syscalls.intercept.mount.fuse": "ext4=fuse2fs", "security.syscalls.intercept.mount.shift": "true",
    "security.syscalls.intercept.sched_setscheduler": "true", "security.syscalls.intercept.setxattr": "true",
    "snapshots.expiry": "1d", "snapshots.pattern": "x%d", "snapshots.schedule": "@daily", "snapshots.schedule.stopped": "true",
}

# The same for what came later; nobody's step has another number for it.
MORE = {
    "cloud-init.network-config": ("version: 1\nconfig: []\n", "plain", "plainer than ten", "- 1\n- 2", "5", "a: ["),
    "cloud-init.user-data": ("#cloud-config\n{}\n", "#cloud-config\nplain", "#!/bin/sh\ntrue"),
    "cloud-init.vendor-data": ("#cloud-config\n{}\n", "#cloud-config\nplain"),
    "image.os": ("busybox",),
    "image.": ("x",),
    "limits.disk.priority": ("5", "-1"),
    "limits.network.priority": ("5", "-1"),
    **{f"limits.hugepages.{size}": (good, "x", "-1", "4mb")
       for size, good in (("64KB", "64KiB"), ("1MB", "2MiB"), ("2MB", "4MiB"), ("1GB", "1GiB"))},
    **{f"limits.kernel.{what}": ("100:200", "x")
       for what in ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nproc", "rtprio",
                    "sigpending", "stack", "nosuch")},
    "nvidia.require.cuda": (">=9.0",),
    "nvidia.require.driver": (">=400",),
    "raw.idmap": ("both 1000 1000", "x", "both 1000", "both a b", "other 1 1", "uid 1000-1001 1000"),
}
BAD = {
    "migration.incremental.memory": "maybe", "migration.incremental.memory.goal": "x",
    "migration.incremental.memory.iterations": "-1", "nvidia.runtime": "maybe", "security.devlxd": "maybe",
    "security.devlxd.images": "2", "security.protection.shift": "maybe", "security.syscalls.deny_compat": "maybe",
    "security.syscalls.intercept.bpf": "maybe", "security.syscalls.intercept.bpf.devices": "maybe",
    "security.syscalls.intercept.mknod": "maybe", "security.syscalls.intercept.mount": "maybe",
    "security.syscalls.intercept.mount.shift": "maybe", "security.syscalls.intercept.sched_setscheduler": "maybe",
    "security.syscalls.intercept.setxattr": "maybe", "snapshots.expiry": "1x", "snapshots.schedule": "x",
    "snapshots.schedule.stopped": "maybe",
}
# What containers do not have, older names and records of the server are in other groups.
ELSEWHERE = ("agent.", "limits.memory.hugepages", "migration.stateful", "raw.qemu", "security.agent.", "security.secureboot",
             "security.syscalls.whitelist", "security.syscalls.blacklist", "volatile.")


def keys():
    """The rest of the keys; every key of the table has a value here or in config()."""
    k = I + "/keys"
    given = {*BOOLEANS, *KEYS, *OTHERS, *MORE}
    table = next(found for name, found in key_tables(SOURCE) if name == "instance")
    missing = [key for key in table if not key.startswith(ELSEWHERE)
               and not any(name == key or key.endswith("*") and name.startswith(key[:-1]) for name in given)]
    assert not missing, f"no values for {missing}"

    def tried(key, value):
        return [S("PATCH", k, {"config": {key: value}}, note=f"{key}={value!r}"),
                S("PATCH", k, {"config": {key: ""}}, note=f"unset {key}={value!r}")]

    steps = [S("POST", I, {"name": "keys", "source": {"type": "none"}})]
    for key, values in [*MORE.items(), *((key, (value,)) for key, value in BAD.items())]:
        for value in values:
            steps += tried(key, value)
    return steps + [S("GET", k, note="at the end"), S("DELETE", k)]


def config():
    c = I + "/cfg"

    def patch(values, note):
        return S("PATCH", c, {"config": values}, note=note)

    keys = {**{key: ("true", "maybe", "2") for key in BOOLEANS}, **KEYS}
    steps = [S("POST", I, {"name": "cfg", "source": {"type": "none"}})]
    for key, (good, *bad) in keys.items():
        if good is not None:
            steps += [patch({key: good}, f"{key}={good!r}"), patch({key: ""}, f"unset {key}")]
        for value in bad:  # some of which LXD takes
            steps += [patch({key: value}, f"{key}={value!r}"), patch({key: ""}, f"unset {key} again")]
    good = {key: values[0] for key, values in keys.items() if values[0] is not None}
    good.pop("security.syscalls.blacklist_default")  # excludes deny_default
    steps += [patch(good, "all at once"), S("GET", c), patch({key: "" for key in good}, "unset all"), S("GET", c)]
    steps += [S("PUT", c, {"config": {"limits.cpu": "x"}}, note="bad value"), S("PUT", c, {"config": {"nosuch": "x"}}, note="unknown"),
              S("POST", I, {"name": "cfg-bad", "source": {"type": "none"}, "config": {"limits.cpu.allowance": "x"}}, note="bad value")]
    for key, value in OTHERS.items():
        steps += [patch({key: value}, f"{key}={value!r}"), patch({key: ""}, f"unset {key}")]
    return steps + [S("GET", c, note="at the end"), S("DELETE", c)]


def limits():
    """On a running instance: what LXD takes at once, and what devices say of their limits."""
    r = I + "/lim"
    root = {"type": "disk", "path": "/", "pool": "default"}
    nic = {"type": "nic", "nictype": "bridged", "parent": "{br}", "name": "eth0"}

    def patch(values):
        return S("PATCH", r, {"config": values}, note=" ".join(f"{k}={v}" for k, v in values.items()))

    def disk(**rates):
        rates = {"limits." + k: v for k, v in rates.items()}
        return S("PATCH", r, {"devices": {"root": {**root, **rates}}}, note=f"root {rates}")

    def link(**rates):
        rates = {"limits." + k: v for k, v in rates.items()}
        return S("PATCH", r, {"devices": {"eth0": {**nic, **rates}}}, note=f"eth0 {rates}")

    def state(action):
        return S("PUT", r + "/state", {"action": action, "force": True, "timeout": -1})

    return [
        S("POST", I, {"name": "lim", "source": {"type": "image", "alias": "bb"}}), state("start"),
        patch({"limits.memory": "64MiB"}), patch({"limits.memory": "10%"}), patch({"limits.memory.enforce": "soft"}),
        patch({"limits.memory.swap": "false"}), patch({"limits.memory": ""}), patch({"limits.cpu": "1"}), patch({"limits.cpu": "7-9"}),
        patch({"limits.cpu": "0"}), patch({"limits.cpu": "99"}), patch({"limits.cpu": ""}), patch({"limits.cpu.allowance": "0%"}),
        patch({"limits.cpu.allowance": "10ms/50ms"}), patch({"limits.cpu.allowance": ""}), patch({"limits.processes": "-1"}),
        patch({"limits.processes": "500"}), patch({"limits.processes": ""}), patch({"limits.kernel.nofile": "1000"}),
        disk(read="10MB"), disk(write="20iops"), disk(max="1GiB"), disk(read="abc"), disk(read="10MB/s"), disk(max="xiops"), disk(),
        link(ingress="10Mbit"), link(ingress="abc"), link(ingress="10MB"), link(ingress="1.5Mbit"), link(ingress="-5Mbit"),
        link(ingress="10mbit"), link(ingress="10Mibit"), link(priority="3"), link(egress="10Mbit"), link(),
        S("GET", r, ignore=("metadata.config.volatile*", "metadata.expanded_config"), shape=("metadata.config", "metadata.expanded_config")),
        state("stop"), disk(read="abc"), state("start"), disk(), link(ingress="abc"), state("start"), link(ingress="1Mbit"),
        state("start"), state("stop"), S("DELETE", r),
    ]
