# SPDX-License-Identifier: Apache-2.0
"""Snapshots, restores, copies, refreshes and moves of instances, and images made of them."""
from engine import Step as S

I = "/1.0/instances"


def snapshots():
    one = I + "/snap-a"
    two = one + "/snapshots"
    image = {"type": "image", "alias": "bb"}

    def copy(name, source, **fields):
        return S("POST", I, {"name": name, "profiles": ["default"], "source": {"type": "copy", "source": source, **fields}})

    def publish(source, **fields):
        return S("POST", "/1.0/images", {"source": source, **fields})

    return [
        S("POST", I, {"name": "snap-a", "source": image, "config": {"user.x": "1"}}),
        S("GET", two), S("GET", two + "?recursion=1"), S("GET", two + "/nosuch"), S("GET", I + "/nosuch/snapshots"),
        S("GET", I + "/nosuch/snapshots/nosuch"), S("POST", I + "/nosuch/snapshots", {"name": "s"}), S("DELETE", two + "/nosuch"),
        S("PUT", two + "/nosuch", {"expires_at": "2031-01-01T00:00:00Z"}), S("POST", two + "/nosuch", {"name": "s"}),
        S("POST", two, {"name": "s0"}), S("POST", two, {"name": "s0"}, note="twice"), S("POST", two, {}), S("POST", two, {"name": "a/b"}),
        S("POST", two, {"name": "a b"}), S("POST", two, {"name": 5}), S("POST", two, data=b"{", note="truncated"),
        S("POST", two, {"name": "st", "stateful": True}), S("POST", two, {"name": "e", "expires_at": "2031-01-01T00:00:00Z"}),
        S("POST", two, {"name": "never", "expires_at": "0001-01-01T00:00:00Z"}),
        S("GET", two), S("GET", two + "?recursion=1"), S("GET", two + "/s0"), S("GET", two + "/e"), S("GET", one + "?recursion=1"),
        S("GET", I + "?recursion=2"), S("GET", "/1.0/containers/snap-a/snapshots"), S("GET", "/1.0/virtual-machines/snap-a/snapshots"),
        S("PUT", two + "/s0", {"expires_at": "2032-01-01T00:00:00Z"}), S("GET", two + "/s0"), S("PUT", two + "/s0", {}), S("GET", two + "/s0"),
        S("PATCH", two + "/s0", {"expires_at": "2033-01-01T00:00:00Z"}), S("GET", two + "/s0"),
        S("PUT", two + "/s0", {"expires_at": "0001-01-01T00:00:00Z"}), S("GET", two + "/s0"),
        S("PUT", two + "/s0", {"expires_at": "2032-01-01T00:00:00Z"}, headers={"If-Match": "0" * 64}),
        S("POST", two + "/e", {"name": "s0"}), S("POST", two + "/e", {"name": "a/b"}), S("POST", two + "/e", {"name": "a b"}),
        S("POST", two + "/e", {"name": "f"}), S("GET", two), S("DELETE", two + "/f"), S("GET", two),
        S("PATCH", one, {"config": {"user.x": "2", "user.y": "3"}, "devices": {"n": {"type": "none"}}}), S("GET", two + "/s0"),
        S("PUT", one, {"restore": "nosuch"}), S("PATCH", one, {"restore": "s0"}), S("PUT", one, {"restore": "s0", "stateful": True}),
        S("PUT", one, {"restore": "s0"}), S("GET", one), S("PUT", one, {"restore": "snap-a/s0"}), S("GET", one),
        S("PATCH", one, {"config": {"snapshots.schedule": "@hourly"}}), S("PATCH", one, {"config": {"snapshots.schedule": "* * *"}}),
        S("PATCH", one, {"config": {"snapshots.expiry": "1x"}}), S("PATCH", one, {"config": {"snapshots.schedule": "@never"}}),
        S("PATCH", one, {"config": {"snapshots.schedule.stopped": "x"}}), S("PATCH", one, {"config": {"snapshots.schedule": ""}}),
        S("PATCH", one, {"config": {"snapshots.pattern": "p-%d"}}), S("POST", two, {}), S("POST", two, {}), S("GET", two),
        S("PATCH", one, {"config": {"snapshots.pattern": "fixed"}}), S("POST", two, {}), S("POST", two, {}), S("GET", two),
        S("PATCH", one, {"config": {"snapshots.pattern": "%d%d"}}), S("POST", two, {}), S("PATCH", one, {"config": {"snapshots.pattern": ""}}),
        S("DELETE", two + "/p-0"), S("DELETE", two + "/p-1"), S("DELETE", two + "/fixed"), S("DELETE", two + "/fixed-0"),
        copy("snap-b", "snap-a"), S("GET", I + "/snap-b"), S("GET", I + "/snap-b/snapshots?recursion=1"), copy("snap-b", "snap-a"),
        copy("snap-c", "snap-a/s0"), S("GET", I + "/snap-c?recursion=1"), copy("snap-d", "snap-a/nosuch"), copy("snap-d", "nosuch/s0"),
        copy("snap-d", "snap-a", instance_only=True), S("GET", I + "/snap-d/snapshots"), copy("snap-e", "snap-a", project="nosuch"),
        S("PATCH", I + "/snap-b", {"config": {"user.z": "own"}}), S("POST", I + "/snap-b/snapshots", {"name": "own"}),
        S("DELETE", two + "/s0"), S("POST", two, {"name": "s1"}), copy("snap-b", "snap-a", refresh=True),
        S("GET", I + "/snap-b"), S("GET", I + "/snap-b/snapshots"), copy("snap-b", "snap-a/s1", refresh=True), S("GET", I + "/snap-b/snapshots"),
        S("POST", I + "/snap-b", {"name": "snap-a"}), S("POST", I + "/snap-b", {"name": "snap-f"}), S("GET", I + "/snap-f/snapshots"),
        S("POST", "/1.0/storage-pools", {"name": "snap-pool", "driver": "dir"}),
        S("POST", I + "/snap-f", {"name": "snap-f", "pool": "nosuch", "migration": True}),
        S("POST", I + "/snap-f", {"name": "snap-f", "pool": "snap-pool", "migration": True}), S("GET", I + "/snap-f?recursion=1"),
        S("POST", I + "/snap-f", {"name": "snap-g", "pool": "default", "migration": True}), S("GET", I + "/snap-g?recursion=1"), S("GET", I + "/snap-f"),
        publish({"type": "instance"}), publish({"type": "instance", "name": "nosuch"}), publish({"type": "snapshot", "name": "snap-a"}),
        publish({"type": "snapshot", "name": "snap-a/nosuch"}), publish({"type": "instance", "name": "snap-a/s1"}),
        publish({"type": "instance", "name": "snap-a"}, compression_algorithm="nosuch"),
        S("DELETE", one), S("DELETE", I + "/snap-c"), S("DELETE", I + "/snap-d"), S("DELETE", I + "/snap-g"), S("GET", I),
        S("DELETE", "/1.0/storage-pools/snap-pool"),
    ]


