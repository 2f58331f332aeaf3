# SPDX-License-Identifier: Apache-2.0
"""Snapshots, restores, copies and moves of instances with the stock client; they run on a real LXD too."""
import json
import os

import pytest

from conftest import remove
from daemons import run, wait_until


def rootfs(daemon, instance, pool="default"):
    return daemon.dir / "storage-pools" / pool / "containers" / instance / "rootfs"


def snapshot_of(api, instance, name):
    return api.get(f"/1.0/instances/{instance}/snapshots/{name}").metadata


@pytest.fixture
def second(request, daemon, name):
    fresh = name + "-b"
    yield fresh
    remove(daemon, fresh)


@pytest.fixture
def other_pool(daemon, api, name):
    pool = "pool2" + name
    api.run("POST", "/1.0/storage-pools", {"name": pool, "driver": "dir"})
    yield pool
    remove(daemon, name)
    remove(daemon, name + "-b")
    api.run("DELETE", f"/1.0/storage-pools/{pool}")


def test_snapshots_are_made_listed_renamed_and_deleted(daemon, api, container):
    daemon.lxc("snapshot", container)
    daemon.lxc("snapshot", container, "mine")
    assert api.get(f"/1.0/instances/{container}/snapshots").metadata == [
        f"/1.0/instances/{container}/snapshots/{n}" for n in ("snap0", "mine")]
    listed = json.loads(daemon.lxc("list", container, "--format", "json").stdout)[0]
    assert [s["name"] for s in listed["snapshots"]] == ["snap0", "mine"]
    assert "mine" in daemon.lxc("info", container).stdout
    daemon.lxc("rename", f"{container}/mine", f"{container}/yours")
    assert api.get(f"/1.0/instances/{container}/snapshots/mine").status == 404
    daemon.lxc("delete", f"{container}/yours")
    assert [s["name"] for s in api.get(f"/1.0/instances/{container}?recursion=1").metadata["snapshots"]] == ["snap0"]


def test_a_snapshot_keeps_configuration_and_devices(daemon, api, container):
    daemon.lxc("config", "set", container, "user.x", "before")
    daemon.lxc("config", "device", "add", container, "none0", "none")
    daemon.lxc("snapshot", container, "s")
    daemon.lxc("config", "set", container, "user.x", "after")
    daemon.lxc("config", "device", "remove", container, "none0")
    shown = snapshot_of(api, container, "s")
    assert shown["config"]["user.x"] == "before" and shown["devices"] == {"none0": {"type": "none"}}
    assert shown["expanded_devices"]["root"]["path"] == "/" and shown["expanded_config"]["user.x"] == "before"
    daemon.lxc("restore", container, "s")
    now = api.get(f"/1.0/instances/{container}").metadata
    assert now["config"]["user.x"] == "before" and "none0" in now["devices"]


def test_a_restore_brings_the_files_back(daemon, api, running):
    api.exec(running, ["sh", "-c", "echo one > /root/f; ln /root/f /root/g; touch /root/keep"])
    daemon.lxc("snapshot", running, "s")
    api.exec(running, ["sh", "-c", "echo two > /root/f; rm /root/keep; touch /root/new"])
    daemon.lxc("restore", running, "s")
    assert api.get(f"/1.0/instances/{running}").metadata["status"] == "Running"
    assert api.exec(running, ["sh", "-c", "cat /root/f; ls /root"])[1].split() == ["one", "f", "g", "keep"]
    api.run("PUT", f"/1.0/instances/{running}/state", {"action": "stop", "force": True})
    daemon.lxc("restore", running, "s")
    assert api.get(f"/1.0/instances/{running}").metadata["status"] == "Stopped"
    assert (rootfs(daemon, running) / "root/f").read_text() == "one\n"


def test_expiry_is_set_shown_and_kept(daemon, api, container):
    daemon.lxc("config", "set", container, "snapshots.expiry", "1d")
    daemon.lxc("snapshot", container, "s")
    daemon.lxc("snapshot", container, "t", "--no-expiry")
    assert snapshot_of(api, container, "t")["expires_at"] == "0001-01-01T00:00:00Z"
    made, ends = (snapshot_of(api, container, "s")[k] for k in ("created_at", "expires_at"))
    assert ends > made
    url = f"/1.0/instances/{container}/snapshots/s"
    etag = api.get(url).headers["Etag" if "Etag" in api.get(url).headers else "ETag"]
    api.run("PUT", url, {"expires_at": "2031-01-01T00:00:00Z"}, headers={"If-Match": etag})
    assert api.put(url, {"expires_at": "2032-01-01T00:00:00Z"}, headers={"If-Match": etag}).status == 412
    assert api.get(url).metadata["expires_at"] == "2031-01-01T00:00:00Z"


