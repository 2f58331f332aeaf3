# SPDX-License-Identifier: Apache-2.0
"""The root disk says where the volume is: nothing but a move changes that, and snapshots follow."""
import pytest


ROOT = {"path": "/", "type": "disk"}


@pytest.fixture
def pool(daemon, api, name):
    other = name + "p"
    api.run("POST", "/1.0/storage-pools", {"name": other, "driver": "dir"})
    yield other
    for one in (name, name + "b", name + "c"):
        api.run("DELETE", f"/1.0/instances/{one}", ok=False)
    api.run("DELETE", f"/1.0/profiles/{name}", ok=False)
    api.run("DELETE", f"/1.0/storage-pools/{other}")


def pools(api, name):
    """Of the instance and its snapshots, where the expanded root disk is."""
    shown = api.get(f"/1.0/instances/{name}?recursion=1").metadata
    found = {"": shown["expanded_devices"]["root"]["pool"]}
    for snapshot in shown["snapshots"] or []:
        found[snapshot["name"]] = snapshot["expanded_devices"]["root"]["pool"]
    return found


def test_the_pool_of_a_root_disk_stays(daemon, api, name, pool):
    daemon.lxc("init", "bb", name, "-s", pool)
    words = 'Cannot update root disk device pool name to "default"'
    for args in (("device", "remove", name, "root"), ("device", "set", name, "root", "pool", "default")):
        failed = daemon.lxc("config", *args, check=False)
        assert failed.returncode != 0 and failed.stderr == f"Error: {words}\n"
    reply = api.request("PATCH", f"/1.0/instances/{name}", {"devices": {"root": {**ROOT, "pool": "default"}}})
    assert (reply.status, reply.error) == (500, words)
    assert pools(api, name) == {"": pool}
    daemon.lxc("config", "device", "set", name, "root", "size", "1GiB")


def test_a_refresh_does_not_forget_where_the_copy_is(daemon, api, name, pool):
    daemon.lxc("init", "bb", name)
    daemon.lxc("copy", name, name + "b", "-s", pool)
    failed = daemon.lxc("copy", name, name + "b", "--refresh", check=False)
    assert failed.returncode != 0 and 'Cannot update root disk device pool name to "default"' in failed.stderr
    assert pools(api, name + "b") == {"": pool}
    daemon.lxc("copy", name, name + "b", "--refresh", "-s", pool)
    assert pools(api, name + "b") == {"": pool}


def test_snapshots_follow_into_another_pool(daemon, api, name, pool, tmp_path):
    daemon.lxc("init", "bb", name)
    daemon.lxc("snapshot", name, "s0")  # the root disk is the profile's
    daemon.lxc("config", "device", "override", name, "root", "size=1GiB")
    daemon.lxc("snapshot", name, "s1")  # its own
    there = {"": pool, "s0": pool, "s1": pool}
    daemon.lxc("copy", name, name + "b", "-s", pool)
    assert pools(api, name + "b") == there
    daemon.lxc("export", name, tmp_path / "b")
    daemon.lxc("import", tmp_path / "b", name + "c", "-s", pool)
    assert pools(api, name + "c") == there
    daemon.lxc("move", name, "-s", pool)
    assert pools(api, name) == there
    for one in (name, name + "b", name + "c"):
        for snapshot in ("s0", "s1"):
            daemon.lxc("restore", one, snapshot)
            assert pools(api, one) == there
        daemon.lxc("start", one)
        daemon.lxc("stop", "-f", one)


def test_snapshots_of_a_copy_in_the_same_pool_keep_their_devices(daemon, api, name, pool):
    daemon.lxc("init", "bb", name)
    daemon.lxc("snapshot", name, "s0")
    daemon.lxc("copy", name, name + "b")
    assert api.get(f"/1.0/instances/{name}b/snapshots/s0").metadata["devices"] == {}


def test_a_profile_keeps_the_root_disk_that_instances_rely_on(daemon, api, name, pool):
    words = "At least one instance relies on this profile's root disk device"
    daemon.lxc("profile", "create", name)
    daemon.lxc("profile", "device", "add", name, "root", "disk", "path=/", "pool=default")
    daemon.lxc("init", "bb", name, "-p", name)
    for args in (("remove", name, "root"), ("set", name, "root", "pool", pool)):
        failed = daemon.lxc("profile", "device", *args, check=False)
        assert failed.returncode != 0 and failed.stderr == f"Error: {words}\n"
    assert pools(api, name) == {"": "default"}
    daemon.lxc("profile", "device", "set", name, "root", "size", "1GiB")
    daemon.lxc("config", "device", "override", name, "root")  # now it is the instance's own
    daemon.lxc("profile", "device", "remove", name, "root")
    assert pools(api, name) == {"": "default"}
