# SPDX-License-Identifier: Apache-2.0
"""Custom volumes with the stock client: each verb of `lxc storage volume`, and disks of instances on them."""
import itertools
import os
import pathlib
import re

import pytest

from daemons import run, wait_until

_numbers = itertools.count()
POOLS = "/1.0/storage-pools"


@pytest.fixture(scope="module", params=["dir", "btrfs"])
def pool(request, shared_daemon):
    """A pool of each driver that is offered."""
    drivers = shared_daemon.api.get("/1.0").metadata["environment"]["storage_supported_drivers"]
    if request.param not in [driver["Name"] for driver in drivers]:
        pytest.skip(f"no {request.param} here")
    name = f"vols-{request.param}"
    config = {"size": "256MiB"} if request.param == "btrfs" else {}
    shared_daemon.api.run("POST", POOLS, {"name": name, "driver": request.param, "config": config})
    yield name
    for volume in shared_daemon.api.get(f"{POOLS}/{name}/volumes/custom?recursion=1").metadata:
        if "/" not in volume["name"]:
            shared_daemon.api.run("DELETE", f"{POOLS}/{name}/volumes/custom/{volume['name']}", ok=False)
    for fingerprint in shared_daemon.api.get(f"{POOLS}/{name}/volumes/image?recursion=1").metadata:
        shared_daemon.api.run("DELETE", f"{POOLS}/{name}/volumes/image/{fingerprint['name']}", ok=False)
    shared_daemon.api.run("DELETE", f"{POOLS}/{name}")


@pytest.fixture
def lxc(daemon):
    return lambda *args, **options: daemon.lxc("storage", "volume", *args, **options)


@pytest.fixture
def volume(daemon, pool):
    name = f"v{os.getpid() % 10000}-{next(_numbers)}"
    daemon.api.run("POST", f"{POOLS}/{pool}/volumes/custom", {"name": name})
    yield name
    daemon.api.run("DELETE", f"{POOLS}/{pool}/volumes/custom/{name}", ok=False)


def folder(daemon, pool, volume):
    return pathlib.Path(daemon.dir) / "storage-pools" / pool / "custom" / f"default_{volume}"


def refused(result):
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[0]


def test_a_volume_is_made_shown_and_deleted(daemon, lxc, pool):
    lxc("create", pool, "made", "user.a=b", "snapshots.expiry=3d")
    assert "made" in lxc("list", pool, "--format", "csv").stdout
    shown = lxc("show", pool, "made").stdout
    assert "user.a: b" in shown and "content_type: filesystem" in shown
    assert lxc("get", pool, "made", "snapshots.expiry").stdout.strip() == "3d"
    path = folder(daemon, pool, "made")
    assert path.stat().st_mode & 0o777 == 0o711 and path.parent.stat().st_mode & 0o077 == 0
    lxc("delete", pool, "made")
    assert not path.exists()
    assert "not found" in refused(lxc("show", pool, "made", check=False))


def test_options_are_set_and_unset(lxc, pool, volume):
    lxc("set", pool, volume, "user.a", "1")
    assert lxc("get", pool, volume, "user.a").stdout.strip() == "1"
    lxc("unset", pool, volume, "user.a")
    assert lxc("get", pool, volume, "user.a").stdout.strip() == ""
    assert "Invalid option for volume" in refused(lxc("set", pool, volume, "nosuch", "1", check=False))
    assert "Invalid expiry expression" in refused(lxc("set", pool, volume, "snapshots.expiry", "soon", check=False))
    assert "Schedule must be" in refused(lxc("set", pool, volume, "snapshots.schedule", "@startup", check=False))


def test_a_volume_is_edited(lxc, pool, volume):
    lxc("edit", pool, volume, input="description: from a file\nconfig:\n  user.q: r\n")
    shown = lxc("show", pool, volume).stdout
    assert "description: from a file" in shown and "user.q: r" in shown


def test_a_volume_is_renamed_with_its_snapshots(daemon, lxc, pool, volume):
    (folder(daemon, pool, volume) / "file").write_text("x")
    lxc("snapshot", pool, volume, "s1")
    lxc("rename", pool, volume, volume + "-new")
    assert (folder(daemon, pool, volume + "-new") / "file").read_text() == "x"
    assert f"{volume}-new/s1" in lxc("list", pool, "--format", "csv").stdout
    assert "already exists" in refused(lxc("rename", pool, volume + "-new", volume + "-new", check=False))
    lxc("rename", pool, volume + "-new", volume)


