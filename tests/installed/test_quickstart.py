# SPDX-License-Identifier: Apache-2.0
"""The README's first ten minutes, to their end, with what is built already."""
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from daemons import BUILD, wait_until  # noqa: E402


def processes_of(folder):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [entry.parent.name] if f"LXD_DIR={folder}/".encode() in entry.read_bytes() else []
        except OSError:  # it has ended, or is nobody's
            continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_quickstart_of_the_readme_runs_a_command_and_leaves_nothing():
    assert "    examples/quickstart\n" in (ROOT / "README.md").read_text()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lxdcore-quickstart-"))
    bridge = f"lxqs{os.getpid() % 10000}"
    subnet = os.environ.get("LXDCORE_TEST_SUBNET_2", "10.133.78")
    env = {**os.environ, "LXDCORE_BUILD": str(BUILD), "LXDCORE_QUICKSTART_DIR": str(folder),
           "LXDCORE_QUICKSTART_BRIDGE": bridge, "LXDCORE_QUICKSTART_SUBNET": f"{subnet}.1/24"}
    result = subprocess.run([ROOT / "examples/quickstart", "--once"], env=env, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Hello from first, I am uid 0 and init is process 1\n" in result.stdout
    assert f"{subnet}." in result.stdout and "(eth0)" in result.stdout, "it has an address"
    assert not folder.exists() and not pathlib.Path("/sys/class/net", bridge).exists()
    assert str(folder) not in pathlib.Path("/proc/mounts").read_text()
    wait_until(lambda: not processes_of(folder), what="no process of it")
