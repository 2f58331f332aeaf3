# SPDX-License-Identifier: Apache-2.0
"""R58 with everything that a life of an instance can have, on btrfs: many lives leave no more than one."""
import os

import pytest

from daemons import run, wait_until

pytestmark = pytest.mark.ours


@pytest.fixture
def pool(daemon, api, name):
    pool = "soak" + name
    api.run("POST", "/1.0/storage-pools", {"name": pool, "driver": "btrfs", "config": {"size": "2GiB"}})
    yield pool
    api.run("DELETE", f"/1.0/storage-pools/{pool}")


def counts(daemon, pool):
    pid = daemon.pid
    children = run("ps", "--ppid", str(pid), "-o", "stat=", check=False).stdout.split()
    where = daemon.dir / "storage-pools" / pool
    return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")), "children": len(children),
            "zombies": sum(s.startswith("Z") for s in children), "mounts": len(daemon.mounts()), "processes": len(daemon.processes()),
            "loops": sum(str(daemon.base) in line for line in run("losetup", "-a").stdout.splitlines()),
            "subvolumes": len(run("btrfs", "subvolume", "list", where).stdout.splitlines()),
            "links": len(os.listdir(daemon.dir / "containers")) + len(os.listdir(daemon.dir / "snapshots")),
            "backups": sum(len(files) for _, _, files in os.walk(daemon.dir / "backups")),
            "logs": len(os.listdir(daemon.dir / "logs")), "devices": len(os.listdir(daemon.dir / "devices")),
            "images": len(os.listdir(daemon.dir / "images")), "rules": run("nft", "list", "ruleset").stdout.count(daemon.bridge),
            "interfaces": run("ip", "-o", "link").stdout.count(daemon.bridge),
            "cgroups": sum("soakct" in d for _, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs)}


def rows(daemon):
    tables = ("instances", "instances_snapshots", "instances_backups", "storage_volumes", "storage_volumes_snapshots", "images")
    return {t: daemon.admin("sql", "global", f"SELECT count(*) FROM {t}").stdout for t in tables}


@pytest.mark.limit(900)
def test_r58_full_lives_leave_no_more_than_one(daemon, api, pool):
    def life(number):
        one = f"soakct{number}"
        path, copy = f"/1.0/instances/{one}", f"/1.0/instances/{one}-c"
        api.run("POST", "/1.0/instances", {"name": one, "source": {"type": "image", "alias": "bb"},
                                           "devices": {"root": {"type": "disk", "path": "/", "pool": pool}}})
        api.run("PUT", path + "/state", {"action": "start"})
        api.exec(one, ["sh", "-c", "echo one > /root/f"])
        api.run("POST", path + "/snapshots", {"name": "s0"})
        api.put(path + "/files?path=/root/f", data=b"two")
        api.run("PUT", path, {"restore": "s0"})
        assert api.exec(one, ["cat", "/root/f"])[1] == "one\n"
        api.run("POST", "/1.0/instances", {"name": one + "-c", "source": {"type": "copy", "source": one}})
        api.run("POST", copy + "/backups", {"name": "b0", "compression_algorithm": "none"})
        api.run("DELETE", copy)
        api.run("PUT", path + "/state", {"action": "stop", "force": True})
        image = api.run("POST", "/1.0/images", {"source": {"type": "instance", "name": one}, "compression_algorithm": "none"})
        api.run("DELETE", "/1.0/images/" + image["metadata"]["fingerprint"])
        api.run("DELETE", path)

    for i in range(3):
        life(i)
    daemon.images_at_rest()
    before, kept = counts(daemon, pool), rows(daemon)
    for i in range(int(os.environ.get("LXDCORE_TEST_FULL_LIVES", "20"))):
        life(i)
    allowed = {**before, "fds": before["fds"] + 6, "threads": before["threads"] + 4}
    wait_until(lambda: all(value <= allowed[key] for key, value in counts(daemon, pool).items()), timeout=30,
               what=f"{before} against {counts(daemon, pool)}")
    assert rows(daemon) == kept