def test_snapshots_are_made_restored_renamed_and_deleted(daemon, lxc, pool, volume):
    file = folder(daemon, pool, volume) / "file"
    file.write_text("old")
    lxc("snapshot", pool, volume)
    file.write_text("new")
    (folder(daemon, pool, volume) / "more").write_text("")
    lxc("snapshot", pool, volume, "second")
    lxc("restore", pool, volume, "snap0")
    assert file.read_text() == "old" and not (folder(daemon, pool, volume) / "more").exists()
    lxc("restore", pool, volume, "second")
    assert file.read_text() == "new"
    lxc("rename", pool, f"{volume}/second", f"{volume}/third")
    assert f"{volume}/third" in lxc("list", pool, "--format", "csv").stdout
    lxc("delete", pool, f"{volume}/third")
    assert f"{volume}/third" not in lxc("list", pool, "--format", "csv").stdout
    assert "Snapshot not found" in refused(lxc("restore", pool, volume, "third", check=False))
    assert "already in use" in refused(lxc("snapshot", pool, volume, "snap0", check=False))


@pytest.mark.limit(200)
def test_scheduled_snapshots_have_names_by_the_pattern_and_expire(api, lxc, pool, volume):
    base = f"{POOLS}/{pool}/volumes/custom/{volume}"
    api.run("POST", base + "/snapshots", {"name": "old", "expires_at": "2020-01-02T03:04:05Z"})
    api.run("POST", base + "/snapshots", {"name": "kept"})
    for key, value in (("snapshots.pattern", "auto-{{ creation_date|date:'2006' }}-%d"), ("snapshots.expiry", "1H"),
                       ("snapshots.schedule", "* * * * *")):
        lxc("set", pool, volume, key, value)

    def made():
        return [name for name in api.get(base + "/snapshots").metadata if "/auto-20" in name]
    names = wait_until(made, timeout=130, what="a snapshot")
    assert names[0].endswith("-0")
    one = api.get(names[0]).metadata
    assert not one["expires_at"].startswith("0001")
    wait_until(lambda: api.get(base + "/snapshots/old").status == 404, timeout=130, what="expiry")
    assert api.get(base + "/snapshots/kept").status == 200


def test_a_snapshot_is_edited(lxc, pool, volume):
    lxc("snapshot", pool, volume, "s1", "--no-expiry")
    lxc("edit", pool, f"{volume}/s1", input="description: kept\nexpires_at: 2035-01-02T03:04:05Z\n")
    shown = lxc("show", pool, f"{volume}/s1").stdout
    assert "description: kept" in shown and "2035-01-02T03:04:05Z" in shown


@pytest.mark.parametrize("target", ["same", "default"])
def test_a_volume_is_copied_with_its_snapshots(daemon, lxc, pool, volume, target):
    to = pool if target == "same" else "default"
    source = folder(daemon, pool, volume)
    (source / "file").write_text("one")
    os.chown(source / "file", 1000, 1000)
    os.chmod(source, 0o1777)
    os.link(source / "file", source / "link")
    lxc("snapshot", pool, volume, "s1")
    (source / "file").write_text("two")
    name = volume + "-copy"
    lxc("copy", f"{pool}/{volume}", f"{to}/{name}")
    try:
        copy = folder(daemon, to, name)
        assert (copy / "file").read_text() == "two" and copy.stat().st_mode & 0o7777 == 0o1777
        assert (copy / "link").stat().st_ino == (copy / "file").stat().st_ino and (copy / "link").stat().st_uid == 1000
        lxc("restore", to, name, "s1")
        assert (copy / "file").read_text() == "one"
        lxc("copy", f"{pool}/{volume}", f"{to}/{name}", "--refresh")
        assert (copy / "file").read_text() == "two"
        assert "already exists" in refused(lxc("copy", f"{pool}/{volume}", f"{to}/{name}", check=False))
        assert folder(daemon, pool, volume).exists()
    finally:
        lxc("delete", to, name)


