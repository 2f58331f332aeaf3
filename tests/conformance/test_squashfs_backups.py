# SPDX-License-Identifier: Apache-2.0
"""Backups as a squashfs: of instances, volumes and streams, to a real LXD that can read them and back; hostile ones."""
import os
import shutil

import pytest
import yaml

import backups
import test_backups
import test_hostile_backups
import test_optimized_backups
import test_volume_backups
from daemons import run

filled, other, small_disk = test_backups.filled, test_backups.other, test_backups.small_disk
peer, pool, volume = test_backups.peer, test_optimized_backups.pool, test_volume_backups.volume
refused = test_hostile_backups.refused
CUSTOM = test_volume_backups.CUSTOM

pytestmark = pytest.mark.ours  # a real LXD needs programs of squashfs-tools-ng


def names(path):
    return run("unsquashfs", "-l", "-d", "", path).stdout.split("\n")


def test_an_instance_goes_out_with_its_snapshots_and_comes_back(daemon, api, filled, other, tmp_path):
    root = test_backups.volume(daemon, filled) / "rootfs/root"
    os.mkfifo(root / "fifo")
    (root / "own").write_text("x")
    shown = {p: (root / p).stat() for p in ("own", "fifo")}
    daemon.lxc("snapshot", filled, "s0")
    daemon.lxc("export", filled, tmp_path / "b", "--compression", "squashfs")
    assert "Squashfs" in run("file", tmp_path / "b").stdout
    assert {"/backup/index.yaml", "/backup/snapshots/s0/rootfs/bin"} <= set(names(tmp_path / "b"))
    daemon.lxc("import", tmp_path / "b", other)
    for made in (test_backups.volume(daemon, other), daemon.dir / "storage-pools/default/containers-snapshots" / other / "s0"):
        for path, before in shown.items():
            after = (made / "rootfs/root" / path).lstat()
            assert (after.st_mode, int(after.st_mtime)) == (before.st_mode, int(before.st_mtime))
        assert set(os.listdir(made)) - {"backup.yaml"} == {"metadata.yaml", "rootfs", "templates"}
        assert made.stat().st_mode & 0o077 == 0
    daemon.lxc("start", other)
    assert daemon.lxc("exec", other, "--", "cat", test_backups.FILE).stdout == "content\n"


def test_it_can_be_what_is_usual(daemon, api, container, other, tmp_path):
    daemon.lxc("config", "set", "backups.compression_algorithm", "squashfs")
    try:
        daemon.lxc("export", container, tmp_path / "b")
    finally:
        daemon.lxc("config", "unset", "backups.compression_algorithm")
    assert "Squashfs" in run("file", tmp_path / "b").stdout


def test_a_volume_goes_out_and_comes_back(daemon, volume, tmp_path):
    daemon.lxc("storage", "volume", "export", "default", volume, tmp_path / "v", "--compression", "squashfs")
    top = test_volume_backups.content(daemon, volume)
    os.chown(top, 7, 8)
    os.chmod(top, 0o750)
    daemon.lxc("storage", "volume", "export", "default", volume, tmp_path / "w", "--compression", "squashfs")
    daemon.lxc("storage", "volume", "import", "default", tmp_path / "w", volume + "b")
    test_volume_backups.check(daemon, volume + "b")
    made = test_volume_backups.content(daemon, volume + "b").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (7, 8, 0o750)


def test_a_directory_named_as_the_archives_own_stays_in_the_volume(daemon, volume, tmp_path):
    inner = test_volume_backups.content(daemon, volume) / "backup/volume"
    inner.mkdir(parents=True)
    (inner / "file").write_text("inner")
    daemon.lxc("storage", "volume", "export", "default", volume, tmp_path / "v", "--compression", "squashfs")
    daemon.lxc("storage", "volume", "import", "default", tmp_path / "v", volume + "b")
    made = test_volume_backups.content(daemon, volume + "b")
    assert (made / "backup/volume/file").read_text() == "inner" and (made / "sub/file").read_text() == "now"


