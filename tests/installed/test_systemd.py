# SPDX-License-Identifier: Apache-2.0
"""The installed units under a real systemd: of a Debian 12 in a container, which sees what `meson install` left."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from daemons import SUPPORT, Daemon, wait_until  # noqa: E402
from test_installed import Installed  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Guest:
    """A Debian with our prefix; programs and libraries that its image lacks are the host's, a Debian 12 too."""

    def __init__(self, daemon, installed, folder):
        self.daemon = daemon
        subprocess.run([SUPPORT / "image-debian", folder], check=True, timeout=900, stdin=subprocess.DEVNULL)
        daemon.lxc("image", "import", folder / "debian.tar.xz", "--alias", "deb", timeout=300)
        daemon.lxc("init", "deb", "host", "--storage=default", "-c", "security.nesting=true", timeout=300)
        at = f"/{installed.prefix.relative_to(installed.root)}"
        for name, source, path in (("prefix", installed.prefix, at), ("lib", "/usr/lib/x86_64-linux-gnu", "/opt/lib"),
                                   ("bin", "/usr/bin", "/opt/bin")):
            daemon.lxc("config", "device", "add", "host", name, "disk", f"source={source}", f"path={path}",
                       "readonly=true")
        daemon.lxc("start", "host")
        wait_until(lambda: self.run("systemctl is-system-running", check=False).strip() in ("running", "degraded"),
                   timeout=120, interval=1, what="systemd has started")
        self.run(f"printf '%s\\n' {at}/lib/x86_64-linux-gnu /opt/lib > /etc/ld.so.conf.d/host.conf; ldconfig")
        self.run("echo root:1000000:65536 | tee /etc/subuid > /etc/subgid")
        self.run("systemd-sysusers && systemd-tmpfiles --create lxdcore.conf && systemctl daemon-reload")

    def run(self, script, check=True):
        return self.daemon.lxc("exec", "host", "--", "sh", "-c", script, check=check).stdout

    def unit(self, name, what):
        return self.run(f"systemctl show --value -p {what} {name}").strip()

    def client(self):
        """What the stock client hears of our daemon in there."""
        return self.run("HOME=/root PATH=$PATH:/opt/bin lxc query /1.0")


@pytest.fixture
def guest(tmp_path_factory):
    installed = Installed(tmp_path_factory.mktemp("staging"))
    daemon = Daemon(name="installed-systemd").start()
    try:
        daemon.api.run("POST", "/1.0/storage-pools", {"name": "default", "driver": "dir"})
        yield Guest(daemon, installed, tmp_path_factory.mktemp("debian"))
    finally:
        left = daemon.stop()
        daemon.destroy()
    assert not left


def test_systemd_starts_the_daemon_for_a_client_and_restarts_it(guest):
    assert "lxd:" in guest.run("getent group lxd") and "711" in guest.run("stat -c %a /var/lib/lxd")
    guest.run("systemctl enable --now lxdcored.socket")
    assert guest.unit("lxdcored.socket", "ActiveState") == "active"
    assert guest.unit("lxdcored.service", "ActiveState") == "inactive"
    assert guest.run("stat -c '%a %U %G' /var/lib/lxd/unix.socket") == "660 root lxd\n"

    assert '"api_version": "1.0"' in guest.client()
    wait_until(lambda: guest.unit("lxdcored.service", "ActiveState") == "active", timeout=60, what="the daemon says so")
    first = guest.unit("lxdcored.service", "MainPID")
    guest.run("systemctl restart lxdcored")
    second = guest.unit("lxdcored.service", "MainPID")
    assert first != second != "0" and '"api_version": "1.0"' in guest.client()

    guest.run("systemctl stop lxdcored.service")
    assert guest.unit("lxdcored.service", "Result") == "success"
    assert guest.unit("lxdcored.socket", "ActiveState") == "active"
    assert '"api_version": "1.0"' in guest.client(), "the socket has stayed"
    guest.run("systemctl start lxdcored-instances.service && systemctl stop lxdcored-instances.service")
    wait_until(lambda: guest.unit("lxdcored.service", "ActiveState") in ("inactive", "failed"), timeout=60,
               what="it went down with the instances")
    assert guest.unit("lxdcored.service", "Result") == "success"