def test_a_refresh_brings_snapshots_and_removes_others(lxc, pool, volume, daemon):
    lxc("snapshot", pool, volume, "s1")
    name = volume + "-copy"
    lxc("copy", f"{pool}/{volume}", f"{pool}/{name}", "--volume-only")
    try:
        lxc("snapshot", pool, name, "own")
        lxc("copy", f"{pool}/{volume}", f"{pool}/{name}", "--refresh")
        snapshots = daemon.api.get(f"{POOLS}/{pool}/volumes/custom/{name}/snapshots").metadata
        assert [url.rsplit("/", 1)[1] for url in snapshots] == ["s1"]
    finally:
        lxc("delete", pool, name)


def test_a_volume_moves_to_another_pool_and_disks_follow(daemon, lxc, pool, volume, container):
    (folder(daemon, pool, volume) / "file").write_text("x")
    lxc("snapshot", pool, volume, "s1")
    lxc("attach", pool, volume, container, "data", "/data")
    daemon.api.run("POST", f"{POOLS}/{pool}/volumes/custom/{volume}", {"name": volume + "-moved", "pool": "default"})
    try:
        assert not folder(daemon, pool, volume).exists()
        assert (folder(daemon, "default", volume + "-moved") / "file").read_text() == "x"
        device = daemon.api.get(f"/1.0/instances/{container}").metadata["devices"]["data"]
        assert (device["pool"], device["source"]) == ("default", volume + "-moved")
        assert f"{volume}-moved/s1" in lxc("list", "default", "--format", "csv").stdout
    finally:
        lxc("detach", "default", volume + "-moved", container)
        lxc("delete", "default", volume + "-moved")


@pytest.mark.ours
def test_a_volume_is_not_restored_under_an_instance_that_starts(daemon, api, lxc, pool, volume, container):
    """What the instance has opened by then must not be exchanged; other owners in a second volume take their time."""
    slow = volume + "-slow"
    lxc("create", pool, slow)
    for n in range(15000):
        (folder(daemon, pool, slow) / str(n)).touch()
    (folder(daemon, pool, volume) / "file").write_text("kept")
    lxc("snapshot", pool, volume, "s1")
    lxc("attach", pool, volume, container, "a", "/a")
    lxc("attach", pool, slow, container, "b", "/b")
    place = f"{POOLS}/{pool}/volumes/custom/{volume}"
    try:
        started = api.put(f"/1.0/instances/{container}/state", {"action": "start"}).operation()
        wait_until(lambda: api.get(place).metadata["config"].get("volatile.idmap.last", "[]") != "[]")
        answer = api.put(place, {"restore": "s1"})
        if api.get(started).metadata["status"] != "Running":
            pytest.skip("the start was too fast to say anything")
        assert "used by running instances" in answer.error
        assert api.wait(started)["err"] == ""
        api.exec(container, ["sh", "-c", "echo new > /a/file"])
        assert (folder(daemon, pool, volume) / "file").read_text() == "new\n"
    finally:
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "stop", "force": True}, ok=False)
        lxc("detach", pool, slow, container, check=False)
        lxc("detach", pool, volume, container, check=False)
        lxc("delete", pool, slow, check=False)


def test_a_volume_is_seen_by_running_instances(daemon, api, lxc, pool, volume, running):
    lxc("attach", pool, volume, running, "data", "/data")
    assert api.exec(running, ["sh", "-c", "echo hello > /data/file && stat -c %u /data"])[:2] == (0, "0\n")
    assert (folder(daemon, pool, volume) / "file").read_text() == "hello\n"
    used = api.get(f"{POOLS}/{pool}/volumes/custom/{volume}").metadata["used_by"]
    assert used == [f"/1.0/instances/{running}"]
    assert refused(lxc("delete", pool, volume, check=False)) == "Error: The storage volume is still in use"
    assert "in use by running instances" in refused(lxc("rename", pool, volume, "other", check=False))
    lxc("snapshot", pool, volume, "s1")
    assert "used by running instances" in refused(lxc("restore", pool, volume, "s1", check=False))
    lxc("detach", pool, volume, running)
    assert api.exec(running, ["test", "-e", "/data/file"])[0] != 0
    lxc("attach", pool, volume, running, "ro", "/ro")
    daemon.lxc("config", "device", "set", running, "ro", "readonly", "true")
    code, _, text = api.exec(running, ["touch", "/ro/x"])
    assert code != 0 and "Read-only" in text
    api.run("PUT", f"/1.0/instances/{running}/state", {"action": "restart", "force": True, "timeout": 30})
    assert api.exec(running, ["cat", "/ro/file"])[1] == "hello\n"
    code, _, text = api.exec(running, ["touch", "/ro/x"])
    assert code != 0 and "Read-only" in text