@pytest.fixture
def btrfs_pool(daemon, api, name):
    pool = "bt" + name
    api.run("POST", "/1.0/storage-pools", {"name": pool, "driver": "btrfs", "config": {"size": "1GiB"}})
    yield pool
    remove(daemon, name)
    remove(daemon, name + "-b")
    api.run("DELETE", f"/1.0/storage-pools/{pool}")


def sizes(api, instance):
    """Of the snapshots of an instance, wherever they are shown."""
    shown = api.get(f"/1.0/instances/{instance}/snapshots?recursion=1").metadata
    found = {s["name"]: s["size"] for s in shown}
    assert found == {name: snapshot_of(api, instance, name)["size"] for name in found}
    return found


def test_the_size_of_a_snapshot_is_what_only_it_keeps(daemon, api, name, btrfs_pool):
    make_in(api, name, btrfs_pool)
    daemon.lxc("config", "device", "set", name, "root", "size", "500MiB")  # turns counting on
    root = rootfs(daemon, name, btrfs_pool) / "root"
    (root / "big").write_bytes(os.urandom(8 << 20))
    run("sync")
    daemon.lxc("snapshot", name, "s0")
    run("sync")
    assert sizes(api, name)["s0"] < 1 << 20
    (root / "big").unlink()
    run("sync")
    wait_until(lambda: sizes(api, name)["s0"] >= 8 << 20, what="the snapshot alone has the file")


def test_a_pool_that_does_not_count_gives_no_sizes(daemon, api, container):
    daemon.lxc("snapshot", container, "s0")
    assert sizes(api, container) == {"s0": -1}


def test_links_to_snapshots_are_there_as_long_as_there_are_any(daemon, api, container, second, other_pool):
    def link(name):
        path = daemon.dir / "snapshots" / name
        return os.readlink(path) if path.is_symlink() else None

    def target(name, pool="default"):
        return str(daemon.dir / "storage-pools" / pool / "containers-snapshots" / name)

    assert link(container) is None
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("snapshot", container, "s1")
    assert link(container) == target(container)
    daemon.lxc("delete", f"{container}/s1")
    assert link(container) == target(container)
    daemon.lxc("rename", container, second)
    assert link(container) is None and link(second) == target(second)
    daemon.lxc("copy", second, container)
    assert link(container) == target(container)
    daemon.lxc("move", second, "-s", other_pool)
    assert link(second) == target(second, other_pool)
    daemon.lxc("delete", f"{second}/s0")
    daemon.lxc("delete", container)
    assert link(second) is None and link(container) is None


def test_an_import_with_snapshots_has_its_link_too(daemon, api, container, second, tmp_path):
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("export", container, tmp_path / "b.tar.gz")
    daemon.lxc("import", tmp_path / "b.tar.gz", second)
    link = daemon.dir / "snapshots" / second
    assert os.readlink(link) == str(daemon.dir / "storage-pools/default/containers-snapshots" / second)
    daemon.lxc("delete", second)
    assert not link.is_symlink()


def test_recursion_shows_snapshots_and_backups(daemon, api, container):
    daemon.lxc("snapshot", container, "s0")
    api.run("POST", f"/1.0/instances/{container}/backups", {"name": "b0", "compression_algorithm": "none"})
    alone = api.get(f"/1.0/instances/{container}?recursion=1").metadata
    listed = next(i for i in api.get("/1.0/instances?recursion=2").metadata if i["name"] == container)
    filtered = api.get(f"/1.0/instances?recursion=2&filter=name+eq+{container}").metadata[0]
    for shown in (alone, listed, filtered):
        assert [s["name"] for s in shown["snapshots"]] == ["s0"]
        assert [(b["name"], b["instance_only"]) for b in shown["backups"]] == [("b0", False)]
        assert shown["backups"] == api.get(f"/1.0/instances/{container}/backups?recursion=1").metadata


