# SPDX-License-Identifier: Apache-2.0
"""A refresh between pools of btrfs brings what has changed, and shares the rest with what is there: the space says so."""
import os
import pathlib

import pytest

from daemons import run

POOLS = "/1.0/storage-pools"
SIZE = 24 << 20
SMALL = 4 << 20  # a change of some bytes, with what the filesystem keeps of it


@pytest.fixture
def pools(daemon, api, name):
    drivers = [d["Name"] for d in api.get("/1.0").metadata["environment"]["storage_supported_drivers"]]
    if "btrfs" not in drivers:
        pytest.skip("no btrfs here")
    both = [f"inc{n}-{name}" for n in (1, 2)]
    for pool in both:
        api.run("POST", POOLS, {"name": pool, "driver": "btrfs", "config": {"size": "400MiB"}})
    yield both
    for instance in (name + "-1", name + "-2"):
        api.run("DELETE", f"/1.0/instances/{instance}", ok=False)
    for pool in both:
        for volume in api.get(f"{POOLS}/{pool}/volumes/custom?recursion=1").metadata:
            if "/" not in volume["name"]:
                api.run("DELETE", f"{POOLS}/{pool}/volumes/custom/{volume['name']}", ok=False)
        for image in api.get(f"{POOLS}/{pool}/volumes/image?recursion=1").metadata:
            api.run("DELETE", f"{POOLS}/{pool}/volumes/image/{image['name']}", ok=False)
        api.run("DELETE", f"{POOLS}/{pool}")


def used(daemon, api, pool):
    """Bytes, with nothing under way any more."""
    place = pathlib.Path(daemon.dir) / "storage-pools" / pool
    run("btrfs", "filesystem", "sync", str(place))  # wakes the cleaner, which would come in half a minute
    run("btrfs", "subvolume", "sync", "-s", "1", str(place), check=False)
    run("btrfs", "filesystem", "sync", str(place))
    return api.get(f"{POOLS}/{pool}/resources").metadata["space"]["used"]


def check(daemon, api, pool, changed, refresh, target):
    """`refresh` after a change in the directory `changed`, of which the pool has the state before."""
    before = used(daemon, api, pool)
    for n in range(2):
        (changed / "small").write_text(f"round {n}\n")
        refresh(n)
        assert (target / "small").read_text() == f"round {n}\n"
        assert (target / "large").read_bytes() == (changed / "large").read_bytes()
        grown = used(daemon, api, pool) - before
        assert grown < SMALL, f"{grown} bytes for a change of a few"


@pytest.mark.limit(300)
@pytest.mark.ours
def test_a_refresh_of_a_volume_sends_an_increment(daemon, api, pools):
    one, two = pools
    content = [pathlib.Path(daemon.dir) / "storage-pools" / pool / "custom/default_v" for pool in pools]
    daemon.lxc("storage", "volume", "create", one, "v")
    (content[0] / "large").write_bytes(os.urandom(SIZE))
    daemon.lxc("storage", "volume", "snapshot", one, "v", "s")
    empty = used(daemon, api, two)
    daemon.lxc("storage", "volume", "copy", f"{one}/v", f"{two}/v")
    assert SIZE <= used(daemon, api, two) - empty < SIZE + SMALL, "a volume shares with the snapshot of it"

    def refresh(n):
        daemon.lxc("storage", "volume", "snapshot", one, "v", f"s{n}")
        daemon.lxc("storage", "volume", "copy", f"{one}/v", f"{two}/v", "--refresh")

    check(daemon, api, two, content[0], refresh, content[1])


@pytest.mark.limit(300)
@pytest.mark.ours
def test_a_refresh_of_an_instance_sends_an_increment(daemon, api, pools, name):
    content = [pathlib.Path(daemon.dir) / "storage-pools" / pool / "containers" / f"{name}-{n}" / "rootfs/root"
               for n, pool in enumerate(pools, 1)]
    daemon.lxc("init", "bb", f"{name}-1", "-s", pools[0])
    (content[0] / "large").write_bytes(os.urandom(SIZE))
    run("btrfs", "subvolume", "create", str(content[0] / "inner"))
    (content[0] / "inner/file").write_text("inside\n")
    daemon.lxc("snapshot", f"{name}-1", "s")
    empty = used(daemon, api, pools[1])
    daemon.lxc("copy", f"{name}-1", f"{name}-2", "-s", pools[1])
    assert SIZE <= used(daemon, api, pools[1]) - empty < SIZE + SMALL, "an instance shares with the snapshot of it"

    def refresh(n):
        daemon.lxc("snapshot", f"{name}-1", f"s{n}")
        daemon.lxc("copy", f"{name}-1", f"{name}-2", "--refresh", "-s", pools[1])

    check(daemon, api, pools[1], content[0], refresh, content[1])
    daemon.lxc("start", f"{name}-2")
    assert api.exec(f"{name}-2", ["cat", "/root/small", "/root/inner/file"])[1] == "round 1\ninside\n"
    assert api.exec(f"{name}-2", ["stat", "-c", "%u", "/root/inner/file"])[1] == "0\n"
    api.run("PUT", f"/1.0/instances/{name}-2/state", {"action": "stop", "force": True})


@pytest.mark.limit(300)
@pytest.mark.ours
def test_a_moved_instance_still_shares_with_its_snapshots(daemon, api, pools, name):
    place = pathlib.Path(daemon.dir) / "storage-pools"
    daemon.lxc("init", "bb", f"{name}-1", "-s", pools[0])
    content = os.urandom(SIZE)
    (place / pools[0] / "containers" / f"{name}-1" / "rootfs/root/large").write_bytes(content)
    for n in range(2):
        daemon.lxc("snapshot", f"{name}-1", f"s{n}")
    empty = used(daemon, api, pools[1])
    daemon.lxc("move", f"{name}-1", "-s", pools[1])
    assert SIZE <= used(daemon, api, pools[1]) - empty < SIZE + SMALL
    for part in (f"containers/{name}-1", f"containers-snapshots/{name}-1/s0", f"containers-snapshots/{name}-1/s1"):
        assert (place / pools[1] / part / "rootfs/root/large").read_bytes() == content
    daemon.lxc("start", f"{name}-1")
    api.run("PUT", f"/1.0/instances/{name}-1/state", {"action": "stop", "force": True})