def test_the_size_of_a_volume_holds_and_changes_while_it_is_used(daemon, api, lxc, pool, volume, running):
    if api.get(f"{POOLS}/{pool}/volumes/custom/{volume}/state").status != 200 and not pool.endswith("btrfs"):
        pytest.skip("the filesystem of this pool counts nothing")
    lxc("set", pool, volume, "size", "8MiB")
    lxc("attach", pool, volume, running, "data", "/data")
    write = ["sh", "-c", "dd if=/dev/zero of=/data/big bs=1M count=20 && sync"]
    code, _, text = api.exec(running, write)
    assert code != 0 and re.search("quota|space", text, re.I)
    api.exec(running, ["rm", "-f", "/data/big"])
    lxc("set", pool, volume, "size", "40MiB")
    code, _, text = api.exec(running, write)
    assert code == 0, text
    usage = api.get(f"{POOLS}/{pool}/volumes/custom/{volume}/state").metadata["usage"]
    assert usage["used"] >= 20 << 20 and usage["total"] == 40 << 20
    lxc("unset", pool, volume, "size")
    code, _, text = api.exec(running, ["sh", "-c", "dd if=/dev/zero of=/data/more bs=1M count=30 && sync"])
    assert code == 0, text
    lxc("detach", pool, volume, running)


def test_new_volumes_have_the_size_that_their_pool_gives(api, lxc, daemon, pool, name):
    daemon.lxc("storage", "set", pool, "volume.size", "9MiB")
    try:
        lxc("create", pool, name)
        lxc("create", pool, name + "-own", "size=5MiB")
        assert lxc("get", pool, name, "size").stdout.strip() == "9MiB"
        assert lxc("get", pool, name + "-own", "size").stdout.strip() == "5MiB"
        if pool.endswith("btrfs"):
            with pytest.raises(OSError):
                with open(folder(daemon, pool, name) / "big", "wb") as file:
                    file.write(os.urandom(16 << 20))
                    file.flush()
                    os.fsync(file.fileno())
    finally:
        daemon.lxc("storage", "unset", pool, "volume.size")
        for one in (name, name + "-own"):
            lxc("delete", pool, one, check=False)


def test_kinds_of_content_that_this_version_does_not_have_are_refused(api, pool, name):
    base = f"{POOLS}/{pool}/volumes/custom"
    reply = api.post(base, {"name": name, "content_type": "iso"})
    assert reply.status == 400 and reply.error == "Invalid volume content type name"
    assert api.get(f"{base}/{name}").status == 404
    assert "custom_volume_iso" not in api.get("/1.0").metadata["api_extensions"]


def test_two_instances_share_a_volume(daemon, api, lxc, pool, volume, running, name):
    other = name + "b"
    api.run("POST", "/1.0/instances", {"name": other, "source": {"type": "image", "alias": "bb"}})
    try:
        api.run("PUT", f"/1.0/instances/{other}/state", {"action": "start"})
        for instance in (running, other):
            lxc("attach", pool, volume, instance, "data", "/data")
        api.exec(running, ["sh", "-c", "echo shared > /data/x"])
        assert api.exec(other, ["cat", "/data/x"])[1] == "shared\n"
    finally:
        api.run("PUT", f"/1.0/instances/{other}/state", {"action": "stop", "force": True, "timeout": 30}, ok=False)
        api.run("DELETE", f"/1.0/instances/{other}", ok=False)


