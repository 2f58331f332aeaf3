# SPDX-License-Identifier: Apache-2.0
"""Instances: records, life cycle, state, files, exec, console, logs, copies."""
from engine import Step as S

I = "/1.0/instances"
LIVE = ("metadata.state.network", "metadata.state.memory", "metadata.state.cpu", "metadata.state.disk")


def records():
    """Everything that needs no running container."""
    none = {"type": "none"}

    def bad(**fields):
        return S("POST", I, {"name": "bad", "source": none, **fields})

    image = {"type": "image", "alias": "bb"}
    return [
        S("GET", I), S("GET", I + "?recursion=1"), S("GET", I + "?recursion=2"), S("GET", I + "?filter="), S("GET", I + "/nosuch"),
        S("GET", "/1.0/containers"), S("GET", "/1.0/virtual-machines"), S("GET", I + "?instance-type=container"),
        S("GET", I + "?instance-type=nosuch"), S("GET", I + "?all-projects=true"), S("GET", I + "?all-projects=true&project=default"),
        S("POST", I, {"name": "empty", "source": none, "config": {"limits.cpu": "1", "user.x": "y"}, "description": "nothing"}),
        S("GET", I + "/empty"), S("GET", I + "/empty?recursion=1"), S("GET", I), S("GET", I + "?recursion=1"), S("GET", I + "?recursion=2"),
        S("GET", "/1.0/containers/empty"), S("GET", "/1.0/containers"), S("GET", "/1.0/virtual-machines/empty"),
        S("GET", I + "/empty/state", ignore=("metadata.disk",)),
        S("POST", I, {"name": "empty", "source": none}, note="twice"),
        S("POST", I, {"name": "UPPER", "source": none}), S("POST", I, {"name": "a/b", "source": none}),
        S("POST", I, {"name": "..", "source": none}), S("POST", I, {"name": "a b", "source": none}), S("POST", I, {"name": "-a", "source": none}),
        S("POST", I, {"name": "a-", "source": none}), S("POST", I, {"name": "12345", "source": none}), S("POST", I, {"name": "a_b", "source": none}),
        S("POST", I, {"name": "a\nb", "source": none}), S("POST", I, {"name": "x" * 64, "source": none}), S("POST", I, {"name": "a.b", "source": none}),
        S("POST", I, {"name": "ä", "source": none}), S("POST", I, {"name": "1a", "source": none}),
        S("POST", I, {"name": 5}), S("POST", I, data=b"{\"name\":", note="truncated"), S("POST", I, data=b"", note="empty"), S("POST", I, {}),
        S("POST", I, {"name": "bad", "source": {"type": "nosuch"}}), S("POST", I, {"name": "bad", "source": {"type": "image"}}),
        S("POST", I, {"name": "bad", "source": {"type": "image", "alias": "nosuch"}}),
        S("POST", I, {"name": "bad", "source": {"type": "image", "fingerprint": "nosuch"}}),
        S("POST", I, {"name": "bad", "source": {"type": "image", "fingerprint": "0" * 64}}),
        S("POST", I, {"name": "bad", "source": {"type": "image", "properties": {"os": "nosuch"}}}),
        S("POST", I, {"name": "bad", "source": {"type": "copy"}}), S("POST", I, {"name": "bad", "source": {"type": "copy", "source": "nosuch"}}),
        S("POST", I, {"name": "bad", "source": {"type": "migration", "mode": "nosuch"}}),
        bad(type="nosuch"), bad(architecture="vax"), bad(profiles=["nosuch"]), bad(profiles=["default", "default"]), bad(profiles=[]),
        bad(config={"nosuch": "1"}), bad(config={"limits.memory": "lots"}), bad(config={"limits.cpu": "x"}),
        bad(config={"security.nesting": "perhaps"}), bad(config={"boot.autostart.priority": "x"}), bad(config={"limits.cpu.priority": "50"}),
        bad(config={"limits.memory.enforce": "x"}), bad(config={"raw.idmap": "x"}), bad(config={"linux.kernel_modules": "a b"}),
        S("DELETE", I + "/bad", note="made with kernel modules"),
        bad(devices={"d": {"type": "nosuch"}}), bad(devices={"d": {"type": "nic", "network": "nosuch"}}),
        bad(devices={"d": {"type": "disk", "path": "/x", "source": "/nosuch/path"}}),
        bad(devices={"root": {"type": "none"}}), bad(devices={"root": {"type": "disk", "path": "/", "pool": "nosuch"}}),
        bad(devices={"d": {"type": "nic", "network": "{br}", "ipv4.address": "1.2.3.4"}}),
        bad(devices={"d": {"type": "nic", "nictype": "bridged", "parent": "nosuchbr"}}),
        bad(config="x"), bad(devices="x"), bad(ephemeral="x"), bad(profiles="default"),
        S("GET", I + "/bad"), S("GET", I),
        S("PUT", I + "/nosuch", {}), S("PATCH", I + "/nosuch", {}), S("DELETE", I + "/nosuch"), S("POST", I + "/nosuch", {"name": "x"}),
        S("PATCH", I + "/empty", {"config": {"user.x": "z", "user.new": "1"}}), S("GET", I + "/empty"),
        S("PATCH", I + "/empty", {"config": {"user.new": ""}}), S("PATCH", I + "/empty", {"description": "changed"}), S("GET", I + "/empty"),
        S("PATCH", I + "/empty", {"config": {"nosuch": "1"}}), S("PATCH", I + "/empty", {"devices": {"d": {"type": "nosuch"}}}),
        S("PATCH", I + "/empty", {"profiles": ["nosuch"]}), S("PATCH", I + "/empty", {"config": {"volatile.uuid": "x"}}),
        S("PUT", I + "/empty", {"config": {"user.x": "put"}, "profiles": ["default"], "architecture": "x86_64", "ephemeral": False,
                                "devices": {"eth0": {"type": "none"}}}), S("GET", I + "/empty"),
        S("PUT", I + "/empty", {"config": {}}, headers={"If-Match": "0" * 64}), S("PUT", I + "/empty", {"config": {"nosuch": "1"}}),
        S("PUT", I + "/empty", {"profiles": ["nosuch"]}), S("PUT", I + "/empty", {"architecture": "vax"}), S("PUT", I + "/empty", data=b"[", note="truncated"),
        S("PUT", I + "/empty", {"config": {"user.x": "put"}, "profiles": ["default"], "devices": {"eth1": {"type": "nic", "nictype": "bridged",
                                "parent": "{br}", "name": "eth1"}}}), S("GET", I + "/empty"),
        S("POST", I + "/empty", {"name": "renamed"}), S("GET", I + "/empty"), S("GET", I + "/renamed"), S("POST", I + "/renamed", {}),
        S("POST", I + "/renamed", {"name": "a/b"}), S("POST", I + "/renamed", {"name": ".."}), S("POST", I + "/renamed", {"name": "renamed"}),
        S("POST", I, {"name": "copied", "source": {"type": "copy", "source": "renamed"}}), S("GET", I + "/copied"),
        S("POST", I + "/renamed", {"name": "copied"}),
        S("GET", I + "/renamed/metadata"), S("GET", I + "/renamed/metadata/templates"), S("GET", I + "/renamed/logs"), S("GET", I + "/nosuch/logs"),
        S("GET", I + "/renamed/snapshots"), S("GET", I + "/renamed/backups"), S("GET", I + "/nosuch/snapshots"),
        S("GET", I + "/renamed/logs/nosuch.log"), S("GET", I + "/renamed/logs/..%2fx"), S("DELETE", I + "/renamed/logs/lxc.log"),
        S("PUT", I + "/renamed/state", {"action": "stop"}), S("PUT", I + "/renamed/state", {"action": "stop", "force": True}),
        S("PUT", I + "/renamed/state", {"action": "freeze"}), S("PUT", I + "/renamed/state", {"action": "unfreeze"}),
        S("PUT", I + "/renamed/state", {"action": "restart"}), S("PUT", I + "/renamed/state", {"action": "nosuch"}), S("PUT", I + "/renamed/state", {}),
        S("PUT", I + "/nosuch/state", {"action": "start"}), S("PUT", I + "/renamed/state", data=b"{", note="truncated"),
        S("POST", I + "/renamed/exec", {"command": ["true"]}), S("POST", I + "/nosuch/exec", {"command": ["true"]}),
        S("POST", I + "/renamed/exec", data=b"{", note="truncated"), S("POST", I + "/renamed/console", {}), S("GET", I + "/renamed/console"),
        S("POST", I + "/renamed/console", {"type": "vga"}), S("POST", I + "/renamed/console", {"type": "nosuch"}), S("GET", I + "/nosuch/console"),
        S("GET", I + "/renamed/files"), S("GET", I + "/renamed/files?path=/nosuch"), S("GET", I + "/nosuch/files?path=/"),
        S("GET", I + "?filter=name%20eq%20renamed"), S("GET", I + "?recursion=1&filter=name%20eq%20copied"), S("GET", I + "?filter=name"),
        S("GET", I + "?filter=name%20eq"), S("GET", I + "?filter=not%20name%20eq%20copied"), S("GET", I + "?filter=name%20eq%20c.*"),
        S("GET", I + "?filter=name%20eq%20copied%20or%20name%20eq%20renamed"), S("GET", I + "?filter=name%20eq%20copied%20and"),
        S("GET", I + "?filter=name%20xx%20copied"), S("GET", I + "?filter=status%20eq%20stopped"), S("GET", I + "?filter=config.user.x%20eq%20put"),
        S("PATCH", I + "/renamed", {"config": {"security.protection.delete": "true"}}), S("DELETE", I + "/renamed"),
        S("PATCH", I + "/renamed", {"config": {"security.protection.delete": "false"}}),
        S("DELETE", I + "/renamed"), S("DELETE", I + "/copied"), S("DELETE", I + "/copied"), S("GET", I),
        S("POST", I, {"source": image, "name": "fromalias"}, note="from image"), S("GET", I + "/fromalias"), S("GET", I + "/fromalias/metadata"),
        S("GET", I + "/fromalias/metadata/templates"), S("GET", I + "/fromalias/metadata/templates?path=hostname.tpl"),
        S("GET", I + "/fromalias/metadata/templates?path=nosuch"), S("GET", "/1.0/storage-pools/default/volumes"),
        S("GET", "/1.0/storage-pools/default/volumes/container/fromalias"), S("GET", "/1.0/profiles/default"), S("GET", "/1.0/images/{bb}"),
        S("DELETE", I + "/fromalias"),
    ]