def listings():
    """Snapshots with their sizes, and backups, wherever instances are shown."""
    pool = {"name": "listed-pool", "driver": "btrfs", "config": {"size": "500MiB"}}
    root = {"root": {"type": "disk", "path": "/", "pool": "listed-pool", "size": "200MiB"}}
    a, b = I + "/listed-a", I + "/listed-b"
    progress = ("metadata.metadata",)  # says how fast it was
    return [
        S("POST", "/1.0/storage-pools", pool), S("POST", I, {"name": "listed-a", "source": {"type": "none"}, "devices": root}),
        S("POST", I, {"name": "listed-b", "source": {"type": "none"}}), S("POST", a + "/snapshots", {"name": "s0"}),
        S("POST", b + "/snapshots", {"name": "s0"}), S("GET", a + "/snapshots?recursion=1"), S("GET", b + "/snapshots?recursion=1"),
        S("GET", a + "/snapshots/s0"), S("GET", b + "/snapshots/s0"), S("GET", a + "/snapshots?recursion=2"),
        S("POST", a + "/backups", {"name": "b0", "expires_at": "2090-01-01T00:00:00Z", "instance_only": True}, ignore=progress),
        S("GET", a + "?recursion=1"), S("GET", b + "?recursion=1"), S("GET", I + "?recursion=2"), S("GET", I + "?recursion=1"),
        S("GET", I + "?recursion=2&filter=name+eq+listed-a"), S("GET", "/1.0/containers?recursion=2"), S("GET", "/1.0/virtual-machines?recursion=2"),
        S("GET", a + "/backups?recursion=2"), S("DELETE", a + "/backups/b0"), S("DELETE", a + "/snapshots/s0"), S("GET", a + "?recursion=1"),
        S("DELETE", a), S("DELETE", b), S("DELETE", "/1.0/storage-pools/listed-pool"),
    ]