def test_owners_follow_the_map_of_who_asks_unless_another_runs(daemon, api, lxc, pool, volume, running, name):
    lxc("attach", pool, volume, running, "data", "/data")
    api.exec(running, ["touch", "/data/x"])
    other = name + "i"
    api.run("POST", "/1.0/instances", {
        "name": other, "source": {"type": "image", "alias": "bb"}, "config": {"security.idmap.isolated": "true"},
        "devices": {"data": {"type": "disk", "pool": pool, "source": volume, "path": "/data"}}})
    try:
        failed = api.run("PUT", f"/1.0/instances/{other}/state", {"action": "start"}, ok=False)
        assert f'Idmaps of container "{running}" and storage volume "{volume}" are not identical' in failed["err"]
        api.run("PUT", f"/1.0/instances/{running}/state", {"action": "stop", "force": True, "timeout": 30})
        api.run("PUT", f"/1.0/instances/{other}/state", {"action": "start"})
        assert api.exec(other, ["stat", "-c", "%u", "/data/x"])[1] == "0\n"
        root = int(api.get(f"/1.0/instances/{other}").metadata["config"]["volatile.idmap.base"])
        assert (folder(daemon, pool, volume) / "x").stat().st_uid == root
    finally:
        api.run("PUT", f"/1.0/instances/{other}/state", {"action": "stop", "force": True, "timeout": 30}, ok=False)
        api.run("DELETE", f"/1.0/instances/{other}", ok=False)


def test_a_shifted_volume_is_shared_by_all_maps(daemon, api, lxc, pool, volume, running, name):
    lxc("set", pool, volume, "security.shifted", "true")
    lxc("attach", pool, volume, running, "data", "/data")
    api.exec(running, ["touch", "/data/x"])
    assert (folder(daemon, pool, volume) / "x").stat().st_uid == 0
    other = name + "i"
    api.run("POST", "/1.0/instances", {
        "name": other, "source": {"type": "image", "alias": "bb"}, "config": {"security.idmap.isolated": "true"},
        "devices": {"data": {"type": "disk", "pool": pool, "source": volume, "path": "/data"}}})
    try:
        api.run("PUT", f"/1.0/instances/{other}/state", {"action": "start"})
        assert api.exec(other, ["stat", "-c", "%u", "/data/x"])[1] == "0\n"
        assert "Cannot modify shifting" in refused(lxc("unset", pool, volume, "security.shifted", check=False))
    finally:
        api.run("PUT", f"/1.0/instances/{other}/state", {"action": "stop", "force": True, "timeout": 30}, ok=False)
        api.run("DELETE", f"/1.0/instances/{other}", ok=False)


def test_an_unmapped_volume_keeps_its_owners(daemon, api, lxc, pool, volume, running):
    lxc("set", pool, volume, "security.unmapped", "true")
    (folder(daemon, pool, volume) / "x").write_text("")
    lxc("attach", pool, volume, running, "data", "/data")
    assert (folder(daemon, pool, volume) / "x").stat().st_uid == 0


def test_a_profile_names_a_volume(daemon, api, lxc, pool, volume):
    daemon.lxc("profile", "create", "vols")
    try:
        lxc("attach-profile", pool, volume, "vols", "data", "/data")
        assert api.get(f"{POOLS}/{pool}/volumes/custom/{volume}").metadata["used_by"] == ["/1.0/profiles/vols"]
        lxc("rename", pool, volume, volume + "-new")
        assert api.get("/1.0/profiles/vols").metadata["devices"]["data"]["source"] == volume + "-new"
        lxc("rename", pool, volume + "-new", volume)
        lxc("detach-profile", pool, volume, "vols", "data")
    finally:
        daemon.lxc("profile", "delete", "vols")


def test_block_volumes_are_images_that_no_container_takes(daemon, lxc, pool, container):
    lxc("create", pool, "blk", "--type=block", "size=5MiB")
    try:
        image = folder(daemon, pool, "blk") / "root.img"
        assert image.stat().st_size == 5 << 20 and image.stat().st_mode & 0o777 == 0o600
        lxc("set", pool, "blk", "size", "6MiB")
        assert image.stat().st_size == 6 << 20
        assert "cannot be shrunk" in refused(lxc("set", pool, "blk", "size", "1MiB", check=False))
        assert "Custom block volumes cannot be used on containers" in refused(
            lxc("attach", pool, "blk", container, "d", check=False))
    finally:
        lxc("delete", pool, "blk")


