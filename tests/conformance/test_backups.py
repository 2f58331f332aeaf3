# SPDX-License-Identifier: Apache-2.0
"""Backups of instances and instances from backups, with the stock client; archives go to a real LXD and back."""
import io
import os
import shutil
import stat
import tarfile

import pytest
import yaml

import backups
from daemons import Daemon, run, wait_until

FILE = "/root/kept"


@pytest.fixture
def filled(daemon, running):
    daemon.lxc("exec", running, "--", "sh", "-c", f"echo content > {FILE}; ln {FILE} {FILE}2; ln -s /nowhere /root/l")
    return running


@pytest.fixture
def other(daemon, name):
    """A second name, removed like the first."""
    second = name + "b"
    yield second
    daemon.api.run("PUT", f"/1.0/instances/{second}/state", {"action": "stop", "force": True}, ok=False)
    daemon.api.run("DELETE", f"/1.0/instances/{second}", ok=False)


def volume(daemon, name):
    return daemon.dir / "storage-pools/default/containers" / name


def listing(path):
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_an_export_is_imported_under_another_name(daemon, filled, other, tmp_path):
    daemon.lxc("config", "set", filled, "user.told", "a: 'b'\n#c")
    daemon.lxc("export", filled, tmp_path / "b.tar.gz")
    assert daemon.api.get(f"/1.0/instances/{filled}/backups").metadata == []  # the client removes it
    names = listing(tmp_path / "b.tar.gz")
    assert names[0] == "backup/index.yaml"
    assert {"backup/container", "backup/container/backup.yaml", "backup/container/rootfs" + FILE} <= set(names)
    daemon.lxc("import", tmp_path / "b.tar.gz", other)
    daemon.lxc("start", other)
    assert daemon.lxc("exec", other, "--", "cat", FILE, FILE + "2").stdout == "content\ncontent\n"
    assert daemon.lxc("exec", other, "--", "stat", "-c", "%u %h", FILE).stdout == "0 2\n"
    before, after = (daemon.api.get(f"/1.0/instances/{n}").metadata for n in (filled, other))
    assert after["config"]["user.told"] == "a: 'b'\n#c"
    assert after["created_at"] == before["created_at"]
    for key in ("volatile.base_image", "volatile.eth0.hwaddr", "volatile.uuid"):
        assert after["config"][key] == before["config"][key]


def test_snapshots_go_with_an_export_and_come_back(daemon, filled, other, tmp_path):
    daemon.lxc("snapshot", filled, "s0")
    daemon.lxc("exec", filled, "--", "sh", "-c", f"echo later > {FILE}")
    kept = yaml.safe_load((volume(daemon, filled) / "backup.yaml").read_text())
    assert [s["name"] for s in kept["snapshots"]] == ["s0"]
    daemon.lxc("export", filled, tmp_path / "b.tar.gz")
    assert f"backup/snapshots/s0/rootfs{FILE}" in listing(tmp_path / "b.tar.gz")
    daemon.lxc("import", tmp_path / "b.tar.gz", other)
    before, after = (daemon.api.get(f"/1.0/instances/{n}/snapshots/s0").metadata for n in (filled, other))
    assert after["created_at"] == before["created_at"]
    daemon.lxc("restore", other, "s0")
    daemon.lxc("start", other)
    assert daemon.lxc("exec", other, "--", "cat", FILE).stdout == "content\n"


def bytes_read(daemon):
    """By the daemon and the processes that it has waited for."""
    with open(f"/proc/{daemon.pid}/io") as file:
        return int(next(line for line in file if line.startswith("rchar:")).split()[1])