def running():
    r = I + "/run"
    state = lambda action, **more: S("PUT", r + "/state", {"action": action, **more})  # noqa: E731
    counters = ("metadata.network.*.counters", "metadata.memory", "metadata.cpu", "metadata.disk")
    up = lambda reply: len(reply.metadata["network"]["eth0"]["addresses"]) == 2  # noqa: E731

    def exec_(command, **more):
        return S("POST", r + "/exec", {"command": command, "wait-for-websocket": False, "record-output": False, **more})

    def record(command, **more):
        return [S("POST", r + "/exec", {"command": command, "record-output": True, **more}),
                S("GET", r + "/logs", ignore=("metadata",))]

    files = r + "/files?path="
    return [
        S("POST", I, {"name": "run", "source": {"type": "image", "fingerprint": "{bb}"},
                      "config": {"limits.memory": "128MiB", "limits.processes": "200", "environment.HELLO": "world"}}),
        S("GET", r), S("GET", r + "/state", ignore=("metadata.disk",)), state("start", timeout=-1), state("start"), S("GET", r),
        S("GET", r + "/state", shape=counters, until=up), S("GET", I + "?recursion=1"), S("GET", r + "?recursion=1", shape=LIVE),
        S("GET", "/1.0/networks/{br}/leases"), S("GET", "/1.0/networks/{br}"), S("DELETE", r), S("POST", r, {"name": "other"}),
        S("POST", I, {"name": "run", "source": {"type": "none"}}, note="exists"), S("PATCH", r, {"config": {"security.privileged": "true"}}),
        S("PATCH", r, {"config": {"limits.memory": "64MiB"}}), S("PATCH", r, {"config": {"user.live": "1"}}), S("PATCH", r, {"config": {"limits.cpu": "1"}}),
        S("PATCH", r, {"devices": {"extra": {"type": "disk", "source": "/etc", "path": "/mnt/etc", "readonly": "true"}}}),
        exec_(["test", "-e", "/mnt/etc/hostname"]), S("PATCH", r, {"devices": {"bad": {"type": "disk", "source": "/nosuch", "path": "/x"}}}),
        S("GET", r), exec_(["true"]), exec_(["false"]), exec_(["sh", "-c", "exit 42"]), exec_(["nosuch"]), exec_(["/etc/passwd"]), exec_([]),
        S("POST", r + "/exec", {}), S("POST", r + "/exec", {"command": "true"}), exec_(["sh", "-c", "test \"$HELLO\" = world"]),
        exec_(["sh", "-c", "test \"$A\" = b"], environment={"A": "b"}), exec_(["sh", "-c", "test $(id -u) = 1000"], user=1000, group=1000),
        exec_(["sh", "-c", "test $PWD = /etc"], cwd="/etc"), exec_(["pwd"], cwd="/nosuch"), *record(["echo", "hello"]),
        S("GET", files + "/etc/passwd"), S("HEAD", files + "/etc/passwd"), S("GET", files + "/etc", ignore=()), S("GET", files + "/nosuch"), S("GET", r + "/files"),
        S("GET", files + "/bin/sh", ignore=("<body>",), note="a link"), S("POST", files + "/tmp/f", data=b"content", headers={"X-LXD-mode": "0640", "X-LXD-uid": "1000",
          "X-LXD-gid": "1000"}), S("GET", files + "/tmp/f"), S("POST", files + "/tmp/f", data=b" more", headers={"X-LXD-write": "append"}), S("GET", files + "/tmp/f"),
        S("POST", files + "/tmp/f", data=b"x", headers={"X-LXD-write": "nosuch"}), S("POST", files + "/tmp/f", data=b"x", headers={"X-LXD-type": "nosuch"}),
        S("POST", files + "/tmp/d", headers={"X-LXD-type": "directory", "X-LXD-mode": "0711"}), S("GET", files + "/tmp/d"),
        S("POST", files + "/tmp/l", data=b"f", headers={"X-LXD-type": "symlink"}), S("GET", files + "/tmp/l"), S("GET", files + "/tmp"),
        S("POST", files + "/nosuch/f", data=b"x"), S("POST", r + "/files", data=b"x"), S("DELETE", files + "/tmp/f"), S("DELETE", files + "/tmp/f"),
        S("DELETE", files + "/tmp/d"), S("DELETE", files + "/tmp/l"), S("DELETE", r + "/files"), S("PUT", files + "/x", {}), S("GET", r + "/sftp"),
        S("GET", r + "/logs"), S("GET", r + "/logs/lxc.conf", ignore=("<body>",)), S("GET", r + "/logs/nosuch"), S("DELETE", r + "/logs/lxc.conf"),
        S("GET", r + "/console", ignore=("<body>",)), S("DELETE", r + "/console"), S("PUT", r + "/console", {}),
        S("POST", r + "/console", {"type": "nosuch"}), S("POST", r + "/console", {"type": "vga"}),
        state("freeze"), S("GET", r + "/state", shape=counters, ignore=("metadata.network", "metadata.processes")), state("freeze"),
        S("POST", r + "/exec", {"command": ["true"]}), state("start"), state("unfreeze"), state("unfreeze"),
        S("GET", r), state("restart", force=True, timeout=30), state("stop", force=True, timeout=30), state("stop", force=True), S("GET", r),
        S("GET", r + "/state", ignore=("metadata.disk",)), S("PATCH", r, {"config": {"security.idmap.isolated": "true"}}),
        state("start"), state("stop", timeout=30), S("POST", I, {"name": "clone", "source": {"type": "copy", "source": "run"}, "ephemeral": False}),
        S("GET", I + "/clone"), S("DELETE", I + "/clone"), S("GET", "/1.0/storage-pools/default"), S("GET", "/1.0/profiles/default"),
        S("DELETE", r), S("GET", r), S("POST", I, {"name": "eph", "ephemeral": True, "source": {"type": "image", "alias": "bb"}}),
        S("PUT", I + "/eph/state", {"action": "start"}), S("GET", I + "/eph"), S("PUT", I + "/eph/state", {"action": "stop", "force": True}),
        S("GET", I + "/eph", until=lambda reply: reply.status == 404), S("GET", I),
    ]
