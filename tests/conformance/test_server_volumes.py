# SPDX-License-Identifier: Apache-2.0
"""Images and backups on custom volumes, as storage.images_volume and storage.backups_volume ask."""
import os

import pytest

from daemons import run

KEY = "storage.images_volume"
V = "/1.0/storage-pools/default/volumes/custom"


def refused(result):
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[0]


def test_images_move_to_a_volume_and_back_and_survive_restarts(own_daemon):
    daemon, api = own_daemon, own_daemon.api
    fingerprint = api.get("/1.0/images").metadata[0].rsplit("/", 1)[1]
    content = (daemon.dir / "images" / fingerprint).read_bytes()
    for name in ("one", "two"):
        daemon.lxc("storage", "volume", "create", "default", name)
    daemon.lxc("config", "set", KEY, "default/one")
    folder = daemon.dir / "storage-pools/default/custom/default_one"
    assert os.readlink(daemon.dir / "images") == str(folder)
    assert (folder / fingerprint).read_bytes() == content and folder.stat().st_mode & 0o777 == 0o700
    assert api.get(V + "/one").metadata["used_by"] == ["/1.0"]
    assert "still in use" in refused(daemon.lxc("storage", "volume", "delete", "default", "one", check=False))
    assert "used by LXD itself" in refused(daemon.lxc("storage", "volume", "rename", "default", "one", "x", check=False))
    assert "used by LXD itself" in refused(daemon.lxc("storage", "volume", "snapshot", "default", "one", check=False))
    daemon.signal(15)
    daemon.start()
    assert daemon.lxc("config", "get", KEY).stdout.strip() == "default/one"
    daemon.lxc("init", "bb", "c1")
    daemon.lxc("publish", "c1", "--alias", "made")
    assert len([name for name in os.listdir(folder) if len(name) == 64]) == 2
    daemon.lxc("image", "export", "bb", str(daemon.base / "exported"))
    daemon.lxc("image", "delete", "made")
    daemon.lxc("config", "set", KEY, "default/two")
    assert os.listdir(folder) == []
    daemon.lxc("storage", "volume", "delete", "default", "one")
    daemon.lxc("config", "unset", KEY)
    assert not os.path.islink(daemon.dir / "images")
    assert (daemon.dir / "images" / fingerprint).read_bytes() == content
    daemon.lxc("storage", "volume", "delete", "default", "two")
    daemon.lxc("delete", "c1")


def test_backups_move_to_a_volume_and_back_and_survive_restarts(own_daemon):
    daemon, api, key = own_daemon, own_daemon.api, "storage.backups_volume"
    daemon.lxc("init", "bb", "c2")
    daemon.lxc("storage", "volume", "create", "default", "kept")
    daemon.lxc("storage", "volume", "create", "default", "data")
    of_c2, of_data = "/1.0/instances/c2/backups", V + "/data/backups"
    api.run("POST", of_c2, {"name": "before"})
    archive = api.get(of_c2 + "/before/export").body
    daemon.lxc("config", "set", key, "default/kept")
    folder = daemon.dir / "storage-pools/default/custom/default_kept"
    assert os.readlink(daemon.dir / "backups") == str(folder)
    assert (folder / "instances/c2/before").read_bytes() == archive
    assert "still in use" in refused(daemon.lxc("storage", "volume", "delete", "default", "kept", check=False))
    api.run("POST", of_c2, {"name": "after"})
    api.run("POST", of_data, {"name": "b"})
    daemon.signal(15)
    daemon.start()
    assert api.get(of_c2 + "/before/export").body == archive
    assert os.listdir(folder / "instances/c2") and (folder / "custom").is_dir()
    api.run("POST", "/1.0/instances/c2", {"name": "c3"})
    assert sorted(os.listdir(folder / "instances/c3")) == ["after", "before"]
    daemon.lxc("config", "unset", key)
    assert not os.path.islink(daemon.dir / "backups") and os.listdir(folder) == []
    assert api.get("/1.0/instances/c3/backups/before/export").body == archive
    assert api.get(of_data + "/b/export").status == 200
    daemon.lxc("delete", "c3")
    assert os.listdir(daemon.dir / "backups/instances") == []
    for name in ("data", "kept"):
        daemon.lxc("storage", "volume", "delete", "default", name)


@pytest.mark.ours
def test_r46_a_volume_that_is_too_small_keeps_the_images_where_they_are(own_daemon, tmp_path):
    daemon, api = own_daemon, own_daemon.api
    image = tmp_path / "small"
    image.write_bytes(b"")
    os.truncate(image, 10 << 20)
    run("mkfs.ext4", "-q", str(image))
    mount = tmp_path / "mnt"
    mount.mkdir()
    run("mount", "-o", "loop", str(image), str(mount))
    try:
        (mount / "lost+found").rmdir()
        api.run("POST", "/1.0/storage-pools", {"name": "small", "driver": "dir", "config": {"source": str(mount)}})
        daemon.lxc("storage", "volume", "create", "small", "v")
        folder = mount / "custom/default_v"
        (mount / "filler").write_bytes(b"")
        with open(mount / "filler", "wb") as filler:
            try:
                while True:
                    filler.write(os.urandom(1 << 16))
                    filler.flush()
            except OSError:
                pass
        before = daemon.lxc("image", "list", "-f", "csv").stdout
        names = sorted(os.listdir(daemon.dir / "images"))
        assert "No space left" in refused(daemon.lxc("config", "set", KEY, "small/v", check=False))
        assert sorted(os.listdir(daemon.dir / "images")) == names and os.listdir(folder) == []
        assert folder.stat().st_mode & 0o777 == 0o711
        assert daemon.lxc("config", "get", KEY).stdout.strip() == ""
        run("mount", "-o", "remount,ro", str(mount))
        assert "Read-only" in refused(daemon.lxc("config", "set", KEY, "small/v", check=False))
        run("mount", "-o", "remount,rw", str(mount))
        assert daemon.lxc("image", "list", "-f", "csv").stdout == before
        (mount / "filler").unlink()
        daemon.lxc("config", "set", KEY, "small/v")
        daemon.lxc("config", "unset", KEY)
        daemon.lxc("storage", "volume", "delete", "small", "v")
    finally:
        api.run("DELETE", "/1.0/storage-pools/small", ok=False)
        run("umount", str(mount), check=False)


@pytest.mark.ours
def test_r48_images_are_away_with_their_pool_and_come_back(own_daemon, tmp_path):
    daemon, api = own_daemon, own_daemon.api
    source = tmp_path / "pool"
    source.mkdir()
    api.run("POST", "/1.0/storage-pools", {"name": "far", "driver": "dir", "config": {"source": str(source)}})
    daemon.lxc("storage", "volume", "create", "far", "v")
    daemon.lxc("config", "set", KEY, "far/v")
    daemon.signal(15)
    run("umount", str(daemon.dir / "storage-pools/far"), check=False)
    source.rename(tmp_path / "gone")
    daemon.start()
    assert "unavailable" in refused(daemon.lxc("image", "export", "bb", str(tmp_path / "x"), check=False)).lower()
    assert "bb" in daemon.lxc("image", "list", "-f", "csv").stdout
    (tmp_path / "gone").rename(source)
    daemon.lxc("image", "export", "bb", str(tmp_path / "x"))
    daemon.lxc("config", "unset", KEY)
    daemon.lxc("storage", "volume", "delete", "far", "v")
    api.run("DELETE", "/1.0/storage-pools/far")