@pytest.mark.ours
def test_an_archive_is_read_once_however_many_snapshots_it_has(daemon, other):
    content = os.urandom(2 << 20)
    names = [f"s{i}" for i in range(8)]
    extra = [backups.entry(f"backup/{part}/rootfs/large", content=content)
             for part in ["container", *(f"snapshots/{n}" for n in names)]]
    data = backups.archive(backups.index(other, snapshots=names), extra=extra)
    before = bytes_read(daemon)
    backups.upload(daemon, data)
    assert bytes_read(daemon) - before < 3 * len(data)  # it is judged before it is unpacked
    top = daemon.dir / "storage-pools/default"
    for made in (top / "containers" / other, *(top / "containers-snapshots" / other / n for n in names)):
        assert (made / "rootfs/large").read_bytes() == content


@pytest.mark.ours
@pytest.mark.limit(300)
def test_more_snapshots_than_one_pass_takes_are_imported(daemon, other):
    names = [f"s{i}" for i in range(130)]
    extra = [backups.entry(f"backup/snapshots/{n}/rootfs/name", content=n.encode()) for n in names]
    backups.upload(daemon, backups.archive(backups.index(other, snapshots=names), extra=extra))
    top = daemon.dir / "storage-pools/default/containers-snapshots" / other
    assert {n: (top / n / "rootfs/name").read_text() for n in names} == {n: n for n in names}


@pytest.mark.ours
def test_the_parts_of_an_archive_may_come_in_any_order(daemon, other):
    def extra(name):
        return [backups.entry(f"backup/{part}/rootfs/{name}", content=f"{part} {name}".encode())
                for part in ("container", "snapshots/s1", "snapshots/s0")]
    index, *rest = backups.members(backups.index(other, snapshots=["s0", "s1"]))
    backups.upload(daemon, backups.make_tar([*reversed(extra("one")), *reversed(rest), index, *extra("two")]))
    top = daemon.dir / "storage-pools/default"
    for part, made in (("container", top / "containers" / other), ("snapshots/s0", top / "containers-snapshots" / other / "s0"),
                       ("snapshots/s1", top / "containers-snapshots" / other / "s1")):
        for name in ("one", "two"):
            assert (made / "rootfs" / name).read_text() == f"{part} {name}"


@pytest.mark.parametrize("compression", ["none", "gzip", "gzip -1", "bzip2", "xz", "lzma", "zstd"])
def test_all_compressors_go_both_ways(daemon, container, other, tmp_path, compression):
    daemon.lxc("export", container, tmp_path / "b", "--compression", compression, "--instance-only")
    kind = {"none": "POSIX tar", "gzip": "gzip", "bzip2": "bzip2", "xz": "XZ", "lzma": "LZMA", "zstd": "Zstandard"}
    assert kind[compression.split()[0]] in run("file", tmp_path / "b").stdout
    daemon.lxc("import", tmp_path / "b", other)
    assert (volume(daemon, other) / "rootfs/bin").is_dir()


def test_backups_are_listed_renamed_downloaded_and_removed(daemon, api, container):
    base = f"/1.0/instances/{container}/backups"
    operation = api.run("POST", base, {"name": "b1", "expires_at": "2090-01-01T00:00:00Z", "instance_only": True})
    assert operation["description"] == "Backing up instance"
    assert operation["resources"]["backups"] == ["/1.0/backups/b1"]
    assert "/s)" in operation["metadata"]["create_backup_progress"]
    api.run("POST", base, {})
    assert api.get(base).metadata == [f"{base}/b1", f"{base}/backup0"]
    found = api.get(base + "?recursion=1").metadata[0]
    assert found == api.get(base + "/b1").metadata
    assert {**found, "created_at": ""} == {"name": "b1", "created_at": "", "expires_at": "2090-01-01T00:00:00Z",
                                           "instance_only": True, "container_only": True, "optimized_storage": False}
    api.run("POST", base + "/b1", {"name": "b2"})
    assert api.get(base + "/b1").status == 404
    reply = api.get(base + "/b2/export")
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/octet-stream"
    with tarfile.open(fileobj=io.BytesIO(reply.body)) as tar:
        index = yaml.safe_load(tar.extractfile("backup/index.yaml"))
    assert (index["name"], index["backend"], index["type"]) == (container, "dir", "container")
    folder = daemon.dir / "backups/instances" / container
    assert sorted(os.listdir(folder)) == ["b2", "backup0"]
    assert (folder / "b2").stat().st_mode & 0o777 == 0o600
    assert api.run("DELETE", base + "/b2")["description"] == "Removing instance backup"
    assert os.listdir(folder) == ["backup0"]
    api.run("DELETE", f"/1.0/instances/{container}")
    assert not folder.exists()


