# SPDX-License-Identifier: Apache-2.0
"""Backups of custom volumes and volumes from backups, with the stock client; archives go to a real LXD and back."""
import io
import os
import stat
import tarfile

import pytest
import yaml

import backups
import test_backups
from daemons import run, wait_until

peer = test_backups.peer
small_disk = test_backups.small_disk
POOLS = "/1.0/storage-pools"
CUSTOM = POOLS + "/default/volumes/custom"


@pytest.fixture
def volume(daemon, api, name):
    """A volume with a file and a snapshot of an earlier one; removed with what has its name and a "b" more."""
    api.run("POST", CUSTOM, {"name": name, "description": "told", "config": {"user.x": "y"}})
    fill(daemon, name)
    yield name
    for one in (name, name + "b"):
        api.run("DELETE", f"{CUSTOM}/{one}", ok=False)


def content(daemon, name, snapshot="", pool="default"):
    top = daemon.dir / "storage-pools" / pool
    return top / "custom-snapshots" / f"default_{name}" / snapshot if snapshot else top / "custom" / f"default_{name}"


def fill(daemon, name, pool="default"):
    top = content(daemon, name, pool=pool)
    (top / "sub").mkdir()
    (top / "sub/file").write_text("early")
    daemon.lxc("storage", "volume", "snapshot", pool, name, "s0")
    (top / "sub/file").write_text("now")
    os.chown(top / "sub/file", 5, 6)
    os.chmod(top / "sub/file", 0o4751)
    os.link(top / "sub/file", top / "hard")
    os.symlink("/etc/shadow", top / "link")
    os.setxattr(top / "hard", "user.told", b"x")


def check(daemon, name, snapshots=("s0",), pool="default"):
    top = content(daemon, name, pool=pool)
    seen = (top / "hard").stat()
    assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o7777, seen.st_nlink) == (5, 6, 0o4751, 2)
    assert (top / "sub/file").read_text() == "now" and os.readlink(top / "link") == "/etc/shadow"
    assert os.getxattr(top / "hard", "user.told") == b"x"
    for snapshot in snapshots:
        assert (content(daemon, name, snapshot, pool) / "sub/file").read_text() == "early"
    base = f"{POOLS}/{pool}/volumes/custom/{name}"
    found = daemon.api.get(base).metadata
    assert found["description"] == "told" and found["config"]["user.x"] == "y"
    assert [url.rsplit("/", 1)[1] for url in daemon.api.get(base + "/snapshots").metadata] == list(snapshots)


def listing(path):
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_a_volume_goes_out_and_comes_back_under_another_name(daemon, volume, tmp_path):
    daemon.lxc("storage", "volume", "export", "default", volume, tmp_path / "v.tar.gz")
    assert daemon.api.get(f"{CUSTOM}/{volume}/backups").metadata == []  # the client removes it
    names = listing(tmp_path / "v.tar.gz")
    assert names[0] == "backup/index.yaml"
    assert {"backup/volume", "backup/volume/sub/file", "backup/volume-snapshots/s0/sub/file"} <= set(names)
    before = content(daemon, volume).stat()
    daemon.lxc("storage", "volume", "import", "default", tmp_path / "v.tar.gz", volume + "b")
    check(daemon, volume + "b")
    after = content(daemon, volume + "b").stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


def test_a_backup_of_the_volume_only_has_no_snapshots(daemon, volume, tmp_path):
    daemon.lxc("storage", "volume", "export", "default", volume, tmp_path / "v", "--volume-only", "--compression", "none")
    assert not [name for name in listing(tmp_path / "v") if "snapshots" in name]
    daemon.lxc("storage", "volume", "import", "default", tmp_path / "v", volume + "b")
    check(daemon, volume + "b", snapshots=())