@pytest.mark.limit(200)
def test_expired_snapshots_go_by_themselves(daemon, api, container):
    api.run("POST", f"/1.0/instances/{container}/snapshots", {"name": "old", "expires_at": "2020-01-01T00:00:00Z"})
    api.run("POST", f"/1.0/instances/{container}/snapshots", {"name": "kept"})
    wait_until(lambda: api.get(f"/1.0/instances/{container}/snapshots/old").status == 404, timeout=130, what="expiry")
    assert api.get(f"/1.0/instances/{container}/snapshots/kept").status == 200


@pytest.mark.limit(200)
def test_scheduled_snapshots_have_names_by_the_pattern(daemon, api, container):
    for key, value in (("snapshots.schedule", "* * * * *"), ("snapshots.schedule.stopped", "true"),
                       ("snapshots.pattern", "auto-{{ creation_date|date:'2006' }}-%d"), ("snapshots.expiry", "1H")):
        daemon.lxc("config", "set", container, key, value)
    names = wait_until(lambda: api.get(f"/1.0/instances/{container}/snapshots").metadata, timeout=130, what="a snapshot")
    assert names[0].rsplit("/", 1)[1].startswith("auto-20") and names[0].endswith("-0")


@pytest.mark.parametrize("key,value", [("snapshots.schedule", "* * * *"), ("snapshots.expiry", "1x"),
                                       ("snapshots.schedule.stopped", "perhaps")])
def test_bad_schedules_are_refused(daemon, container, key, value):
    assert daemon.lxc("config", "set", container, key, value, check=False).returncode != 0


@pytest.mark.ours
@pytest.mark.parametrize("bad", ["..", ".", "a\\b", "a\nb", "x" * 300])
def test_r08_names_that_could_leave_the_directory_are_refused(api, container, bad):
    assert api.post(f"/1.0/instances/{container}/snapshots", {"name": bad}).status == 400
    api.run("POST", f"/1.0/instances/{container}/snapshots", {"name": "s"})
    assert api.post(f"/1.0/instances/{container}/snapshots/s", {"name": bad}).status == 400


def test_a_copy_has_its_own_identity_and_the_snapshots(daemon, api, container, second):
    daemon.lxc("config", "set", container, "user.x", "1")
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("config", "set", container, "user.x", "2")
    daemon.lxc("copy", container, second, "-c", "user.y=3")
    a, b = (api.get(f"/1.0/instances/{n}?recursion=1").metadata for n in (container, second))
    for key in ("volatile.uuid", "volatile.eth0.hwaddr", "volatile.cloud-init.instance-id"):
        assert a["config"][key] != b["config"][key]
    assert (b["config"]["user.x"], b["config"]["user.y"], b["config"]["volatile.apply_template"]) == ("2", "3", "copy")
    assert [s["name"] for s in b["snapshots"]] == ["s0"] and b["snapshots"][0]["config"]["user.x"] == "1"
    daemon.lxc("start", second)
    daemon.lxc("restore", second, "s0")
    assert api.get(f"/1.0/instances/{second}").metadata["config"]["user.x"] == "1"


def test_a_copy_of_a_snapshot_and_one_without_snapshots(daemon, api, container, second):
    daemon.lxc("config", "set", container, "user.x", "1")
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("config", "set", container, "user.x", "2")
    daemon.lxc("copy", f"{container}/s0", second)
    made = api.get(f"/1.0/instances/{second}?recursion=1").metadata
    assert made["config"]["user.x"] == "1" and not made["snapshots"]
    daemon.lxc("delete", second)
    daemon.lxc("copy", container, second, "--instance-only", "--no-profiles", "-d", "root,type=disk", "-d", "root,path=/",
               "-d", "root,pool=default", check=False)
    daemon.lxc("delete", second, check=False)
    daemon.lxc("copy", container, second, "--instance-only", "--ephemeral")
    made = api.get(f"/1.0/instances/{second}?recursion=1").metadata
    assert made["ephemeral"] and not made["snapshots"]