def test_a_backup_follows_its_instance_to_another_name(daemon, api, container, other):
    api.run("POST", f"/1.0/instances/{container}/backups", {"name": "b1"})
    api.run("POST", f"/1.0/instances/{container}", {"name": other})
    assert api.get(f"/1.0/instances/{other}/backups/b1/export").status == 200
    api.run("POST", f"/1.0/instances/{other}/backups/b1", {"name": "b2"})
    assert [url.rsplit("/", 1)[1] for url in api.get(f"/1.0/instances/{other}/backups").metadata] == ["b2"]


def test_a_name_is_given_once(api, container):
    base = f"/1.0/instances/{container}/backups"
    api.run("POST", base, {"name": "b1"})
    before = api.get(base + "/b1/export").body
    operation = api.run("POST", base, {"name": "b1"}, ok=False)
    assert operation["err"] == f'Create backup: Backup "{container}/b1" already exists'
    assert api.get(base + "/b1/export").body == before


@pytest.mark.ours
@pytest.mark.parametrize("wrong", ["a/b", "..", ".x", "a\\b", "a\nb", "x" * 300])
def test_r08_backup_names_are_checked(api, container, wrong):
    base = f"/1.0/instances/{container}/backups"
    assert api.post(base, {"name": wrong}).status == 400
    api.run("POST", base, {"name": "ok"})
    assert api.post(base + "/ok", {"name": wrong}).status == 400
    assert api.get(base).metadata == [base + "/ok"]


@pytest.mark.ours
@pytest.mark.parametrize("compression", ["gzip --help", "gzip -1 -2", "sh", "gzip;x", "zstd -99"])
def test_r07_compressors_take_a_level_only(api, container, compression):
    assert api.post(f"/1.0/instances/{container}/backups", {"compression_algorithm": compression}).status == 400


def test_what_is_not_there_is_not_found(api, container):
    base = f"/1.0/instances/{container}/backups"
    for reply in (api.get(base + "/no"), api.delete(base + "/no"), api.get(base + "/no/export"),
                  api.post(base + "/no", {"name": "b"})):
        assert reply.status == 404
        assert reply.error == "Load backup from database: Instance backup not found"
    assert api.get("/1.0/instances/no-such/backups").status == 404


# -- backup.yaml -------------------------------------------------------------------------------------------------------
def read_file(daemon, name):
    return yaml.safe_load((volume(daemon, name) / "backup.yaml").read_text())


def test_backup_yaml_is_kept_current(daemon, api, container, other):
    path = volume(daemon, container) / "backup.yaml"
    assert path.stat().st_mode & 0o7777 == 0o400
    seen = api.get(f"/1.0/instances/{container}").metadata
    document = read_file(daemon, container)
    for key in ("config", "devices", "expanded_config", "expanded_devices", "profiles", "name", "architecture", "type"):
        assert document["container"][key] == seen[key], key
    assert list(document["container"])[:4] == ["architecture", "config", "devices", "ephemeral"]  # LXD's order
    assert document["pool"]["driver"] == "dir" and document["profiles"][0]["name"] == "default"
    assert document["volume"]["name"] == container
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.new": "1", "limits.memory": "100MiB"}})
    assert read_file(daemon, container)["container"]["config"]["user.new"] == "1"
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    assert "volatile.eth0.host_name" in read_file(daemon, container)["container"]["config"]
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "stop", "force": True})
    api.run("POST", f"/1.0/instances/{container}", {"name": other})
    document = read_file(daemon, other)
    assert document["container"]["name"] == document["volume"]["name"] == other


