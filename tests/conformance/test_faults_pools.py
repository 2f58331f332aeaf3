# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of what is done to storage pools (R41, R42): no file, mount or loop device is left."""
import subprocess

import pytest

import faults
from faults import Scenario


def make(driver, **config):
    def action(daemon):
        daemon.api.run("POST", "/1.0/storage-pools", {"name": "fp", "driver": driver, "config": config})
    return action


def change(**config):
    def action(daemon):
        daemon.api.run("PATCH", "/1.0/storage-pools/fp", {"config": config})
    return action


def delete(daemon):
    daemon.api.run("DELETE", "/1.0/storage-pools/fp")


def clean(daemon):
    daemon.api.run("DELETE", "/1.0/storage-pools/fp", ok=False)


def subvolume(daemon):
    """A filesystem that somebody mounted, with a subvolume for the pool."""
    disk, top = daemon.base / "outside.img", daemon.base / "outside"
    if not top.exists():
        top.mkdir()
        subprocess.run(["truncate", "-s", "256M", disk], check=True)
        subprocess.run(["mkfs.btrfs", "-q", disk], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", disk, top], check=True)


def in_subvolume(daemon):
    subvolume(daemon)
    make("btrfs", source=str(daemon.base / "outside/pool"))(daemon)


def clean_subvolume(daemon):
    clean(daemon)
    path = daemon.base / "outside/pool"
    if path.exists():
        subprocess.run(["btrfs", "subvolume", "delete", path], check=True, capture_output=True)


def on_device(daemon):
    """A block device that is there before and after the pool: a loop device of ours."""
    disk = daemon.base / "device.img"
    if not disk.exists():
        subprocess.run(["truncate", "-s", "256M", disk], check=True)
        subprocess.run(["losetup", "-f", disk], check=True)
    # As with LXD, no filesystem is overwritten: the one of a pool before is the administrator's to remove.
    subprocess.run(["wipefs", "-q", "-a", loop_of(disk)], check=True)
    make("btrfs", source=loop_of(disk))(daemon)


def loop_of(disk):
    listed = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", disk], check=True, capture_output=True, text=True)
    return listed.stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def nothing_outside(fault_daemon):
    yield
    if (fault_daemon.base / "device.img").exists():
        subprocess.run(["losetup", "-d", loop_of(fault_daemon.base / "device.img")], check=True)
    subprocess.run(["umount", fault_daemon.base / "outside"], check=False, capture_output=True)


LOOP = make("btrfs", size="256MiB")
SCENARIOS = [
    Scenario("pool-create:intent pool-create:row pool-create:loop-file pool-create:formatted pool-create:mounted "
             "pool-create:made pool-create:recorded", action=LOOP, clean=clean, name="loop"),
    Scenario("pool-create:device-formatted", before=lambda daemon: (on_device(daemon), clean(daemon)), action=on_device,
             clean=clean, name="device"),
    Scenario("pool-create:directories pool-create:row pool-create:made", action=make("dir"), clean=clean, name="dir"),
    Scenario("pool-delete:pending pool-delete:emptied pool-delete:unmounted pool-delete:removed pool-delete:row",
             before=LOOP, action=delete, clean=clean, name="loop"),
    Scenario("pool-delete:pending pool-delete:dir-emptied pool-delete:dir-removed pool-delete:row",
             before=make("dir"), action=delete, clean=clean, name="dir"),
    Scenario("pool-delete:emptied pool-delete:unmounted pool-delete:row", before=in_subvolume, action=delete,
             clean=clean_subvolume, name="subvolume"),
    Scenario("pool-update:* pool-grow:*", before=LOOP, action=change(size="384MiB"), clean=clean, name="grow"),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)