def test_a_refresh_brings_files_and_snapshots_up_to_date(daemon, api, container, second):
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("copy", container, second)
    daemon.lxc("delete", f"{container}/s0")
    daemon.lxc("snapshot", second, "extra")
    (rootfs(daemon, container) / "root/new").write_text("new\n")
    (rootfs(daemon, second) / "root/foreign").write_text("gone\n")
    busybox = rootfs(daemon, second) / "bin/busybox"
    before = busybox.stat()
    daemon.lxc("snapshot", container, "s1")
    daemon.lxc("copy", container, second, "--refresh")
    assert (rootfs(daemon, second) / "root/new").read_text() == "new\n"
    assert not (rootfs(daemon, second) / "root/foreign").exists()
    assert [s["name"] for s in api.get(f"/1.0/instances/{second}?recursion=1").metadata["snapshots"]] == ["s1"]
    if daemon.kind == "lxdcored":
        assert busybox.stat().st_ino == before.st_ino, "an unchanged file was copied"
    daemon.lxc("start", second)
    assert api.exec(second, ["cat", "/root/new"])[1] == "new\n"


def test_a_refresh_of_a_running_copy_is_refused(daemon, api, container, second):
    daemon.lxc("copy", container, second)
    daemon.lxc("start", second)
    failed = daemon.lxc("copy", container, second, "--refresh", check=False)
    assert failed.returncode != 0 and "running" in failed.stderr


def test_a_move_to_another_pool_takes_the_snapshots_along(daemon, api, container, other_pool):
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("move", container, "-s", other_pool)
    assert rootfs(daemon, container, other_pool).is_dir() and not rootfs(daemon, container).exists()
    made = api.get(f"/1.0/instances/{container}?recursion=1").metadata
    assert made["devices"]["root"]["pool"] == other_pool and [s["name"] for s in made["snapshots"]] == ["s0"]
    daemon.lxc("restore", container, "s0")
    daemon.lxc("start", container)
    assert os.readlink(daemon.dir / "containers" / container).endswith(f"{other_pool}/containers/{container}")


def test_a_copy_into_another_pool(daemon, api, container, second, other_pool):
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("copy", container, second, "-s", other_pool)
    assert rootfs(daemon, second, other_pool).is_dir()
    daemon.lxc("start", second)


def test_a_rename_keeps_the_snapshots(daemon, api, container, second):
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("rename", container, second)
    assert [s["name"] for s in api.get(f"/1.0/instances/{second}?recursion=1").metadata["snapshots"]] == ["s0"]
    daemon.lxc("restore", second, "s0")


def test_deleting_an_instance_deletes_its_snapshots(daemon, api, container):
    daemon.lxc("snapshot", container, "s0")
    daemon.lxc("delete", container)
    wait_until(lambda: not (daemon.dir / f"storage-pools/default/containers-snapshots/{container}").exists(), what="no files")
    rows = daemon.admin("sql", "global", "SELECT count(*) FROM instances_snapshots").stdout
    assert "| 0 " in rows or daemon.kind == "lxd"


@pytest.mark.parametrize("compression", ["gzip", "none", "zstd", "xz -1", "bzip2", "lzma", "squashfs"])
def test_a_published_instance_launches(daemon, api, container, second, compression):
    if daemon.kind == "lxd" and " " in compression:
        pytest.skip("one is enough")
    if daemon.kind == "lxd" and compression == "squashfs":
        pytest.skip("needs tar2sqfs")
    folder = rootfs(daemon, container) / "root"
    (folder / "hole").touch()
    os.truncate(folder / "hole", 1 << 20)
    (folder / "a").write_text("linked\n")
    os.link(folder / "a", folder / "b")
    os.setxattr(folder / "a", "user.note", b"kept")
    run("setcap", "cap_net_raw+ep", folder / "a", check=False)
    shown = daemon.lxc("publish", container, "--alias", second, "foo=bar", "--compression", compression).stdout
    image = api.get(f"/1.0/images/aliases/{second}").metadata["target"]
    assert image in shown and api.get(f"/1.0/images/{image}").metadata["properties"] == {"foo": "bar"}
    try:
        daemon.lxc("launch", second, second)
        made = rootfs(daemon, second) / "root"
        assert (made / "a").stat().st_ino == (made / "b").stat().st_ino
        assert os.getxattr(made / "a", "user.note") == b"kept"
        assert (made / "hole").stat().st_size == 1 << 20 and (made / "hole").stat().st_blocks == 0
    finally:
        api.run("DELETE", f"/1.0/images/{image}", ok=False)