@pytest.mark.ours
@pytest.mark.parametrize("kind", ["link", "directory", "fifo", "hard link"])
def test_r02_backup_yaml_is_a_file_of_its_own(daemon, api, container, canary, kind):
    path = volume(daemon, container) / "backup.yaml"
    path.unlink()
    if kind == "link":
        path.symlink_to(canary / "secret")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        shutil.copy(canary / "secret", path.parent / "other")
        os.link(path.parent / "other", path)
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.new": "1"}})
    assert read_file(daemon, container)["container"]["config"]["user.new"] == "1"
    assert not path.is_symlink() and path.stat().st_nlink == 1
    if kind == "hard link":
        assert (path.parent / "other").read_text() == "canary-secret\n"


# -- targets that are wrong -------------------------------------------------------------------------------------------
def test_an_instance_that_exists_is_not_replaced(daemon, container):
    reply = backups.post(daemon, backups.archive(backups.index(container)))
    operation = daemon.api.wait(reply.operation())
    assert operation["err"] == "Create instance from backup: Cannot restore volume, already exists on target"


def test_an_unknown_pool_is_refused(daemon):
    reply = backups.post(daemon, backups.archive(backups.index("liar")), pool="nope")
    assert reply.status >= 400 and "Storage pool not found" in reply.error


# -- disks that are full, or cannot be written to --------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path):
    """mount(path) puts a filesystem of 24 MiB there."""
    mounted = []

    def mount(path):
        path.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0711", "small", path)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        run("umount", "-l", path, check=False)


@pytest.mark.ours
def test_a_full_disk_leaves_no_part_of_a_backup(daemon, api, container, small_disk):
    folder = daemon.dir / "backups/instances"
    (volume(daemon, container) / "rootfs/root/large").write_bytes(os.urandom(30 << 20))
    api.run("POST", f"/1.0/instances/{container}/backups", {"name": "b1"})
    shutil.rmtree(folder / container)  # its row stays
    small_disk(folder)
    operation = api.run("POST", f"/1.0/instances/{container}/backups", {"name": "b2"}, ok=False)
    assert "No space left" in operation["err"]
    assert os.listdir(folder / container) == []
    assert len(api.get(f"/1.0/instances/{container}/backups").metadata) == 1
    os.unlink(volume(daemon, container) / "rootfs/root/large")
    api.run("POST", f"/1.0/instances/{container}/backups", {"name": "b2"})  # no restart is needed
    run("mount", "-o", "remount,ro", folder)
    assert api.run("POST", f"/1.0/instances/{container}/backups", {"name": "b3"}, ok=False)["status_code"] == 400
    assert api.run("DELETE", f"/1.0/instances/{container}/backups/b2", ok=False)["status_code"] == 400
    assert api.get(f"/1.0/instances/{container}/backups/b2/export").status == 200
    run("mount", "-o", "remount,rw", folder)
    api.run("DELETE", f"/1.0/instances/{container}/backups/b2")


@pytest.mark.ours
def test_a_full_pool_leaves_no_part_of_an_import(daemon, api, small_disk, tmp_path):
    os.chmod(tmp_path, 0o711)
    source = small_disk(tmp_path / "pool")
    large = [backups.entry("backup/container/rootfs/large", os.urandom(30 << 20))]
    api.run("POST", "/1.0/storage-pools", {"name": "small", "driver": "dir", "config": {"source": str(source)}})
    try:
        reply = backups.post(daemon, backups.archive(backups.index("liar"), extra=large), pool="small")
        operation = api.wait(reply.operation())
        assert "No space left" in operation["err"]
        wait_until(lambda: os.listdir(source / "containers") == [], what="an empty pool")
        assert api.get("/1.0/instances/liar").status == 404
        backups.upload(daemon, backups.archive(backups.index("fits")), pool="small")
        assert api.get("/1.0/instances/fits").metadata["devices"]["root"]["pool"] == "small"
        api.run("DELETE", "/1.0/instances/fits")
    finally:
        api.run("DELETE", "/1.0/storage-pools/small")


