# SPDX-License-Identifier: Apache-2.0
"""Id maps, seccomp policies and raw keys: what is taken, what the errors say, what a guest sees."""
from engine import Step as S

I = "/1.0/instances"
P = "/1.0/profiles"

IDMAPS = ["both 1000 1000", "uid 50 50", "gid 7 200000000", "uid 50-60 500-510", "uid 1 1\ngid 1 1", "\nboth 7 7\n", "both 0 0",
          "both 1000-1010 1000-1010\nuid 1005 5", "both 1000-1005 1000-1004", "both 1000", "uid  1 1", "x 1 1", "both a 1", "both -1 5",
          "both 1-2-3 1-2-3"]
EXCLUSIONS = [
    {"allow": "read", "deny": "reboot"}, {"allow": "read", "deny_default": "true"}, {"allow": "read", "deny_default": "false"},
    {"allow": "read", "deny_compat": "true"}, {"allow": "read", "whitelist": "read"}, {"deny": "read", "blacklist": "read"},
    {"deny_default": "false", "blacklist_default": "false"}, {"deny_compat": "true", "blacklist_compat": "true"},
    {"allow": "read", "blacklist": "read"}, {"whitelist": "read", "deny": "read"}, {"deny": "mkdir errno 1\nrmdir", "deny_compat": "true"},
]
RAW_EXCLUSIONS = [{"deny": "read"}, {"allow": "read"}, {"deny_default": "false"}, {"deny_default": "true"}, {"blacklist": "read"}]
RAW_LXC = ["lxc.hook.start=/bin/x", "lxc.idmap=u 0 0 1", "lxc.syslog=x", "lxc.log.file=/x", "lxc.logfile=/x", "LXC.LOG.FILE=/x",
           " lxc.log.file =/x", "lxc.ephemeral=1", "foo=bar", "nonsense", "#comment", "lxc.net.0.ipv4.address=1.2.3.4/24",
           "lxc.net.0.ipv4.gateway=1.2.3.4", "lxc.net.0.link=x", "lxc.net.0.ipv4=1.2.3.4/24", "lxc.net.0.type=none",
           "lxc.net.0.ipv4.address.x=1", "lxc.mount.entry=/x y none bind", "lxc.apparmor.profile=unconfined", "lxc.cap.drop=",
           "lxc.uts.name=z", "lxc.environment=a=b", "lxc.prlimit.nofile=5", "lxc.nosuch=1", "lxc.cap.drop=nosuch", "lxc.arch=zzz",
           "lxc.include=/etc/passwd", "lxc.rootfs.path=/x", "lxc.log.level=1"]


def syscalls(values):
    return {"security.syscalls." + key: value for key, value in values.items()}


def security():
    c = I + "/sec"

    def patch(values):
        return S("PATCH", c, {"config": values}, note=" ".join(f"{k}={v!r}" for k, v in values.items()))

    def unset(values):  # one by one: LXD sees keys without a value as set
        return [S("PATCH", c, {"config": {key: ""}}, note="unset " + key) for key in values]

    def both(values):
        return [patch(values), *unset(values)]

    def ids(note):
        return S("GET", c, note=note)

    steps = [S("POST", I, {"name": "sec", "source": {"type": "none"}})]
    for value in IDMAPS:
        steps += [patch({"raw.idmap": value}), *([ids(f"after {value!r}")] if value == "both 1000 1000" else []), *unset({"raw.idmap": ""})]
    isolated = {"security.idmap.isolated": "true"}
    steps += [patch(isolated), ids("isolated")]
    for key, value in (("size", "1000"), ("size", "4000000000"), ("size", "auto"), ("base", "200000"), ("base", "abc")):
        steps += both({"security.idmap." + key: value})
    steps += [patch({"raw.idmap": "both 1000 1000"}), ids("isolated, with ids by hand"), *unset({"raw.idmap": ""}), *unset(isolated)]
    for values in EXCLUSIONS:
        steps += both(syscalls(values))
    for values in RAW_EXCLUSIONS:
        steps += both({"raw.seccomp": "2\ndenylist\n", **syscalls(values)})
    for value in RAW_LXC:
        steps += both({"raw.lxc": value})
    steps += [
        S("POST", P, {"name": "sec", "config": syscalls({"deny": "reboot"})}),
        patch(syscalls({"allow": "read"})), S("PATCH", c, {"profiles": ["default", "sec"]}, note="allow and deny, by a profile"),
        *unset(syscalls({"allow": ""})), S("PATCH", c, {"profiles": ["default", "sec"]}, note="deny by a profile"),
        S("PATCH", P + "/sec", {"config": {"raw.seccomp": "2\ndenylist\n"}}, note="excluded in itself"),
        S("PATCH", P + "/sec", {"config": {"raw.lxc": "lxc.log.file=/x"}}, note="raw.lxc"),
        S("PATCH", P + "/sec", {"config": {"raw.idmap": "both 1"}}, note="raw.idmap of a user"),
        patch({"security.protection.delete": "true"}), S("DELETE", c, note="protected"), patch({"security.protection.delete": ""}),
        S("DELETE", c), S("DELETE", P + "/sec"),
    ]
    for bad in ({"raw.idmap": "both 1"}, {"raw.idmap": "both 1-2 1"}, syscalls({"allow": "a", "deny": "b"}), {"raw.lxc": "nonsense"},
                {"security.idmap.isolated": "true", "security.idmap.size": "4000000000"}):
        steps.append(S("POST", I, {"name": "sec-bad", "source": {"type": "none"}, "config": bad}, note=str(bad)))
    return steps + guest()


def guest():
    """What a guest may call, init and commands alike."""
    r = I + "/sec-run"

    def state(action):
        return S("PUT", r + "/state", {"action": action, "force": True, "timeout": -1})

    def sh(line):
        return S("POST", r + "/exec", {"command": ["sh", "-c", line], "record-output": False}, note=line)

    return [
        S("POST", I, {"name": "sec-run", "source": {"type": "image", "alias": "bb"},
                      "config": syscalls({"deny": "mkdir errno 1\nmkdirat errno 1"})}),
        state("start"), sh("mkdir /mnt/x"), sh("grep -q 'Seccomp:.2' /proc/self/status"), sh("grep -q 'Seccomp:.2' /proc/1/status"),
        S("PATCH", r, {"config": syscalls({"deny": "", "deny_default": "false"})}), state("restart"), sh("mkdir /mnt/x"),
        sh("grep -q 'Seccomp:.0' /proc/self/status"), state("stop"), S("DELETE", r),
    ]