def test_a_block_volume_keeps_its_bytes_and_its_holes(daemon, api, name, tmp_path):
    api.run("POST", CUSTOM, {"name": name, "content_type": "block", "config": {"size": "64MiB"}})
    try:
        with open(test_volume_backups.content(daemon, name) / "root.img", "r+b") as file:
            file.seek(10 << 20)
            file.write(b"early")
        daemon.lxc("storage", "volume", "export", "default", name, tmp_path / "v", "--compression", "squashfs")
        daemon.lxc("storage", "volume", "import", "default", tmp_path / "v", name + "b")
        made = test_volume_backups.content(daemon, name + "b") / "root.img"
        assert made.stat().st_size == 64 << 20 and made.stat().st_blocks * 512 < 1 << 20
        assert made.read_bytes()[10 << 20:(10 << 20) + 5] == b"early"
    finally:
        for one in (name, name + "b"):
            api.run("DELETE", f"{CUSTOM}/{one}", ok=False)


@pytest.mark.limit(300)
def test_streams_of_btrfs_go_out_and_come_back(daemon, pool, tmp_path):
    test_optimized_backups.fill(daemon, "o1")
    daemon.lxc("export", "o1", tmp_path / "b", "--optimized-storage", "--compression", "squashfs")
    assert "/backup/optimized_header.yaml" in names(tmp_path / "b")
    daemon.lxc("import", tmp_path / "b", "o2", "-s", pool)
    test_optimized_backups.check(daemon, "o2")
    test_optimized_backups.remove(daemon, "o1", "o2")


@pytest.mark.limit(300)
def test_a_real_lxd_and_we_read_each_others(daemon, peer, tmp_path):
    if not shutil.which("tar2sqfs"):
        pytest.skip("a real LXD needs squashfs-tools-ng")
    for source, target in ((daemon, peer), (peer, daemon)):
        test_backups.fill(source, "across")
        source.lxc("export", "across", tmp_path / "b", "--compression", "squashfs")
        source.lxc("delete", "-f", "across")
        target.lxc("import", tmp_path / "b", "arrived")
        test_backups.check(target, "arrived")
        os.unlink(tmp_path / "b")


def test_a_full_disk_says_so(daemon, api, container, small_disk):
    folder = daemon.dir / "backups/instances"
    (test_backups.volume(daemon, container) / "rootfs/root/large").write_bytes(os.urandom(30 << 20))
    folder.mkdir(exist_ok=True)
    small_disk(folder)
    operation = api.run("POST", f"/1.0/instances/{container}/backups",
                        {"name": "b1", "compression_algorithm": "squashfs"}, ok=False)
    assert operation["err"] == "No space left for the backup"
    assert not [f for _, _, files in os.walk(folder) for f in files]


@pytest.mark.parametrize("privileged", [True, False], ids=["privileged", "unprivileged"])
def test_device_nodes_go_with_a_privileged_instance_and_whiteouts_with_all(daemon, api, name, other, tmp_path, privileged):
    api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"},
                                       "config": {"security.privileged": str(privileged).lower()}})
    try:
        root = test_backups.volume(daemon, name) / "rootfs/root"
        made = {"null": (0o024754, 1, 3), "disk a\\b": (0o061600, 259, 1048570), "white": (0o020000, 0, 0)}
        for node, (mode, major, minor) in made.items():
            os.mknod(root / node, mode & ~0o7777, os.makedev(major, minor))
            os.chown(root / node, 12, 70000)
            os.chmod(root / node, mode & 0o7777)
        (root / "crw-rw-rw- 0 0").write_text("no node")
        os.utime(root, (1000, 2000))
        daemon.lxc("snapshot", name, "s0")
        daemon.lxc("export", name, tmp_path / "b", "--compression", "squashfs")
        daemon.lxc("import", tmp_path / "b", other)
        for volume in (test_backups.volume(daemon, other), daemon.dir / "storage-pools/default/containers-snapshots" / other / "s0"):
            kept = {}
            for node in made:
                if os.path.lexists(volume / "rootfs/root" / node):
                    seen = (volume / "rootfs/root" / node).lstat()
                    kept[node] = (seen.st_mode, os.major(seen.st_rdev), os.minor(seen.st_rdev))
                    assert (seen.st_uid, seen.st_gid) == (12, 70000)
            assert kept == (made if privileged else {"white": made["white"]})
            assert (volume / "rootfs/root").stat().st_mtime == 2000
    finally:
        api.run("DELETE", f"/1.0/instances/{name}", ok=False)