@pytest.mark.parametrize("compression", ["none", "gzip -1", "xz", "zstd"])
def test_compressors_go_both_ways(daemon, volume, tmp_path, compression):
    daemon.lxc("storage", "volume", "export", "default", volume, tmp_path / "v", "--compression", compression)
    daemon.lxc("storage", "volume", "import", "default", tmp_path / "v", volume + "b")
    check(daemon, volume + "b")


def test_a_block_volume_keeps_its_bytes_and_its_holes(daemon, api, name, tmp_path):
    api.run("POST", CUSTOM, {"name": name, "content_type": "block", "config": {"size": "64MiB"}})
    image = content(daemon, name) / "root.img"
    try:
        with open(image, "r+b") as file:
            file.seek(10 << 20)
            file.write(b"early")
        daemon.lxc("storage", "volume", "snapshot", "default", name, "s0")
        with open(image, "r+b") as file:
            file.seek(10 << 20)
            file.write(b"later")
        daemon.lxc("storage", "volume", "export", "default", name, tmp_path / "v", "--compression", "none")
        assert {"backup/volume.img", "backup/volume-snapshots/s0.img"} <= set(listing(tmp_path / "v"))
        assert (tmp_path / "v").stat().st_size < 1 << 20
        daemon.lxc("storage", "volume", "import", "default", tmp_path / "v", name + "b")
        for snapshot, text in (("", b"later"), ("s0", b"early")):
            made = content(daemon, name + "b", snapshot) / "root.img"
            assert made.stat().st_size == 64 << 20 and made.stat().st_blocks * 512 < 1 << 20
            with open(made, "rb") as file:
                file.seek(10 << 20)
                assert file.read(5) == text
        assert api.get(f"{CUSTOM}/{name}b").metadata["content_type"] == "block"
    finally:
        for one in (name, name + "b"):
            api.run("DELETE", f"{CUSTOM}/{one}", ok=False)


def test_backups_are_listed_renamed_downloaded_and_removed(daemon, api, volume):
    base = f"{CUSTOM}/{volume}/backups"
    operation = api.run("POST", base, {"name": "b1", "expires_at": "2090-01-01T00:00:00Z", "volume_only": True})
    assert operation["description"] == "Creating custom volume backup"
    assert operation["resources"] == {"backups": ["/1.0/backups/b1"],
                                      "storage_volumes": ["/1.0/storage_volumes/" + volume]}
    api.run("POST", base, {})
    assert api.get(base).metadata == [f"{base}/b1", f"{base}/backup0"]
    found = api.get(base + "?recursion=1").metadata[0]
    assert found == api.get(base + "/b1").metadata
    assert {**found, "created_at": ""} == {"name": "b1", "created_at": "", "expires_at": "2090-01-01T00:00:00Z",
                                           "volume_only": True, "optimized_storage": False}
    operation = api.run("POST", base, {"name": "b1"}, ok=False)
    assert operation["err"] == f'Create volume backup: Backup "{volume}/b1" already exists'
    assert api.run("POST", base + "/b1", {"name": "b2"})["description"] == "Renaming custom volume backup"
    assert api.get(base + "/b1").status == 404
    reply = api.get(base + "/b2/export")
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/octet-stream"
    with tarfile.open(fileobj=io.BytesIO(reply.body)) as tar:
        index = yaml.safe_load(tar.extractfile("backup/index.yaml"))
    assert (index["name"], index["backend"], index["type"]) == (volume, "dir", "custom")
    folder = daemon.dir / "backups/custom/default" / f"default_{volume}"
    assert sorted(os.listdir(folder)) == ["b2", "backup0"]
    assert (folder / "b2").stat().st_mode & 0o777 == 0o600
    assert api.run("DELETE", base + "/b2")["description"] == "Deleting custom volume backup"
    assert os.listdir(folder) == ["backup0"]
    api.run("DELETE", f"{CUSTOM}/{volume}")
    assert not folder.exists()


