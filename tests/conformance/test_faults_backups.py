# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of backups and of what is made of them (R41, R42, R43)."""
import pytest

import backups
import faults
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
    backups.upload(daemon, backups.archive(backups.index("f2", snapshots=["s0"])))


def tidy(daemon):
    """The folder of the last one's snapshots stays until a restart."""
    for folder in (daemon.dir / "storage-pools/default/containers-snapshots").iterdir():
        if not list(folder.iterdir()):
            folder.rmdir()


SCENARIOS = [
    Scenario("backup-create:*", before=make_instance, action=make_backup),
    Scenario("backup-rename:*", before=with_backup,
             action=lambda daemon: daemon.api.run("POST", "/1.0/instances/f1/backups/b1", {"name": "b2"})),
    Scenario("backup-delete:*", before=with_backup,
             action=lambda daemon: daemon.api.run("DELETE", "/1.0/instances/f1/backups/b1")),
    Scenario("instance-rename:*", before=with_backup, name="with-backup",
             action=lambda daemon: daemon.api.run("POST", "/1.0/instances/f1", {"name": "f2"})),
    Scenario("import:volume", action=import_backup),
    Scenario("import:snapshot", before=tidy, action=import_with_snapshot),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)