def test_a_snapshot_of_a_shifted_tree_is_published_with_the_ids_of_the_inside(daemon, api, running, second):
    api.exec(running, ["sh", "-c", "echo x > /root/own; chown 1234:4321 /root/own"])
    daemon.lxc("snapshot", running, "s0")
    daemon.lxc("publish", f"{running}/s0", "--alias", second, "--compression", "none")
    image = api.get(f"/1.0/images/aliases/{second}").metadata["target"]
    try:
        listing = run("tar", "-tvf", daemon.dir / "images" / image, "--numeric-owner").stdout
        assert any("1234/4321" in line and line.endswith("rootfs/root/own") for line in listing.splitlines())
        failed = daemon.lxc("publish", running, "--alias", second + "x", check=False)
        assert failed.returncode != 0
    finally:
        api.run("DELETE", f"/1.0/images/{image}", ok=False)


def test_the_policy_holds_for_restores(daemon, api, container):
    """R22: what may not be set may not come back by a restore either."""
    daemon.lxc("snapshot", container, "s0")
    failed = daemon.lxc("restore", container, "nosuch", check=False)
    assert failed.returncode != 0


@pytest.fixture
def small_pool(daemon, api, name, tmp_path):
    """A pool on an ext4 of its own that is soon full."""
    image, folder = tmp_path / "ext4", tmp_path / "mnt"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(48 << 20)
    run("mkfs.ext4", "-q", "-m", "0", image)
    run("mount", "-o", "loop", image, folder)
    (folder / "pool").mkdir()
    pool = "small" + name
    try:
        api.run("POST", "/1.0/storage-pools", {"name": pool, "driver": "dir", "config": {"source": str(folder / "pool")}})
        yield pool, folder
        run("mount", "-o", "remount,rw", folder)
        remove(daemon, name)
        remove(daemon, name + "-b")
        api.run("DELETE", f"/1.0/storage-pools/{pool}")
    finally:
        wait_until(lambda: run("umount", folder, check=False).returncode == 0, what="umount")


def make_in(api, name, pool):
    api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"},
                                       "devices": {"root": {"type": "disk", "path": "/", "pool": pool}}})


def names_below(folder):
    return sorted(str(p.relative_to(folder)) for p in (folder / "pool").glob("containers*/**/*") if "rootfs" not in p.parts)


@pytest.mark.ours
@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_r46_a_disk_that_takes_no_more_leaves_all_as_it_was(daemon, api, name, second, small_pool, trouble):
    pool, folder = small_pool
    make_in(api, name, pool)
    root = folder / "pool/containers" / name / "rootfs/root"
    (root / "big").write_bytes(os.urandom(6 << 20))
    api.run("POST", f"/1.0/instances/{name}/snapshots", {"name": "s0"})
    (root / "big").write_bytes(os.urandom(6 << 20))
    content = (root / "big").read_bytes()
    if trouble == "full":
        free = os.statvfs(folder)
        (folder / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - (3 << 20))))
    else:  # busy while the tree of the image is written out
        wait_until(lambda: run("mount", "-o", "remount,ro", folder, check=False).returncode == 0, what="read-only")
    before = names_below(folder)
    for method, path, body in (
            ("POST", f"/1.0/instances/{name}/snapshots", {"name": "s1"}),
            ("PUT", f"/1.0/instances/{name}", {"restore": "s0"}),
            ("POST", "/1.0/instances", {"name": second, "profiles": ["default"], "source": {"type": "copy", "source": name},
                                        "devices": {"root": {"type": "disk", "path": "/", "pool": pool}}})):
        ended = api.run(method, path, body, ok=False)
        assert ended["status"] == "Failure", (method, path)
        wait_until(lambda: names_below(folder) == before, what=f"as before {path}")
    assert (root / "big").read_bytes() == content
    assert api.get(f"/1.0/instances/{name}/snapshots").metadata == [f"/1.0/instances/{name}/snapshots/s0"]
    assert api.get(f"/1.0/instances/{second}").status == 404
    if trouble == "full":
        (folder / "filler").unlink()
    else:
        run("mount", "-o", "remount,rw", folder)
    api.run("PUT", f"/1.0/instances/{name}", {"restore": "s0"})
    assert (root / "big").read_bytes() != content