def test_a_backup_follows_its_volume(daemon, api, volume):
    base = f"{CUSTOM}/{volume}"
    api.run("POST", base + "/backups", {"name": "b1"})
    api.run("POST", base, {"name": volume + "b"})
    assert api.get(f"{base}b/backups").metadata == [f"{base}b/backups/b1"]
    assert api.get(f"{base}b/backups/b1/export").status == 200
    api.run("POST", POOLS, {"name": "second", "driver": "dir"})
    try:
        api.run("POST", f"{base}b", {"name": volume, "pool": "second"})
        moved = f"{POOLS}/second/volumes/custom/{volume}"
        assert api.get(moved + "/backups/b1/export").status == 200
        assert (daemon.dir / f"backups/custom/second/default_{volume}/b1").exists()
        api.run("DELETE", moved)
    finally:
        api.run("DELETE", POOLS + "/second")


@pytest.mark.ours
def test_what_has_expired_goes_within_two_minutes(daemon, api, volume):
    base = f"{CUSTOM}/{volume}/backups"
    api.run("POST", base, {"name": "old", "expires_at": "2001-01-01T00:00:00Z"})
    api.run("POST", base, {"name": "kept", "expires_at": "2090-01-01T00:00:00Z"})
    wait_until(lambda: api.get(base).metadata == [base + "/kept"], timeout=130, what="one backup")


def test_what_is_not_there_is_not_found(api, volume):
    base = f"{CUSTOM}/{volume}/backups"
    for reply in (api.get(base + "/no"), api.delete(base + "/no"), api.get(base + "/no/export"),
                  api.post(base + "/no", {"name": "b"})):
        assert (reply.status, reply.error) == (404, "Storage volume backup not found")
    for reply in (api.get(CUSTOM + "/no/backups"), api.post(CUSTOM + "/no/backups", {})):
        assert (reply.status, reply.error) == (404, "Storage pool volume not found")
    reply = api.get(f"{POOLS}/default/volumes/container/{volume}/backups")
    assert (reply.status, reply.error) == (400, 'Invalid storage volume type "container"')


@pytest.mark.ours
@pytest.mark.parametrize("wrong", ["a/b", "..", ".x", "a\\b", "a\nb", "x" * 300])
def test_r08_backup_names_are_checked(api, volume, wrong):
    base = f"{CUSTOM}/{volume}/backups"
    assert api.post(base, {"name": wrong}).status == 400
    assert api.get(base).metadata == []


@pytest.mark.ours
@pytest.mark.parametrize("compression", ["gzip --help", "sh", "zstd -99"])
def test_r07_compressors_take_a_level_only(api, volume, compression):
    assert api.post(f"{CUSTOM}/{volume}/backups", {"compression_algorithm": compression}).status == 400


# -- archives that lie -------------------------------------------------------------------------------------------------
FOLDERS = ("backups", "storage-pools/default/custom", "storage-pools/default/custom-snapshots")


def refused(daemon, data, **options):
    return backups.refused(daemon, lambda: backups.post_volume(daemon, data, **options), f"{CUSTOM}/liar", FOLDERS)


@pytest.fixture
def good(daemon, api):
    """Uploads, and removes what comes of it."""
    def upload(data, name="liar"):
        backups.upload_volume(daemon, data, name=name)
        return api.get(f"{CUSTOM}/{name}").metadata
    yield upload
    api.run("DELETE", f"{CUSTOM}/liar", ok=False)


def test_an_archive_becomes_a_volume_with_what_it_says(daemon, api, good):
    seen = good(backups.volume_archive(backups.volume_index("other", snapshots=["s0"], config={"size": "1GiB"})))
    assert seen["config"] == {"user.x": "y", "size": "1GiB"} and seen["description"] == "told"
    top = content(daemon, "liar")
    assert (top / "file").read_text() == "now" and (top / "sub/hard").stat().st_nlink == 2
    assert (content(daemon, "liar", "s0") / "file").read_text() == "of s0"
    assert api.get(f"{CUSTOM}/liar/snapshots/s0").metadata["description"] == "of s0"


