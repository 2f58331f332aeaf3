# SPDX-License-Identifier: Apache-2.0
"""A real system in a container: Debian 12 with systemd, unified and split."""
import subprocess

import pytest

from conftest import HERE, remove
from daemons import wait_until


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("debian")
    subprocess.run([HERE.parent / "support/image-debian", folder], check=True, timeout=900, stdin=subprocess.DEVNULL)
    return folder


def boots(daemon, name):
    lxc = daemon.lxc
    state = wait_until(lambda: _settled(lxc("exec", name, "--", "systemctl", "is-system-running", check=False).stdout),
                       timeout=90, interval=1, what="systemd has started")
    assert state in ("running", "degraded")
    wait_until(lambda: daemon.subnet + "." in lxc("list", name, "-c4", "--format=csv").stdout, timeout=30, what="address")
    assert lxc("exec", name, "--", "hostname").stdout.strip() == name
    assert lxc("exec", name, "--", "sh", "-c", "ip -4 route show default").stdout.startswith(
        f"default via {daemon.subnet}.1")
    log = lxc("exec", name, "--", "journalctl", "-b", "--no-pager", "-o", "cat").stdout
    assert "Reached target" in log


def _settled(text):
    return text.strip() if text.strip() in ("running", "degraded") else None


def test_unified_image_boots_gets_an_address_and_stops_cleanly(daemon, images, name):
    daemon.lxc("image", "import", images / "debian.tar.xz", "--alias", "deb", timeout=300)
    daemon.lxc("launch", "deb", name, timeout=300)
    boots(daemon, name)
    daemon.lxc("stop", name, "--timeout", "60", timeout=90)
    assert "STOPPED" in daemon.lxc("list", name, "-cs", "--format=csv").stdout
    daemon.lxc("start", name)
    boots(daemon, name)
    daemon.lxc("restart", name, "--timeout", "60", timeout=120)
    boots(daemon, name)
    daemon.lxc("stop", name, "--force")
    remove(daemon, name)
    daemon.lxc("image", "delete", "deb")


def test_split_image_with_squashfs_boots(daemon, images, name):
    daemon.lxc("image", "import", images / "lxd.tar.xz", images / "rootfs.squashfs", "--alias", "debs", timeout=300)
    daemon.lxc("launch", "debs", name, timeout=300)
    boots(daemon, name)
    daemon.lxc("stop", name, "--timeout", "60", timeout=90)
    remove(daemon, name)
    daemon.lxc("image", "delete", "debs")
