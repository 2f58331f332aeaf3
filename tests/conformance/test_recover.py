# SPDX-License-Identifier: Apache-2.0
"""The database is lost and what it knew is found on the pools again (R45, D13), also on those of a real LXD."""
import os
import shutil
import subprocess

import pytest
import yaml

import test_backups
from daemons import Daemon, run

peer = test_backups.peer
pytestmark = pytest.mark.ours


def lose_database(daemon):
    """Of a daemon without networks, whose bridges would outlive what knew of them."""
    if daemon.process.poll() is None:
        root = {"root": {"type": "disk", "path": "/", "pool": "default"}}
        daemon.api.run("PUT", "/1.0/profiles/default", {"config": {}, "devices": root})
        daemon.api.run("DELETE", f"/1.0/networks/{daemon.bridge}")
        daemon.signal(15)
    shutil.rmtree(daemon.dir / "database")


class Plain(yaml.SafeLoader):
    """Moments stay the texts that they are."""


Plain.yaml_implicit_resolvers = {first: [(tag, regexp) for tag, regexp in found if not tag.endswith(":timestamp")]
                                 for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def answers(*lines):
    return "\n".join(lines) + "\n"


def recover(daemon, name, source, check=True):
    text = answers("yes", name, "dir", str(source), "", "no", "yes", "yes")
    if daemon.api.get("/1.0/storage-pools").metadata and f"/1.0/storage-pools/{name}" in daemon.api.get(
            "/1.0/storage-pools").metadata:
        text = answers("no", "yes", "yes")
    return daemon.admin("recover", input=text, check=check, timeout=60)


@pytest.fixture
def lost(own_daemon):
    """c1 has run and has a file; the database is gone, the daemon runs on an empty one."""
    daemon = own_daemon
    test_backups.fill(daemon, "c1")
    daemon.api.run("PATCH", "/1.0/instances/c1", {"config": {"user.told": "x", "limits.memory": "200MiB"}})
    lose_database(daemon)
    daemon.extra_args = ["--allow-empty-database"]
    daemon.start()
    daemon.extra_args = []
    return daemon


@pytest.mark.limit(300)
def test_d13_an_empty_database_is_begun_on_demand_only(own_daemon):
    daemon = own_daemon
    daemon.api.run("POST", "/1.0/instances", {"name": "c1", "source": {"type": "image", "alias": "bb"}})
    lose_database(daemon)
    daemon.start(wait=False)
    assert daemon.process.wait(30) == 1
    assert "--allow-empty-database" in daemon.log_tail()
    assert not (daemon.dir / "database/global/db.bin").exists()
    daemon.extra_args = ["--allow-empty-database"]
    daemon.start()
    assert daemon.api.get("/1.0/instances").metadata == []
    pool = daemon.dir / "storage-pools/default"
    assert (pool / "containers/c1/rootfs").is_dir()
    recover(daemon, "default", pool)
    daemon.api.run("DELETE", "/1.0/instances/c1")


@pytest.mark.limit(300)
def test_instances_are_found_again_and_start(lost):
    daemon = lost
    pool = daemon.dir / "storage-pools/default"
    out = recover(daemon, "default", pool).stdout
    assert f' - NEW: "default" (backend="dir", source="{pool}")' in out
    assert ' - Container "c1" on pool "default" in project "default" (includes 0 snapshots)' in out
    seen = daemon.api.get("/1.0/instances/c1").metadata
    assert seen["config"]["user.told"] == "x" and seen["config"]["limits.memory"] == "200MiB"
    assert seen["expanded_devices"]["root"]["pool"] == "default"
    assert daemon.api.get("/1.0/storage-pools/default").metadata["config"]["source"] == str(pool)
    daemon.restart()
    assert recover(daemon, "default", pool).stdout.endswith("No unknown volumes found. Nothing to do.\n")
    test_backups.check(daemon, "c1")


def test_what_is_missing_is_named(lost):
    daemon = lost
    path = daemon.dir / "storage-pools/default/containers/c1/backup.yaml"
    document = yaml.load(path.read_text(), Plain)
    document["container"]["profiles"] = ["default", "special"]
    document["container"]["devices"]["eth1"] = {"type": "nic", "name": "eth1", "network": "nonet"}
    path.unlink()
    path.write_text(yaml.safe_dump(document))
    request = {"Pools": [{"name": "default", "driver": "dir", "config": {"source": str(path.parents[2])}}]}
    reply = daemon.api.post("/internal/recover/validate", request).metadata
    assert reply["UnknownVolumes"] == [{"name": "c1", "type": "container", "snapshotCount": 0, "project": "default",
                                        "pool": "default"}]
    assert reply["DependencyErrors"] == ['Network "nonet" in project "default"',
                                         'Profile "special" in project "default"']
    assert daemon.api.post("/internal/recover/import", request).status == 400
    assert daemon.api.get("/1.0/storage-pools").metadata == []


@pytest.mark.limit(300)
def test_r45_a_file_that_lies_recovers_nothing(lost, canary):
    daemon = lost
    pool = daemon.dir / "storage-pools/default"
    path = pool / "containers/c1/backup.yaml"
    good = path.read_text()
    document = yaml.load(good, Plain)
    request = {"Pools": [{"name": "default", "driver": "dir", "config": {"source": str(pool)}}]}

    def attempt(what):
        reply = daemon.api.post("/internal/recover/import", request)
        assert reply.status in (400, 404, 500), (what, reply.status, reply.body)
        assert daemon.api.get("/1.0/instances").metadata == [], what
        assert "canary-secret" not in reply.body.decode()

    def replace(change, what):
        copy = yaml.load(good, Plain)
        change(copy)
        path.unlink()
        path.write_text(yaml.safe_dump(copy))
        attempt(what)

    assert document["container"]["name"] == "c1"
    replace(lambda d: d["container"].update(name="../c1"), "name")
    reply = daemon.api.post("/internal/recover/validate", request)
    assert "reserved for snapshots" in reply.error
    replace(lambda d: d["container"].update(name="other"), "another name")
    replace(lambda d: d["pool"].update(name="other"), "another pool")
    replace(lambda d: d["container"]["config"].update({"raw.lxc": "lxc.log.file=/x"}), "raw.lxc")
    replace(lambda d: d["container"]["config"].update({"environment.A": "x\nlxc.y=1"}), "control characters")
    replace(lambda d: d["container"]["config"].update({"no.such": "1"}), "unknown key")
    replace(lambda d: d.pop("container"), "no instance")
    path.unlink()
    path.symlink_to(canary / "secret")
    attempt("a link")
    path.unlink()
    attempt("no file")
    os.mkfifo(path)
    attempt("a fifo")
    path.unlink()
    path.write_text("a: " + "[" * 100000)
    attempt("deep")
    path.write_text(good)
    assert daemon.api.post("/internal/recover/import", request).status == 200
    test_backups.check(daemon, "c1")


@pytest.mark.limit(300)
def test_a_pool_of_a_real_lxd_is_recovered_here(peer, own_daemon, tmp_path):
    test_backups.fill(peer, "theirs")
    pool = own_daemon.base / "pool"
    run("cp", "-a", peer.dir / "storage-pools/default", pool)
    path = pool / "containers/theirs/backup.yaml"
    text = path.read_text().replace("name: default\n  driver", "name: moved\n  driver")
    path.unlink()
    path.write_text(text)
    shutil.rmtree(pool / "images", ignore_errors=True)
    recover(own_daemon, "moved", pool)
    test_backups.check(own_daemon, "theirs")
    own_daemon.api.run("DELETE", "/1.0/storage-pools/moved")
    peer.lxc("delete", "-f", "theirs")


@pytest.mark.limit(300)
def test_a_pool_of_ours_is_recovered_by_a_real_lxd(peer, own_daemon):
    own_daemon.api.run("POST", "/1.0/storage-pools", {"name": "ours", "driver": "dir"})
    own_daemon.lxc("init", "bb", "mine", "-s", "ours")
    own_daemon.lxc("config", "device", "add", "mine", "eth0", "none")  # its network has another name there
    own_daemon.lxc("start", "mine")
    own_daemon.lxc("exec", "mine", "--", "sh", "-c", f"echo content > {test_backups.FILE}; chown 5:6 "
                   f"{test_backups.FILE}; chmod 4751 {test_backups.FILE}")
    own_daemon.lxc("stop", "-f", "mine")
    pool = peer.base / "ours"
    run("cp", "-a", own_daemon.dir / "storage-pools/ours", pool)
    shutil.rmtree(pool / "images", ignore_errors=True)
    run("lxd", "recover", env=peer.env, input=answers("yes", "ours", "dir", str(pool), "", "no", "yes", "yes"))
    test_backups.check(peer, "mine")
    peer.lxc("storage", "delete", "ours")


def make_volumes(daemon, pool):
    """A volume of files with a snapshot, and a block volume."""
    daemon.lxc("storage", "volume", "create", pool, "v1")
    top = daemon.dir / "storage-pools" / pool
    (top / "custom/default_v1/file").write_text("early")
    daemon.lxc("storage", "volume", "snapshot", pool, "v1", "s0")
    (top / "custom/default_v1/file").write_text("now")
    daemon.lxc("storage", "volume", "create", pool, "b1", "--type=block", "size=8MiB")


def check_volumes(daemon, pool):
    top = daemon.dir / "storage-pools" / pool
    found = {v["name"]: v["content_type"] for v in daemon.api.get(
        f"/1.0/storage-pools/{pool}/volumes/custom?recursion=1").metadata}
    assert found == {"v1": "filesystem", "v1/s0": "filesystem", "b1": "block"}
    daemon.lxc("storage", "volume", "restore", pool, "v1", "s0")
    assert (top / "custom/default_v1/file").read_text() == "early"
    for name in ("v1", "b1"):
        daemon.lxc("storage", "volume", "delete", pool, name)
    daemon.lxc("storage", "delete", pool)


def answers_for(driver, source):
    return answers("yes", "moved", driver, str(source), "", "no", "yes", "yes")


@pytest.mark.limit(400)
@pytest.mark.parametrize("driver", ["dir", "btrfs"])
@pytest.mark.parametrize("theirs", [False, True], ids=["of ours", "of a real LXD"])
def test_custom_volumes_of_a_lost_pool_are_found(peer, own_daemon, tmp_path, driver, theirs):
    """The pool is the other daemon's afterwards: each finds what the other has made."""
    source, target = (peer, own_daemon) if theirs else (own_daemon, peer)
    place = tmp_path / "place"
    place.mkdir()
    if driver == "btrfs":
        run("truncate", "-s", "256M", tmp_path / "disk.img")
        run("mkfs.btrfs", "-q", tmp_path / "disk.img")
        run("mount", "-o", "loop", tmp_path / "disk.img", place)
        place = place / "pool"
    try:
        source.lxc("storage", "create", "moved", driver, f"source={place}")
        make_volumes(source, "moved")
        mount = source.dir / "storage-pools/moved"
        statement = "DELETE FROM storage_pools WHERE name = 'moved'"
        assert source.api.post("/internal/sql", {"database": "global", "query": statement}).status == 200
        run("umount", "-l", mount, check=False)
        if mount.exists() and not any(mount.iterdir()):
            mount.rmdir()
        text = answers_for(driver, place)
        if theirs:
            out = target.admin("recover", input=text, timeout=60).stdout
        else:
            out = run("lxd", "recover", env=target.env, input=text).stdout
        assert ' - Volume "v1" on pool "moved" in project "default" (includes 1 snapshots)' in out
        check_volumes(target, "moved")
        run("umount", "-l", mount, check=False)
    finally:
        run("umount", "-l", tmp_path / "place", check=False)


def test_only_the_local_socket_recovers(daemon, trusted):
    assert trusted.post("/internal/recover/validate", {}).status in (403, 404)
    assert daemon.api.post("/internal/recover/validate", {}).metadata == {"UnknownVolumes": None,
                                                                         "DependencyErrors": None}


def test_the_dialog_ends_where_it_is_told_to(daemon):
    out = daemon.admin("recover", input=answers("no", "no")).stdout
    assert "This LXD server currently has the following storage pools:\n - default (backend=\"dir\"" in out
    assert "Scanning" not in out
    result = subprocess.run([daemon.program, "recover"], env=daemon.env, input="", capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr == "Error: EOF\n"