@pytest.mark.ours
@pytest.mark.limit(400)
def test_r52_no_field_of_the_index_is_needed_to_survive(daemon):
    whole = backups.volume_index("liar")
    for path in backups.all_paths(whole):
        for document in (backups.without(whole, path), backups.changed(whole, path, None),
                         backups.changed(whole, path, [["x"]]), backups.changed(whole, path, -2**63)):
            reply = backups.post_volume(daemon, backups.volume_archive(document))
            assert reply.status in (202, 400), (path, reply.status, reply.body)
            if reply.status == 202:
                daemon.api.wait(reply.operation())
                daemon.api.run("DELETE", CUSTOM + "/liar", ok=False)


@pytest.mark.ours
@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "", "a\nb"])
def test_r08_names_in_an_archive_are_checked(daemon, name):
    refused(daemon, backups.volume_archive(backups.volume_index(name)))
    refused(daemon, backups.volume_archive(backups.changed(backups.volume_index("liar"), ("config", "volume", "name"), name)))
    if name and "\n" not in name:
        assert backups.post_volume(daemon, backups.volume_archive(backups.volume_index("liar")), name=name).status == 400
    snapshots = backups.volume_index("liar", snapshots=["s0"])
    refused(daemon, backups.volume_archive(backups.changed(snapshots, ("snapshots",), [name])))
    assert not list(daemon.base.rglob("evil*"))


@pytest.mark.ours
@pytest.mark.parametrize("extra", [
    [backups.entry("../../x", content=b"x")],
    [backups.entry("/abs", content=b"x")],
    [backups.entry("backup/volume/../../../x", content=b"x")],
    [backups.entry("backup/volume/l", kind=tarfile.SYMTYPE, linkname="/"), backups.entry("backup/volume/l/evil", content=b"x")],
    [backups.entry("backup/volume/h", kind=tarfile.LNKTYPE, linkname="/etc/shadow")],
    [backups.entry("backup/volume/h", kind=tarfile.LNKTYPE, linkname="backup/index.yaml")],
    [backups.entry("backup/volume", content=b"x")],
], ids=["dotdot", "absolute", "dotdot inside", "through a link", "hard link out", "hard link to the index", "a file"])
def test_r03_entries_that_lead_elsewhere_are_refused(daemon, extra):
    refused(daemon, backups.volume_archive(backups.volume_index("liar"), extra=extra))


@pytest.mark.ours
def test_the_place_of_a_volume_cannot_be_a_link(daemon, good, canary):
    good(backups.make_tar([backups.entry("backup/index.yaml", yaml.safe_dump(backups.volume_index("liar")).encode()),
                           backups.entry("backup/volume", kind=tarfile.SYMTYPE, linkname=str(canary)),
                           backups.entry("backup/volume/evil", content=b"x")]))
    top = content(daemon, "liar")
    assert stat.S_ISDIR(top.lstat().st_mode) and os.listdir(top) == ["evil"]


@pytest.mark.ours
@pytest.mark.parametrize("broken", ["truncated", "empty", "text", "no index", "no volume", "no snapshot", "an instance",
                                    "large index", "deep index", "unknown kind", "another kind inside"])
