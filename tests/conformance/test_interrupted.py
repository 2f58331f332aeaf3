# SPDX-License-Identifier: Apache-2.0
"""Long work on instances: it says how far it is, cannot be cancelled (as in LXD), and when the daemon is told to end in
the middle of it, the next one has what was there before and nothing else."""
import json
import os
import threading
import time

import pytest

from daemons import run, wait_until

MEGABYTE = 1 << 20
pytestmark = pytest.mark.ours


@pytest.fixture
def large(own_daemon):
    """A container that takes a while to copy and to pack."""
    own_daemon.api.run("POST", "/1.0/instances", {"name": "large", "source": {"type": "image", "alias": "bb"}})
    folder = own_daemon.dir / "storage-pools/default/containers/large/rootfs/root"
    for i in range(3):
        (folder / f"f{i}").write_bytes(os.urandom(20 * MEGABYTE))
    for i in range(1000):
        (folder / f"small{i}").write_bytes(b"x" * 100)
    own_daemon.api.run("POST", "/1.0/instances/large/snapshots", {"name": "s0"})
    own_daemon.images_at_rest()
    return own_daemon


def state_of(daemon):
    """What there is, of files and of rows."""
    api = daemon.api
    files = sorted(str(p.relative_to(daemon.dir)) for folder in ("images", "backups", "containers", "snapshots") for p in (daemon.dir / folder).rglob("*"))
    pool = daemon.dir / "storage-pools/default"
    volumes = sorted(str(p.relative_to(pool)) for part in ("containers", "containers-snapshots") for p in (pool / part).glob("*"))
    rows = {t: daemon.admin("sql", "global", f"SELECT name FROM {t} ORDER BY name").stdout
            for t in ("instances", "instances_snapshots", "instances_backups", "storage_volumes", "storage_volumes_snapshots")}
    listed = [sorted(api.get(path).metadata) for path in ("/1.0/instances", "/1.0/images", "/1.0/instances/large/snapshots", "/1.0/instances/large/backups")]
    return files, volumes, rows, listed


def requests(which, daemon, slow="xz"):
    if which == "import":
        daemon.api.run("POST", "/1.0/instances/large/backups", {"name": "b", "compression_algorithm": "none"})
        data = daemon.api.get("/1.0/instances/large/backups/b/export").body
        daemon.api.run("DELETE", "/1.0/instances/large/backups/b")
        return lambda: daemon.api.post("/1.0/instances", data=data, headers={"Content-Type": "application/octet-stream", "X-LXD-name": "second"})
    if which == "create":
        image = daemon.api.run("POST", "/1.0/images", {"source": {"type": "instance", "name": "large"}, "compression_algorithm": "none"})
        daemon.images_at_rest()
        daemon.api.run("POST", "/1.0/storage-pools", {"name": "fresh", "driver": "dir"})
        return lambda: daemon.api.post("/1.0/instances", {"name": "second", "source": {"type": "image", "fingerprint": image["metadata"]["fingerprint"]},
                                                          "devices": {"root": {"type": "disk", "path": "/", "pool": "fresh"}}})
    path, body = {
        "copy": ("/1.0/instances", {"name": "second", "source": {"type": "copy", "source": "large"}}),
        "snapshot": ("/1.0/instances/large/snapshots", {"name": "s1"}),
        "publish": ("/1.0/images", {"source": {"type": "instance", "name": "large"}, "compression_algorithm": slow}),
        "publish-squashfs": ("/1.0/images", {"source": {"type": "instance", "name": "large"}, "compression_algorithm": "squashfs"}),
        "backup": ("/1.0/instances/large/backups", {"name": "b0", "compression_algorithm": slow}),
    }[which]
    return lambda: daemon.api.post(path, body)


@pytest.mark.limit(300)
@pytest.mark.parametrize("which", ["create", "copy", "snapshot", "publish", "publish-squashfs", "backup", "import"])
def test_r41_long_work_that_is_interrupted_leaves_nothing(large, which):
    begin = requests(which, large)
    before = state_of(large)
    reply = begin()
    time.sleep(0.15)
    cancel = large.api.delete(reply.operation())
    assert cancel.status in (400, 404) and (cancel.status == 404 or "cancel" in cancel.error), cancel.body
    large.signal(15)
    large.start()
    if any("second" in str(part) or "s1" in str(part) or "b0" in str(part) for part in state_of(large)) or state_of(large)[3][1] != before[3][1]:
        pytest.skip("it had ended before the signal came")
    wait_until(lambda: state_of(large) == before, what=f"{before} against {state_of(large)}")


