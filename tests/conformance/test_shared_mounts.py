# SPDX-License-Identifier: Apache-2.0
"""A host whose mounts are shared, as systemd leaves them: what a guest mounts stays in the guest."""
import os
import pathlib
import stat

import pytest

from daemons import Daemon, at_work
from test_intercept import Guest

pytestmark = pytest.mark.ours


class Apart(Daemon):
    """In mounts of its own, all of them shared."""

    @property
    def program(self):
        script = self.base / "apart"
        if not script.exists():
            script.write_text(f"#!/bin/sh\nexec unshare --mount --propagation shared -- {super().program} \"$@\"\n")
            script.chmod(0o755)
        return str(script)

    def mounted(self):
        return sorted(line.split()[4] for line in pathlib.Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines())


@pytest.fixture
def apart():
    daemon = Apart(name="apart", bridge=f"lxcs{os.getpid() % 1000}", subnet=os.environ.get("LXDCORE_TEST_SUBNET_2", "10.72.9"))
    with at_work(daemon):
        yield daemon


def test_nothing_that_a_guest_mounts_is_mounted_on_the_host(apart, tmp_path):
    api = apart.api
    (tmp_path / "below").mkdir()
    tmp_path.chmod(0o755)

    def disk(path):
        return {"type": "disk", "source": str(tmp_path), "path": path}

    api.run("POST", "/1.0/instances", {"name": "mounter", "source": {"type": "image", "alias": "bb"}, "devices": {"cold": disk("/mnt/cold")}})
    guest = Guest(api, apart, "mounter")
    guest.start(mknod="true")
    api.run("PATCH", "/1.0/instances/mounter", {"devices": {"hot": disk("/mnt/hot"), "read": {**disk("/mnt/read"), "readonly": "true"}}})
    guest.shell("mkdir -p /tmp/m; mount -t tmpfs -o mode=755 tmpfs /tmp/m")
    assert guest.call("mknod", "/tmp/m/null", stat.S_IFCHR | 0o666, 1, 3) == "ok"
    before = apart.mounted()
    for target in ("/mnt/cold/below", "/mnt/hot/below", "/mnt/read/below", "/dev/lxd"):
        assert guest.shell(f"mount -t tmpfs none {target} && echo done") == "done", target
    assert guest.shell("mount -o bind /etc/passwd /tmp/m/null && echo done") == "done"
    assert apart.mounted() == before
    assert apart.mounted().count("/dev/null") == 0 and os.stat("/dev/null").st_rdev == os.makedev(1, 3)
    api.run("PUT", "/1.0/instances/mounter/state", {"action": "stop", "force": True})
    api.run("DELETE", "/1.0/instances/mounter")