def test_r55_broken_archives_end_with_an_error(daemon, broken):
    index = backups.volume_index("liar", snapshots=["s0"])
    good = backups.volume_archive(index)
    only = [backups.entry("backup/index.yaml", yaml.safe_dump(index).encode())]
    mixed = backups.volume_index("liar", snapshots=["s0"])
    mixed["config"]["volume_snapshots"][0]["content_type"] = "block"
    refused(daemon, {"truncated": good[:len(good) // 2], "empty": b"", "text": b"hello",
                     "no index": backups.make_tar(backups.tree_members("backup/volume", "x")),
                     "no volume": backups.make_tar(only + backups.tree_members("backup/volume-snapshots/s0", "x")),
                     "no snapshot": backups.make_tar(only + backups.tree_members("backup/volume", "x")),
                     "an instance": backups.archive(backups.index("liar")),
                     "large index": backups.volume_archive("a: b\n" + "#" * (2 << 20)),
                     "deep index": backups.volume_archive("[" * 5000),
                     "unknown kind": backups.volume_archive(backups.volume_index("liar", content_type="iso")),
                     "another kind inside": backups.volume_archive(mixed)}[broken])


@pytest.mark.ours
@pytest.mark.parametrize("blocks", [{}, {"": None}, {"s0": b"x" * 8192}], ids=["none", "a directory", "a snapshot only"])
def test_a_block_volume_without_its_image_is_refused(daemon, blocks):
    index = backups.volume_index("liar", content_type="block")
    if blocks == {"": None}:
        data = backups.make_tar([backups.entry("backup/index.yaml", yaml.safe_dump(index).encode()),
                                 backups.entry("backup/volume.img", kind=tarfile.DIRTYPE)])
    else:
        data = backups.volume_archive(index, blocks=blocks)
    refused(daemon, data)


@pytest.mark.ours
def test_r22_options_in_an_archive_are_judged(daemon, good):
    for config in ({"size": "-1"}, {"size": "x"}, {"security.shifted": "perhaps"}, {"volatile.idmap.last": "{"},
                   {"snapshots.schedule": "whenever"}):
        refused(daemon, backups.volume_archive(backups.volume_index("liar", config=config)))
    seen = good(backups.volume_archive(backups.volume_index(
        "liar", config={"no.such": "1", "volatile.uuid": "x", "volatile.idmap.last": "[]"})))
    assert seen["config"] == {"user.x": "y", "volatile.idmap.last": "[]"}


def test_a_volume_that_exists_is_not_replaced(daemon, volume):
    reply = backups.post_volume(daemon, backups.volume_archive(backups.volume_index(volume)))
    operation = daemon.api.wait(reply.operation())
    assert operation["status_code"] == 400
    check(daemon, volume)


def test_what_an_upload_is_for_must_be_there(daemon):
    data = backups.volume_archive(backups.volume_index("liar"))
    reply = backups.post_volume(daemon, data, pool="nope")
    assert reply.status == 404 and "Storage pool not found" in reply.error


@pytest.mark.ours
def test_an_instance_and_a_volume_are_not_mistaken_for_each_other(daemon):
    assert backups.post(daemon, backups.volume_archive(backups.volume_index("liar"))).status in (400, 501)


# -- a real LXD --------------------------------------------------------------------------------------------------------
@pytest.mark.ours
@pytest.mark.limit(300)
def test_volumes_go_to_a_real_lxd_and_come_from_it(daemon, peer, tmp_path):
    for source, target, compression in ((daemon, peer, "gzip"), (peer, daemon, "gzip"), (daemon, peer, "none")):
        source.lxc("storage", "volume", "create", "default", "across", "user.x=y")
        source.api.run("PATCH", CUSTOM + "/across", {"description": "told"})
        fill(source, "across")
        source.lxc("storage", "volume", "export", "default", "across", tmp_path / "v", "--compression", compression)
        source.lxc("storage", "volume", "delete", "default", "across")
        target.lxc("storage", "volume", "import", "default", tmp_path / "v", "arrived")
        check(target, "arrived")
        target.lxc("storage", "volume", "delete", "default", "arrived")
        os.unlink(tmp_path / "v")


@pytest.mark.ours
@pytest.mark.limit(300)
def test_block_volumes_go_to_a_real_lxd_and_come_from_it(daemon, peer, tmp_path):
    for source, target in ((daemon, peer), (peer, daemon)):
        source.lxc("storage", "volume", "create", "default", "across", "--type=block", "size=8MiB")
        with open(content(source, "across") / "root.img", "r+b") as file:
            file.seek(5 << 20)
            file.write(b"here")
        source.lxc("storage", "volume", "export", "default", "across", tmp_path / "v")
        source.lxc("storage", "volume", "delete", "default", "across")
        target.lxc("storage", "volume", "import", "default", tmp_path / "v", "arrived")
        with open(content(target, "arrived") / "root.img", "rb") as file:
            file.seek(5 << 20)
            assert file.read(4) == b"here"
        assert (content(target, "arrived") / "root.img").stat().st_size == 8 << 20
        target.lxc("storage", "volume", "delete", "default", "arrived")
        os.unlink(tmp_path / "v")


@pytest.mark.ours
def test_r54_an_upload_leaves_the_daemon_its_disk(daemon, tmp_path):
    """The folder that uploads go to is a filesystem that is nearly full."""
    folder = daemon.dir / "backups"
    run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "small", folder)
    try:
        (folder / "large").write_bytes(b"\0" * (23 << 20))
        data = backups.volume_archive(backups.volume_index("liar"), extra=[backups.entry("backup/volume/x", os.urandom(200 << 10))])
        for reply in (backups.post_volume(daemon, data), backups.post(daemon, data)):
            assert reply.status >= 400 and "No space left" in reply.error
        os.unlink(folder / "large")
        backups.upload_volume(daemon, data)
        daemon.api.run("DELETE", CUSTOM + "/liar")
    finally:
        run("umount", "-l", folder)


