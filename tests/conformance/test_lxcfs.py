# SPDX-License-Identifier: Apache-2.0
"""What a guest sees of its own limits where the host runs lxcfs."""
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from daemons import run, wait_until

pytestmark = pytest.mark.ours  # LXD has lxcfs by a drop-in file of liblxc, for one place only


@pytest.fixture
def lxcfs(tmp_path):
    """The process, mounted on a directory of its own that guests can pass to."""
    if shutil.which("lxcfs") is None or not pathlib.Path("/dev/fuse").exists():
        pytest.skip("needs the program lxcfs and /dev/fuse")
    mount = pathlib.Path(tempfile.mkdtemp(prefix="lxdcore-lxcfs-"))
    mount.chmod(0o755)
    process = subprocess.Popen(["lxcfs", "-p", str(tmp_path / "pid"), str(mount)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (mount / "proc/meminfo").exists())
        yield process
    finally:
        process.terminate()
        process.wait(10)
        run("umount", "-l", str(mount), check=False)
        mount.rmdir()


def start(api, container, config=None):
    api.run("PATCH", f"/1.0/instances/{container}", {"config": config or {}})
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})


def seen(daemon, container, path):
    return daemon.lxc("exec", container, "--", "cat", path).stdout


def memory(text):
    """Bytes."""
    return int(text.split("MemTotal:")[1].split()[0]) * 1024


@pytest.mark.parametrize("privileged", ["false", "true"])
def test_limits_are_what_the_guest_sees(daemon, api, container, lxcfs, privileged):
    start(api, container, {"limits.memory": "64MiB", "limits.cpu": "1", "security.privileged": privileged})
    assert memory(seen(daemon, container, "/proc/meminfo")) == 64 << 20
    assert seen(daemon, container, "/proc/cpuinfo").count("processor\t") == 1
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"limits.memory": "128MiB"}})
    assert memory(seen(daemon, container, "/proc/meminfo")) == 128 << 20
    assert float(seen(daemon, container, "/proc/uptime").split()[0]) < \
        float(pathlib.Path("/proc/uptime").read_text().split()[0])


def test_an_lxcfs_that_died_keeps_nobody_from_starting(daemon, api, container, lxcfs):
    lxcfs.send_signal(signal.SIGKILL)
    lxcfs.wait(10)
    start(api, container, {"limits.memory": "64MiB"})
    assert memory(seen(daemon, container, "/proc/meminfo")) == memory(pathlib.Path("/proc/meminfo").read_text())
