# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of what is done to custom volumes (R41, R42)."""
import pytest

import faults
from faults import Scenario

POOLS = "/1.0/storage-pools"
V = POOLS + "/default/volumes/custom"


def url(name, pool="default"):
    return f"{POOLS}/{pool}/volumes/custom/{name}"


def fill(daemon, name, text="content", pool="default"):
    folder = daemon.dir / "storage-pools" / pool / "custom" / f"default_{name}"
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "sub/file").write_text(text)
    (folder / text).write_text("")


def make(name, **fields):
    def action(daemon):
        daemon.api.run("POST", V, {"name": name, **fields})
    return action


def with_snapshots(name, *snapshots):
    """Each snapshot has other files than the volume now."""
    def action(daemon):
        make(name, config={"user.a": "b"})(daemon)
        for snapshot in snapshots:
            fill(daemon, name, snapshot)
            daemon.api.run("POST", url(name) + "/snapshots", {"name": snapshot})
        fill(daemon, name, "now")
    return action


def copy(name, source, **fields):
    return make(name, source={"type": "copy", "pool": "default", "name": source, **fields})


def both(*actions):
    def action(daemon):
        for one in actions:
            one(daemon)
    return action


def second_pool(daemon):
    if daemon.api.get(POOLS + "/second").status != 200:
        daemon.api.run("POST", POOLS, {"name": "second", "driver": "dir"})


def call(method, path, body=None):
    return lambda daemon: daemon.api.run(method, path, body)


def clean(daemon):
    for pool in ("default", "second"):
        if daemon.api.get(f"{POOLS}/{pool}").status != 200:
            continue
        for volume in daemon.api.get(f"{POOLS}/{pool}/volumes/custom?recursion=1").metadata:
            if "/" not in volume["name"]:
                daemon.api.run("DELETE", url(volume["name"], pool), ok=False)
    daemon.api.run("DELETE", POOLS + "/second", ok=False)
    swept(daemon)


def swept(daemon):
    """Empty directories of snapshots go with a restart."""
    if any((daemon.dir / "storage-pools").glob("*/custom-snapshots/*")):
        daemon.restart()


def scenario(points, **fields):
    return Scenario(points, clean=clean, **fields)


def images_on(*volumes):
    """On each of them, one after the other; the daemon keeps them."""
    def action(daemon):
        for volume in volumes:
            daemon.api.run("PATCH", "/1.0", {"config": {"storage.images_volume": volume}})
    return action


def clean_images(daemon):
    images_on("")(daemon)
    clean(daemon)


SNAPS = url("v1") + "/snapshots"
SCENARIOS = [
    scenario("volume-create:*", action=make("v1", description="d", config={"user.x": "y"})),
    scenario("volume-create:*", name="block", action=make("v1", content_type="block", config={"size": "5MiB"})),
    scenario("volume-create:* volume-copy:*", name="copy", before=with_snapshots("v1", "s1", "s2"), action=copy("v2", "v1")),
    scenario("volume-copy:*", name="second", times=(2,), before=with_snapshots("v1", "s1", "s2"), action=copy("v2", "v1")),
    scenario("volume-rename:*", before=with_snapshots("v1", "s1"), action=call("POST", url("v1"), {"name": "v2"})),
    scenario("volume-delete:*", before=with_snapshots("v1", "s1", "s2"),
             action=both(call("DELETE", url("v1")), swept)),
    scenario("volume-resize:*", before=make("v1", content_type="block", config={"size": "1MiB"}),
             action=call("PUT", url("v1"), {"config": {"size": "4MiB"}})),
    scenario("volume-restore:*", before=with_snapshots("v1", "s1", "s2"), action=call("PUT", url("v1"), {"restore": "s1"})),
    scenario("volume-move:*", before=both(second_pool, with_snapshots("v1", "s1")),
             action=both(call("POST", url("v1"), {"name": "v2", "pool": "second"}), swept)),
    scenario("volume-refresh:*", before=both(with_snapshots("v1", "s1", "s2"), with_snapshots("v2", "s2", "s3")),
             action=copy("v2", "v1", refresh=True)),
    scenario("volume-snapshot:*", before=with_snapshots("v1", "s1"), action=call("POST", SNAPS, {"name": "s2"})),
    scenario("volume-snapshot-rename:*", before=with_snapshots("v1", "s1"), action=call("POST", SNAPS + "/s1", {"name": "s2"})),
    scenario("volume-snapshot-delete:*", before=with_snapshots("v1", "s1", "s2"), action=call("DELETE", SNAPS + "/s1")),
    Scenario("server-folder:*", name="there", before=make("v1"), action=images_on("default/v1"), clean=clean_images),
    Scenario("server-folder:*", name="over", before=both(make("v1"), make("v2"), images_on("default/v1")),
             action=images_on("default/v2"), clean=clean_images),
    Scenario("server-folder:*", name="back", before=both(make("v1"), images_on("default/v1")), action=images_on(""),
             clean=clean_images),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)