@pytest.mark.ours
def test_a_full_disk_leaves_no_part_of_a_backup(daemon, api, volume, small_disk):
    base = f"{CUSTOM}/{volume}/backups"
    folder = small_disk(daemon.dir / "backups/custom")
    (content(daemon, volume) / "large").write_bytes(os.urandom(30 << 20))
    operation = api.run("POST", base, {"name": "b1"}, ok=False)
    assert "No space left" in operation["err"]
    assert api.get(base).metadata == [] and not [p for p in folder.rglob("*") if p.is_file()]
    os.unlink(content(daemon, volume) / "large")
    api.run("POST", base, {"name": "b1"})  # no restart is needed
    run("mount", "-o", "remount,ro", folder)
    assert api.run("POST", base, {"name": "b2"}, ok=False)["status_code"] == 400
    assert api.run("DELETE", base + "/b1", ok=False)["status_code"] == 400
    assert api.get(base + "/b1/export").status == 200
    run("mount", "-o", "remount,rw", folder)
    api.run("DELETE", base + "/b1")
    assert api.get(base).metadata == []


@pytest.mark.ours
@pytest.mark.parametrize("kind", ["filesystem", "block"])
def test_a_full_pool_leaves_no_part_of_an_import(daemon, api, small_disk, tmp_path, kind):
    os.chmod(tmp_path, 0o711)
    source = small_disk(tmp_path / "pool")
    api.run("POST", POOLS, {"name": "small", "driver": "dir", "config": {"source": str(source)}})
    try:
        index = backups.volume_index("liar", content_type=kind, snapshots=["s0"])
        small, large = os.urandom(64 << 10), os.urandom(30 << 20)
        if kind == "block":
            data = backups.volume_archive(index, blocks={"s0": small, "": large})
        else:
            data = backups.volume_archive(index, extra=[backups.entry("backup/volume/large", large)])
        operation = api.wait(backups.post_volume(daemon, data, pool="small").operation())
        assert "No space left" in operation["err"]
        wait_until(lambda: os.listdir(source / "custom") == [], what="an empty pool")
        assert not [p for p in (source / "custom-snapshots").rglob("*") if p.is_file()]
        assert api.get(f"{POOLS}/small/volumes/custom").metadata == []
        fits = backups.volume_archive(backups.volume_index("fits", content_type=kind), blocks={"": small} if kind == "block" else None)
        backups.upload_volume(daemon, fits, pool="small")
        api.run("DELETE", f"{POOLS}/small/volumes/custom/fits")
    finally:
        api.run("DELETE", POOLS + "/small")
