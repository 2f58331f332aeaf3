# SPDX-License-Identifier: Apache-2.0
"""GET /1.0/resources: what a real LXD prints on the same machine, and, where there is none, what it printed for the
machine in tests/data/resources."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import KIND
from daemons import SOURCE, Daemon

MACHINE = SOURCE / "tests/data/resources/server"


def settled(reply):
    """Without what changes from one moment to the next."""
    for key in ("used", "hugepages_used"):
        reply["memory"].pop(key)
        for node in reply["memory"]["nodes"]:
            node.pop(key)
    for socket in reply["cpu"]["sockets"]:
        socket.pop("frequency", None)
        for core in socket["cores"]:
            core.pop("frequency", None)
    return reply


@pytest.mark.skipif(not shutil.which("lxd") or KIND == "lxd", reason="needs a real LXD beside ours")
def test_this_machine_is_described_as_lxd_describes_it(api):
    other = Daemon("lxd", name="resources", bridge=f"lxcr{os.getpid() % 1000}")
    try:
        other.start()
        theirs = settled(other.api.get("/1.0/resources").metadata)
    finally:
        other.stop(remove=False)
        other.destroy()
    ours = settled(api.get("/1.0/resources").metadata)
    for part in theirs:
        assert ours[part] == theirs[part], part
    assert set(ours) == set(theirs)


def test_used_memory_is_told_in_bytes(api):
    memory = api.get("/1.0/resources").metadata["memory"]
    assert 0 < memory["used"] < memory["total"] and memory["total"] > 1 << 28
    assert all(0 < node["used"] <= node["total"] for node in memory["nodes"])


@pytest.mark.limit(60)
def test_the_recorded_machine_is_described_as_lxd_did(tmp_path):
    output = tmp_path / "reply.json"
    script = SOURCE / "tests/support/fake-machine"
    result = subprocess.run([script, "record", KIND, f"{MACHINE}.tree", output], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(output.read_text()) == json.loads(pathlib.Path(f"{MACHINE}.json").read_text())

