# SPDX-License-Identifier: Apache-2.0
"""Storage pools of both drivers with the stock client: what it shows, what is refused, and what is left of one."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from daemons import run, wait_until


def loops_of(folder):
    """Loop devices of files below the folder."""
    return [line for line in run("losetup", "-a", check=False).stdout.splitlines() if str(folder) in line]


def mounts_of(path):
    return [line.split()[3] for line in pathlib.Path("/proc/mounts").read_text().splitlines()
            if line.split()[1] == str(path)]


@pytest.fixture
def pool(request, daemon):
    """A name; the pool is removed afterwards, with instances and images on it."""
    fresh = f"pl{os.getpid() % 10000}-{abs(hash(request.node.name)) % 10000}"
    yield fresh
    api = daemon.api
    for instance in api.get("/1.0/instances?recursion=1").metadata:
        if any(d.get("pool") == fresh for d in instance["expanded_devices"].values()):
            run("lxc", "delete", "--force", instance["name"], env=daemon.env, check=False)
    api.run("DELETE", f"/1.0/storage-pools/{fresh}", ok=False)


@pytest.fixture
def loop_pool(daemon, pool):
    daemon.lxc("storage", "create", pool, "btrfs", "size=512MiB")
    return pool


@pytest.fixture
def outside(tmp_path):
    """A btrfs filesystem that somebody has mounted."""
    run("truncate", "-s", "256M", tmp_path / "disk.img")
    run("mkfs.btrfs", "-q", tmp_path / "disk.img")
    top = tmp_path / "outside"
    top.mkdir()
    run("mount", "-o", "loop", tmp_path / "disk.img", top)
    yield top
    run("umount", top)


def shown(daemon, pool):
    return yaml.safe_load(daemon.lxc("storage", "show", pool).stdout)


def test_the_drivers_that_work_here_are_offered(daemon):
    environment = json.loads(daemon.lxc("query", "/1.0").stdout)["environment"]
    drivers = {d["Name"]: d for d in environment["storage_supported_drivers"]}
    assert {"dir", "btrfs"} <= set(drivers)
    assert drivers["btrfs"]["Version"] in run("btrfs", "version").stdout and not drivers["btrfs"]["Remote"]


def test_a_loop_pool_from_making_to_removal(daemon, pool):
    daemon.lxc("storage", "create", pool, "btrfs", "size=300MiB")
    disk = daemon.dir / f"disks/{pool}.img"
    where = daemon.dir / f"storage-pools/{pool}"
    assert shown(daemon, pool)["config"] == {"size": "300MiB", "source": str(disk)}
    assert disk.stat().st_size == 300 << 20 and disk.stat().st_mode & 0o777 == 0o600
    assert "user_subvol_rm_allowed" in mounts_of(where)[0]
    assert len(loops_of(disk)) == 1
    assert pool in daemon.lxc("storage", "list", "--format=csv").stdout
    info = yaml.safe_load(daemon.lxc("storage", "info", pool, "--bytes").stdout)
    assert int(info["info"]["total space"]) == 300 << 20 and info["info"]["driver"] == "btrfs"
    daemon.lxc("storage", "set", pool, "user.note", "x")
    assert daemon.lxc("storage", "get", pool, "user.note").stdout.strip() == "x"
    daemon.lxc("storage", "unset", pool, "user.note")
    daemon.lxc("storage", "delete", pool)
    assert not disk.exists() and not where.exists() and not loops_of(disk) and not mounts_of(where)


def test_a_pool_grows_while_it_is_used(daemon, loop_pool, name):
    daemon.lxc("launch", "bb", name, "-s", loop_pool)
    daemon.lxc("storage", "set", loop_pool, "size", "640MiB")
    info = yaml.safe_load(daemon.lxc("storage", "info", loop_pool, "--bytes").stdout)
    if daemon.kind == "lxdcored":  # LXD 5.0 records it only
        assert int(info["info"]["total space"]) == 640 << 20
    assert shown(daemon, loop_pool)["config"]["size"] == "640MiB"
    daemon.lxc("exec", name, "--", "true")


def test_mount_options_are_taken_at_once(daemon, loop_pool):
    where = daemon.dir / f"storage-pools/{loop_pool}"
    daemon.lxc("storage", "set", loop_pool, "btrfs.mount_options", "user_subvol_rm_allowed,noatime,compress=zstd")
    assert "noatime" in mounts_of(where)[0] and "compress=zstd" in mounts_of(where)[0]
    result = daemon.lxc("storage", "set", loop_pool, "btrfs.mount_options", "no_such_thing", check=False)
    assert result.returncode != 0
    assert shown(daemon, loop_pool)["config"]["btrfs.mount_options"].endswith("zstd")


def test_containers_live_on_a_btrfs_pool(daemon, loop_pool, name):
    daemon.lxc("launch", "bb", name, "-s", loop_pool)
    assert daemon.lxc("exec", name, "--", "echo", "hello").stdout == "hello\n"
    daemon.lxc("exec", name, "--", "touch", "/root/kept")
    daemon.lxc("restart", "--force", name)
    daemon.lxc("exec", name, "--", "test", "-e", "/root/kept")
    where = daemon.dir / f"storage-pools/{loop_pool}"
    listed = run("btrfs", "subvolume", "list", where).stdout
    assert f"path containers/{name}\n" in listed and " path images/" in listed
    volumes = json.loads(daemon.lxc("query", f"/1.0/storage-pools/{loop_pool}/volumes?recursion=1").stdout)
    assert sorted(v["type"] for v in volumes) == ["container", "image"]
    used_by = shown(daemon, loop_pool)["used_by"]
    assert f"/1.0/instances/{name}" in used_by and any(u.startswith("/1.0/images/") for u in used_by)
    result = daemon.lxc("storage", "delete", loop_pool, check=False)
    assert "The storage pool is currently in use" in result.stderr
    daemon.lxc("delete", "--force", name)
    daemon.lxc("storage", "delete", loop_pool)  # the image goes with it
    assert not where.exists() and not loops_of(daemon.dir / "disks")


def test_the_root_disk_of_a_container_is_limited(daemon, loop_pool, name):
    daemon.lxc("launch", "bb", name, "-s", loop_pool)
    daemon.lxc("config", "device", "override", name, "root", "size=20MiB", check=False)
    daemon.lxc("config", "device", "set", name, "root", "size=20MiB")
    write = ("exec", name, "--", "sh", "-c", "dd if=/dev/zero of=/root/big bs=1M count=40 && sync")
    result = daemon.lxc(*write, check=False)
    assert result.returncode != 0 and re.search("quota|space", result.stderr, re.I)
    daemon.lxc("exec", name, "--", "rm", "-f", "/root/big")
    daemon.lxc("config", "device", "unset", name, "root", "size")
    daemon.lxc(*write)


def test_a_container_nests_subvolumes_and_is_removed_with_them(daemon, loop_pool, name):
    daemon.lxc("launch", "bb", name, "-s", loop_pool)
    rootfs = daemon.dir / f"storage-pools/{loop_pool}/containers/{name}/rootfs"
    run("btrfs", "subvolume", "create", rootfs / "root/inner")
    run("btrfs", "subvolume", "create", rootfs / "root/inner/deep")
    run("btrfs", "property", "set", rootfs / "root/inner/deep", "ro", "true")
    daemon.lxc("delete", "--force", name)
    where = daemon.dir / f"storage-pools/{loop_pool}"
    wait_until(lambda: " path containers/" not in run("btrfs", "subvolume", "list", where).stdout,
               what="the nested subvolumes are gone")


def test_a_pool_that_turns_read_only_says_so_and_loses_nothing(daemon, loop_pool, name):
    daemon.lxc("launch", "bb", name, "-s", loop_pool)
    where = daemon.dir / f"storage-pools/{loop_pool}"
    run("mount", "-o", "remount,ro", where)
    result = daemon.lxc("init", "bb", name + "-x", "-s", loop_pool, check=False)
    assert result.returncode != 0 and "ead-only file system" in result.stderr
    run("mount", "-o", "remount,rw", where)
    daemon.lxc("exec", name, "--", "true")
    daemon.lxc("init", "bb", name + "-x", "-s", loop_pool)
    daemon.lxc("delete", name + "-x")


def test_a_full_pool_says_so_and_loses_nothing(daemon, pool, name):
    daemon.lxc("storage", "create", pool, "btrfs", "size=128MiB")
    daemon.lxc("launch", "bb", name, "-s", pool)
    rootfs = daemon.dir / f"storage-pools/{pool}/containers/{name}/rootfs"
    run("dd", "if=/dev/urandom", f"of={rootfs}/big", "bs=1M", check=False)
    image = daemon.base / "second.tar.gz"
    subprocess.run([pathlib.Path(__file__).parents[1] / "support/image-busybox", image], check=True)
    (rootfs / "big").unlink()
    run("sync", "-f", rootfs)
    daemon.lxc("exec", name, "--", "true")
    daemon.lxc("init", "bb", name + "-x", "-s", pool)
    daemon.lxc("delete", name + "-x")


@pytest.mark.parametrize("option, text", [
    ("foo=bar", 'Invalid option "foo"'), ("volume.zfs.x=1", 'Invalid option "volume.zfs.x"'),
    ("size=foo", 'Invalid value for option "size": Invalid value: foo'),
    ("source.wipe=true", 'Invalid option "source.wipe"'), ("volume.size=abc", 'Invalid value for option "volume.size"'),
    ("volume.security.shifted=maybe", 'Invalid value for a boolean "maybe"'),
    ("size=1MiB", "minimum size for each btrfs device is"), ("lvm.vg_name=x", 'Invalid option "lvm.vg_name"'),
    ("btrfs.mount_options=no_such_thing", 'using "btrfs": invalid argument'),
])
def test_bad_options_are_refused_and_leave_nothing(daemon, pool, option, text):
    more = [] if option.startswith("size=") else ["size=256MiB"]
    result = daemon.lxc("storage", "create", pool, "btrfs", option, *more, check=False)
    assert result.returncode != 0 and text in result.stderr, result.stderr
    if daemon.kind == "lxdcored":
        assert not (daemon.dir / f"disks/{pool}.img").exists()
    assert pool not in daemon.lxc("storage", "list", "--format=csv").stdout


def test_a_subvolume_is_a_pool_and_stays_when_the_pool_goes(daemon, pool, outside, name):
    daemon.lxc("storage", "create", pool, "btrfs", f"source={outside}/new")
    assert shown(daemon, pool)["config"] == {"source": f"{outside}/new", "volatile.initial_source": f"{outside}/new"}
    daemon.lxc("launch", "bb", name, "-s", pool)
    assert (outside / f"new/containers/{name}").exists()
    daemon.lxc("delete", "--force", name)
    daemon.lxc("storage", "delete", pool)
    assert (outside / "new").is_dir() and not list((outside / "new").iterdir())


def test_a_source_that_is_not_btrfs_is_refused(daemon, pool, tmp_path):
    for source, text in ((tmp_path, "Provided path does not reside on a btrfs filesystem"),
                         (tmp_path / "new", "not a btrfs filesystem")):
        result = daemon.lxc("storage", "create", pool, "btrfs", f"source={source}", check=False)
        assert text in result.stderr, result.stderr


@pytest.mark.ours
def test_a_pool_that_is_away_at_the_start_is_unavailable_and_comes_back(own_daemon):
    daemon = own_daemon
    daemon.lxc("storage", "create", "away", "btrfs", "size=256MiB")
    daemon.lxc("launch", "bb", "c1", "-s", "away")
    daemon.lxc("launch", "bb", "c2")
    daemon.lxc("stop", "--force", "c1")
    daemon.signal(15)
    where = daemon.dir / "storage-pools/away"
    run("umount", where)
    wait_until(lambda: not loops_of(daemon.dir), what="the loop device is gone")
    shutil.move(daemon.dir / "disks/away.img", daemon.base / "away.img")
    daemon.start()
    assert shown(daemon, "away")["status"] == "Unavailable"
    daemon.lxc("exec", "c2", "--", "true")
    result = daemon.lxc("start", "c1", check=False)
    assert result.returncode != 0
    warnings = json.loads(daemon.lxc("query", "/1.0/warnings?recursion=1").stdout)
    (warning,) = [w for w in warnings if w["type"] == "Storage pool unavailable"]
    assert warning["entity_url"] == "/1.0/storage-pools/away" and warning["status"] == "new"
    assert warning["severity"] == "high" and warning["last_message"]
    shutil.move(daemon.base / "away.img", daemon.dir / "disks/away.img")
    daemon.lxc("start", "c1")
    assert shown(daemon, "away")["status"] == "Created"
    warnings = json.loads(daemon.lxc("query", "/1.0/warnings?recursion=1").stdout)
    assert [w["status"] for w in warnings if w["type"] == "Storage pool unavailable"] == ["resolved"]
    daemon.restart()
    assert len(loops_of(daemon.dir)) == 1 and len(mounts_of(where)) == 1
    daemon.lxc("exec", "c1", "--", "true")
