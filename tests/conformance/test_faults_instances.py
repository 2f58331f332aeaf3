# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of what is done to instances and their snapshots (R41, R42, R46)."""
import pytest

import faults
from faults import Scenario

IMAGE = {"type": "image", "alias": "bb"}
INSTANCES = "/1.0/instances"


def steps(*actions):
    def all_of_them(daemon):
        for action in actions:
            action(daemon)
    return all_of_them


def call(method, path, body=None):
    return lambda daemon: daemon.api.run(method, path, body)


def make(name, **fields):
    return call("POST", INSTANCES, {"name": name, "source": IMAGE, **fields})


def copy(source, name, **fields):
    return call("POST", INSTANCES, {"name": name, "profiles": ["default"], "source": {"type": "copy", "source": source, **fields}})


def snapshot(instance, name):
    return call("POST", f"{INSTANCES}/{instance}/snapshots", {"name": name})


def state(instance, action):
    return call("PUT", f"{INSTANCES}/{instance}/state", {"action": action, "force": True})


def write(instance, name):
    def file(daemon):
        (daemon.dir / f"storage-pools/default/containers/{instance}/rootfs/root" / name).write_text("written\n")
    return file


def set_config(instance, key, value):
    return call("PATCH", f"{INSTANCES}/{instance}", {"config": {key: value}})


def second_pool(daemon):
    if daemon.api.get("/1.0/storage-pools/faults2").status != 200:
        daemon.api.run("POST", "/1.0/storage-pools", {"name": "faults2", "driver": "dir"})


def root_on(pool):
    return {"devices": {"root": {"type": "disk", "path": "/", "pool": pool}}}


def streaming_pools(daemon):
    """Two of a driver that sends streams, where there is one."""
    offered = [d["Name"] for d in daemon.api.get("/1.0").metadata["environment"]["storage_supported_drivers"]]
    pool = {"driver": "btrfs", "config": {"size": "300MiB"}} if "btrfs" in offered else {"driver": "dir"}
    for name in ("stream1", "stream2"):
        if daemon.api.get(f"/1.0/storage-pools/{name}").status != 200:
            daemon.api.run("POST", "/1.0/storage-pools", {"name": name, **pool})


CHANGED = steps(make("f1"), set_config("f1", "user.x", "1"), snapshot("f1", "s0"), write("f1", "later"),
                set_config("f1", "user.x", "2"))
COPIED = steps(make("f1"), snapshot("f1", "s0"), copy("f1", "f2"), call("DELETE", f"{INSTANCES}/f1/snapshots/s0"),
               write("f1", "new"), snapshot("f1", "s1"), snapshot("f2", "own"))

SCENARIOS = [
    Scenario("instance-create:*", action=make("f1")),
    Scenario("instance-rename:*", before=steps(make("f1"), snapshot("f1", "s0")),
             action=call("POST", f"{INSTANCES}/f1", {"name": "f2"})),
    Scenario("instance-delete:*", before=steps(make("f1"), snapshot("f1", "s0")), action=call("DELETE", f"{INSTANCES}/f1")),
    Scenario("snapshot-create:*", before=make("f1"), action=snapshot("f1", "s0")),
    Scenario("snapshot-rename:*", before=steps(make("f1"), snapshot("f1", "s0")),
             action=call("POST", f"{INSTANCES}/f1/snapshots/s0", {"name": "s1"})),
    Scenario("snapshot-delete:*", before=steps(make("f1"), snapshot("f1", "s0")),
             action=call("DELETE", f"{INSTANCES}/f1/snapshots/s0")),
    Scenario("instance-restore:*", before=CHANGED, action=call("PUT", f"{INSTANCES}/f1", {"restore": "s0"})),
    Scenario("instance-copy:*", before=CHANGED, action=copy("f1", "f2")),
    Scenario("instance-copy:snapshot", before=steps(streaming_pools, make("f1", **root_on("stream1")), 
                                                    snapshot("f1", "s0"), snapshot("f1", "s1")),
             action=call("POST", INSTANCES, {"name": "f2", **root_on("stream2"), "source": {"type": "copy", "source": "f1"}}),
             times=(1, 2), name="streams"),
    Scenario("instance-create:*", before=CHANGED, action=copy("f1", "f2"), name="copy"),
    Scenario("instance-refresh:*", before=COPIED, action=copy("f1", "f2", refresh=True)),
    Scenario("instance-move:* instance-volume-move:*", before=steps(second_pool, make("f1"), snapshot("f1", "s0")),
             action=call("POST", f"{INSTANCES}/f1", {"name": "f1", "pool": "faults2", "migration": True})),
    Scenario("instance-publish:* image-import:*", before=make("f1"), repeat=False,
             action=call("POST", "/1.0/images", {"source": {"type": "instance", "name": "f1"}, "compression_algorithm": "none"})),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)


@pytest.mark.ours
def test_a_container_does_not_stand_still_for_ever(fault_daemon):
    """Killed while a running container was frozen for its snapshot."""
    daemon = fault_daemon
    steps(make("f1"), state("f1", "start"))(daemon)
    try:
        faults.die_at(daemon, "snapshot-create:frozen", snapshot("f1", "s0"))
        assert daemon.api.get(f"{INSTANCES}/f1/state").metadata["status"] == "Running"
        assert daemon.api.exec("f1", ["echo", "alive"])[1] == "alive\n"
        assert daemon.api.get(f"{INSTANCES}/f1/snapshots").metadata == []
    finally:
        faults.clean_all(daemon)