# -- a real LXD --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def peer():
    """A real LXD beside ours."""
    if not shutil.which("lxd"):
        pytest.skip("no real LXD")
    daemon = Daemon("lxd", name="peer", bridge=f"lxcp{os.getpid() % 1000}",
                    subnet=os.environ.get("LXDCORE_TEST_SUBNET_3", "10.73.9"))
    try:
        daemon.start().setup()
        yield daemon
    finally:
        daemon.stop()
        daemon.destroy()


def fill(daemon, name):
    daemon.lxc("launch", "bb", name)
    daemon.lxc("exec", name, "--", "sh", "-c", f"echo content > {FILE}; chown 5:6 {FILE}; chmod 4751 {FILE}")
    daemon.lxc("stop", "-f", name)


def check(daemon, name):
    daemon.lxc("start", name)
    out = daemon.lxc("exec", name, "--", "stat", "-c", "%u:%g %a", FILE).stdout
    assert out == "5:6 4751\n"
    assert daemon.lxc("exec", name, "--", "cat", FILE).stdout == "content\n"
    daemon.lxc("delete", "-f", name)


@pytest.mark.ours
@pytest.mark.limit(300)
def test_backups_go_to_a_real_lxd_and_come_from_it(daemon, peer, tmp_path):
    for source, target, compression in ((daemon, peer, "gzip"), (peer, daemon, "gzip"), (daemon, peer, "zstd"),
                                        (peer, daemon, "xz")):
        fill(source, "across")
        source.lxc("export", "across", tmp_path / "b", "--compression", compression)
        source.lxc("delete", "-f", "across")
        target.lxc("import", tmp_path / "b", "arrived")
        check(target, "arrived")
        os.unlink(tmp_path / "b")


# -- device nodes ------------------------------------------------------------------------------------------------------
def nodes(root):
    return {name: (stat.filemode(seen.st_mode), seen.st_rdev, seen.st_uid, seen.st_nlink)
            for name in ("null", "again", "disk", "white") if (root / name).is_symlink() or os.path.lexists(root / name)
            for seen in [(root / name).lstat()]}


@pytest.mark.parametrize("privileged", [True, False], ids=["privileged", "unprivileged"])
def test_device_nodes_go_with_a_privileged_instance_and_whiteouts_with_all(daemon, api, name, other, tmp_path, privileged):
    api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"},
                                       "config": {"security.privileged": str(privileged).lower()}})
    try:
        root = volume(daemon, name) / "rootfs/root"
        os.mknod(root / "null", 0o020640, os.makedev(1, 3))
        os.chown(root / "null", 12, 13)
        os.link(root / "null", root / "again")
        os.mknod(root / "disk", 0o060600, os.makedev(8, 0))
        os.mknod(root / "white", 0o020000, 0)
        os.utime(root, (1000, 2000))
        before = nodes(root)
        daemon.lxc("snapshot", name, "s0")
        daemon.lxc("export", name, tmp_path / "b")
        daemon.lxc("import", tmp_path / "b", other)
        snapshot = daemon.dir / "storage-pools/default/containers-snapshots" / other / "s0"
        for made in (volume(daemon, other), snapshot):
            kept = nodes(made / "rootfs/root")
            if not privileged and daemon.kind != "lxd":  # it could not use them
                assert kept == {"white": before["white"]}
            else:
                assert kept == before
            assert (made / "rootfs/root").stat().st_mtime == 2000
        daemon.lxc("start", other)
    finally:
        api.run("DELETE", f"/1.0/instances/{name}", ok=False)