@pytest.mark.parametrize("device, text", [
    ({"source": "nosuch", "path": "/d"}, "Failed loading custom volume: Storage volume not found"),
    ({"source": "/etc", "path": "/d"}, "Storage volumes cannot be specified as absolute paths"),
    ({"source": "{volume}", "path": "/d", "shift": "true"}, 'The "shift" property cannot be used'),
    ({"source": "{volume}"}, "Custom filesystem volumes require a path to be defined"),
    ({"source": "{volume}", "path": "/d", "size": "1MiB"}, "Only the root disk may have a size quota"),
    ({"source": "../../x", "path": "/d"}, "Storage volume not found"),
], ids=str)
def test_bad_disks_on_volumes_are_refused(api, pool, volume, container, device, text):
    device = {key: value.format(volume=volume) for key, value in device.items()}
    reply = api.run("PATCH", f"/1.0/instances/{container}",
                    {"devices": {"d": {"type": "disk", "pool": pool, **device}}}, ok=False)
    assert text in (reply["err"] if isinstance(reply, dict) else reply.error)


@pytest.mark.ours
@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\nb", ""], ids=repr)
def test_r1_no_name_leads_out_of_the_pool(api, daemon, pool, volume, name, canary):
    def names():  # what is being removed meanwhile is no matter
        return sorted(n for n in os.listdir(folder(daemon, pool, volume).parent) if not n.startswith("."))

    before = names()
    reply = api.post(f"{POOLS}/{pool}/volumes/custom", {"name": name})
    assert reply.status == 400, reply.body
    one = f"{POOLS}/{pool}/volumes/custom/{volume}"
    assert api.post(one, {"name": name}).status == 400
    if name:
        assert api.post(one + "/snapshots", {"name": name}).status == 400
    assert api.put(one, {"restore": name or "x"}).status in (200, 500)
    assert names() == before


def test_r38_links_in_a_volume_lead_nowhere_when_owners_change(daemon, api, lxc, pool, volume, container, tmp_path):
    target = tmp_path / "target"
    target.write_text("")
    (folder(daemon, pool, volume) / "link").symlink_to(target)
    (folder(daemon, pool, volume) / "dir").symlink_to(tmp_path)
    lxc("attach", pool, volume, container, "data", "/data")
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    assert target.stat().st_uid == 0 and tmp_path.stat().st_uid == 0
    assert (folder(daemon, pool, volume) / "link").lstat().st_uid != 0


@pytest.mark.ours
def test_r46_a_copy_that_finds_no_space_leaves_nothing(daemon, api, lxc, tmp_path, volume, pool):
    (folder(daemon, pool, volume) / "big").write_bytes(os.urandom(12 << 20))
    image = tmp_path / "small"
    image.write_bytes(b"")
    os.truncate(image, 10 << 20)
    run("mkfs.ext4", "-q", str(image))
    mount = tmp_path / "mnt"
    mount.mkdir()
    run("mount", "-o", "loop", str(image), str(mount))
    try:
        (mount / "lost+found").rmdir()
        api.run("POST", POOLS, {"name": "small", "driver": "dir", "config": {"source": str(mount)}})
        try:
            result = lxc("copy", f"{pool}/{volume}", "small/copy", check=False)
            assert "No space left" in refused(result)
            assert api.get(f"{POOLS}/small/volumes/custom").metadata == []
            assert os.listdir(mount / "custom") == []
            lxc("create", "small", "kept")
            (mount / "custom/default_kept/x").write_text("kept")
            lxc("snapshot", "small", "kept", "s1")
            result = lxc("copy", f"{pool}/{volume}", "small/kept", "--refresh", check=False)
            assert "No space left" in refused(result)
            assert (mount / "custom/default_kept/x").read_text() == "kept"
            run("mount", "-o", "remount,ro", str(mount))
            assert "Read-only" in refused(lxc("create", "small", "ro", check=False))
            assert "Read-only" in refused(lxc("delete", "small", "kept", check=False))
            run("mount", "-o", "remount,rw", str(mount))
            assert (mount / "custom/default_kept/x").read_text() == "kept"
            lxc("delete", "small", "kept")
        finally:
            run("mount", "-o", "remount,rw", str(mount), check=False)
            api.run("DELETE", f"{POOLS}/small/volumes/custom/kept", ok=False)
            api.run("DELETE", POOLS + "/small", ok=False)
    finally:
        run("umount", str(mount))
