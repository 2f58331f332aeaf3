# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of backups and of what is made of them (R41, R42, R43)."""
import pytest

import backups
import faults
from daemons import run
from faults import Scenario

IMAGE = {"type": "image", "alias": "bb"}


def make_instance(daemon):
    daemon.api.run("POST", "/1.0/instances", {"name": "f1", "source": IMAGE})


def make_backup(daemon):
    daemon.api.run("POST", "/1.0/instances/f1/backups", {"name": "b1", "compression_algorithm": "none"})


def with_backup(daemon):
    make_instance(daemon)
    make_backup(daemon)


def import_backup(daemon):
    backups.upload(daemon, backups.archive(backups.index("f2")))


def import_with_snapshot(daemon):
    backups.upload(daemon, backups.archive(backups.index("f2", snapshots=["s0", "s1"])))


V = "/1.0/storage-pools/default/volumes/custom"


def make_volume(daemon):
    daemon.api.run("POST", V, {"name": "v1"})
    (daemon.dir / "storage-pools/default/custom/default_v1/file").write_text("content")
    daemon.api.run("POST", V + "/v1/snapshots", {"name": "s0"})


def back_volume_up(daemon):
    daemon.api.run("POST", V + "/v1/backups", {"name": "b1", "compression_algorithm": "none"})


def volume_with_backup(daemon):
    make_volume(daemon)
    back_volume_up(daemon)


def import_volume(daemon):
    backups.upload_volume(daemon, backups.volume_archive(backups.volume_index("v2", snapshots=["s0", "s1"])))


def call(method, path, body=None):
    return lambda daemon: daemon.api.run(method, path, body)


def remove_volumes(daemon):
    for name in ("v1", "v2"):
        daemon.api.run("DELETE", f"{V}/{name}", ok=False)
    tidy(daemon)


def tidy(daemon):
    """The folder of the last one's snapshots stays until a restart."""
    pool = daemon.dir / "storage-pools/default"
    for folder in (*(pool / "containers-snapshots").iterdir(), *(pool / "custom-snapshots").iterdir()):
        if not list(folder.iterdir()):
            folder.rmdir()


def of_volumes(points, **fields):
    return Scenario(points, clean=remove_volumes, **{"name": "volume", **fields})


# -- streams of btrfs: an instance with a snapshot, and a subvolume inside of both -------------------------------------
STREAMS = []


def stream_pool(daemon):
    daemon.api.run("POST", "/1.0/storage-pools", {"name": "streams", "driver": "btrfs", "config": {"size": "256MiB"}})
    if not STREAMS:
        disk = {"root": {"type": "disk", "path": "/", "pool": "streams"}}
        daemon.api.run("POST", "/1.0/instances", {"name": "f1", "source": IMAGE, "devices": disk})
        run("btrfs", "subvolume", "create", daemon.dir / "storage-pools/streams/containers/f1/rootfs/root/sub")
        daemon.api.run("POST", "/1.0/instances/f1/snapshots", {"name": "s0"})
        daemon.api.run("POST", "/1.0/instances/f1/backups", {"name": "b1", "optimized_storage": True})
        STREAMS.append(daemon.api.get("/1.0/instances/f1/backups/b1/export").body)
        daemon.api.run("DELETE", "/1.0/instances/f1")
        daemon.api.run("DELETE", "/1.0/storage-pools/streams")
        stream_pool(daemon)


def import_streams(daemon):
    backups.upload(daemon, STREAMS[0], name="f2", pool="streams")


def remove_streams(daemon):
    daemon.api.run("DELETE", "/1.0/instances/f2", ok=False)
    daemon.api.run("DELETE", "/1.0/storage-pools/streams", ok=False)


SCENARIOS = [
    Scenario("import:part", times=(1, 2, 3, 4), before=stream_pool, action=import_streams, clean=remove_streams),
    Scenario("import:staged import:volume", name="streams", before=stream_pool, action=import_streams, clean=remove_streams),
    Scenario("backup-create:*", before=make_instance, action=make_backup),
    Scenario("backup-rename:*", before=with_backup,
             action=lambda daemon: daemon.api.run("POST", "/1.0/instances/f1/backups/b1", {"name": "b2"})),
    Scenario("backup-delete:*", before=with_backup,
             action=lambda daemon: daemon.api.run("DELETE", "/1.0/instances/f1/backups/b1")),
    Scenario("instance-rename:*", before=with_backup, name="with-backup",
             action=lambda daemon: daemon.api.run("POST", "/1.0/instances/f1", {"name": "f2"})),
    Scenario("import:staged import:volume", action=import_backup),
    Scenario("import:staged", name="snapshots", before=tidy, action=import_with_snapshot),
    Scenario("import:snapshot", times=(1, 2), before=tidy, action=import_with_snapshot),
    of_volumes("backup-create:*", before=make_volume, action=back_volume_up),
    of_volumes("backup-rename:*", before=volume_with_backup, action=call("POST", V + "/v1/backups/b1", {"name": "b2"})),
    of_volumes("backup-delete:*", before=volume_with_backup, action=call("DELETE", V + "/v1/backups/b1")),
    of_volumes("volume-rename:*", name="with-backup", before=volume_with_backup, action=call("POST", V + "/v1", {"name": "v2"})),
    of_volumes("volume-delete:*", name="with-backup", before=volume_with_backup, action=call("DELETE", V + "/v1")),
    of_volumes("volume-create:* volume-import:*", name="import", before=tidy, action=import_volume),
    of_volumes("volume-import:snapshot", name="later", times=(2,), before=tidy, action=import_volume),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)