KEYS = {"publish": "create_image_from_container_pack", "create": "create_instance_from_image_unpack", "backup": "create_backup"}


@pytest.mark.limit(300)
@pytest.mark.parametrize("which", KEYS)
def test_progress_is_that_of_lxd(large, which):
    begin, heard = requests(which, large, "gzip"), []
    socket = large.api.websocket("/1.0/events?type=operation", timeout=120)

    def listen():
        while True:
            event = json.loads(socket.recv())["metadata"]
            heard.append(event)
            if event["class"] == "task" and event["status_code"] >= 200:
                return

    listener = threading.Thread(target=listen)
    listener.start()
    assert large.api.wait(begin().operation(), 200)["status"] == "Success"
    listener.join(30)
    said = [e["metadata"] for e in heard if e["metadata"] and KEYS[which] + "_progress" in e["metadata"]]
    assert said and all(isinstance(m[KEYS[which] + "_progress"], str) for m in said)
    if which != "backup":
        words = "Image pack" if which == "publish" else "Unpack"
        assert said[-1][KEYS[which] + "_progress"].startswith(f"{words}: 100% (")
        for metadata in said:
            numbers = metadata["progress"]
            assert numbers["stage"] == KEYS[which] and all(isinstance(v, str) for v in numbers.values())
            assert 0 < int(numbers["percent"]) <= 100 and int(numbers["speed"]) > 0
    socket.close()


@pytest.mark.limit(240)
@pytest.mark.parametrize("compression", ["none", "gzip", "squashfs"])
def test_r46_a_disk_that_takes_no_more_leaves_no_part_of_an_image(own_daemon, compression):
    """Images on a small filesystem of their own: full, then read-only."""
    daemon, images = own_daemon, own_daemon.dir / "images"
    daemon.api.run("POST", "/1.0/instances", {"name": "c1", "source": {"type": "image", "alias": "bb"}})
    daemon.images_at_rest()
    large = daemon.dir / "storage-pools/default/containers/c1/rootfs/root/large"
    large.write_bytes(os.urandom(40 * MEGABYTE))
    body = {"source": {"type": "instance", "name": "c1"}, "compression_algorithm": compression}

    def refused():
        before = daemon.api.get("/1.0/images").metadata
        ended = daemon.api.run("POST", "/1.0/images", body, ok=False, timeout=120)
        assert ended["status"] == "Failure" and ended["err"], ended
        assert daemon.api.get("/1.0/images").metadata == before
        return ended["err"]

    daemon.signal(15)
    run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "small", images)
    try:
        daemon.start()
        problem = refused()
        assert "space" in problem
        assert os.listdir(images) == []
        large.unlink()
        made = daemon.api.run("POST", "/1.0/images", body, timeout=120)["metadata"]["fingerprint"]
        assert os.listdir(images) == [made]
        daemon.images_at_rest()
        wait_until(lambda: run("mount", "-o", "remount,ro", images, check=False).returncode == 0, what="read-only")
        refused()
        assert os.listdir(images) == [made]
        daemon.restart()  # it comes up and says so
        assert "read-only filesystem" in daemon.log_tail() and daemon.api.get("/1.0/images/" + made).status == 200
        daemon.api.run("POST", "/1.0/instances", {"name": "c2", "source": {"type": "image", "fingerprint": made}})
        daemon.api.run("DELETE", "/1.0/instances/c2")
        daemon.images_at_rest()
        run("mount", "-o", "remount,rw", images)
        daemon.restart()
        assert os.listdir(images) == [made] and daemon.api.get("/1.0/images/" + made).status == 200
        daemon.api.run("DELETE", "/1.0/images/" + made)
        assert os.listdir(images) == []
    finally:
        if daemon.process.poll() is None:
            daemon.signal(15)
        run("umount", images)
        daemon.start()