# -- archives that lie -------------------------------------------------------------------------------------------------
def squashed(tmp_path, document, change=lambda top: None):
    top = tmp_path / "tree"
    for part in ["container"] + [f"snapshots/{s}" for s in document.get("snapshots", [])]:
        (top / "backup" / part / "rootfs/root").mkdir(parents=True)
        (top / "backup" / part / "metadata.yaml").write_bytes(backups.metadata())
    (top / "backup/index.yaml").write_text(yaml.safe_dump(document))
    change(top)
    run("mksquashfs", top, tmp_path / "made", "-quiet", "-no-progress", "-noappend")
    return (tmp_path / "made").read_bytes()


def test_an_archive_becomes_an_instance(daemon, api, tmp_path):
    def change(top):
        os.mknod(top / "backup/container/rootfs/null", 0o020666, os.makedev(1, 3))  # which this one may not have

    backups.upload(daemon, squashed(tmp_path, backups.index("sqgood", snapshots=["s0"]), change))
    try:
        assert [s["name"] for s in api.get("/1.0/instances/sqgood?recursion=1").metadata["snapshots"]] == ["s0"]
        assert (test_backups.volume(daemon, "sqgood") / "rootfs/root").is_dir()
    finally:
        api.run("DELETE", "/1.0/instances/sqgood")


def replaced(path, target):
    def change(top):
        shutil.rmtree(top / path, ignore_errors=True)
        (top / path).unlink(missing_ok=True)
        if target:
            (top / path).symlink_to(target)
    return change


@pytest.mark.parametrize("change", [
    replaced("backup/container/rootfs", "/"), replaced("backup/container/metadata.yaml", "/etc/shadow"),
    replaced("backup/container/templates", "/"), replaced("backup/container", "/"), replaced("backup/container", "snapshots"),
    replaced("backup/index.yaml", "/etc/shadow"), replaced("backup/index.yaml", None),
    replaced("backup/container", None), replaced("backup/container/rootfs", None), replaced("backup/snapshots/s0", None),
    replaced("backup/snapshots", "/"), replaced("backup/snapshots", "."),
], ids=["rootfs a link", "metadata a link", "templates a link", "the instance a link", "the instance a link inside",
        "index a link", "no index", "no instance", "no rootfs", "no snapshot", "snapshots a link", "snapshots a link inside"])
def test_r02_what_leads_elsewhere_or_is_missing_is_refused(daemon, tmp_path, canary, change):
    refused(daemon, squashed(tmp_path, backups.index("liar", snapshots=["s0"]), change))


@pytest.mark.parametrize("keep", [20, 90, 2000, -4096])
def test_r55_a_part_of_a_squashfs_ends_with_an_error(daemon, tmp_path, keep):
    whole = squashed(tmp_path, backups.index("liar"), lambda top: (top / "backup/container/rootfs/x").write_bytes(os.urandom(9999)))
    refused(daemon, whole[:keep])


def test_r53_a_large_index_is_refused(daemon, tmp_path):
    def change(top):
        with open(top / "backup/index.yaml", "a") as file:
            file.write("#" * (2 << 20))
    assert "1 MiB" in refused(daemon, squashed(tmp_path, backups.index("liar"), change))
