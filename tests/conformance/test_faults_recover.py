# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of a recovery (R41, R45): what was lost is found or is still to be found."""
import shutil

import pytest

import faults
import test_faults_volumes
from daemons import run
from faults import Scenario

POOLS = "/1.0/storage-pools"


def forget(daemon, *statements):
    """Rows go; what they spoke of stays on the pools."""
    for statement in statements:
        reply = daemon.api.post("/internal/sql", {"database": "global", "query": statement})
        assert reply.status == 200, reply.body
    daemon.restart()


def lost_instance(daemon):
    daemon.api.run("POST", "/1.0/instances", {"name": "f1", "source": {"type": "image", "alias": "bb"}})
    daemon.api.run("POST", "/1.0/instances/f1/snapshots", {"name": "s0"})
    forget(daemon, "DELETE FROM instances WHERE name = 'f1'", "DELETE FROM storage_volumes WHERE name = 'f1'")
    (daemon.dir / "containers/f1").unlink(missing_ok=True)


def lost_volume(daemon):
    test_faults_volumes.with_snapshots("v1", "s1")(daemon)
    forget(daemon, "DELETE FROM storage_volumes WHERE name = 'v1'")


def lost_pool(daemon):
    source, mount = daemon.base / "lost-pool", daemon.dir / "storage-pools/second"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    daemon.api.run("POST", POOLS, {"name": "second", "driver": "dir", "config": {"source": str(source)}})
    forget(daemon, "DELETE FROM storage_pools WHERE name = 'second'")
    run("umount", "-l", mount)
    mount.rmdir()


def recover(*names):
    def action(daemon):
        pools = [{"name": "default", "driver": "dir", "config": {}}]
        if "second" in names:
            pools.append({"name": "second", "driver": "dir", "config": {"source": str(daemon.base / "lost-pool")}})
        reply = daemon.api.post("/internal/recover/import", {"Pools": pools})
        assert reply.status == 200, reply.body
    return action


def clean(daemon):
    """What is still lost is found first, so that it can be removed."""
    daemon.api.post("/internal/recover/import", {"Pools": [{"name": "default", "driver": "dir", "config": {}}]})
    daemon.api.run("DELETE", "/1.0/instances/f1", ok=False)
    test_faults_volumes.clean(daemon)


SCENARIOS = [
    Scenario("recover-instance:* recover-volume:*", name="instance", before=lost_instance, action=recover(), clean=clean),
    Scenario("recover-volume:*", before=lost_volume, action=recover(), clean=clean),
    Scenario("recover-pool:*", before=lost_pool, action=recover("second"), clean=clean),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)
