# SPDX-License-Identifier: Apache-2.0
"""The module from the build folder and a Core of its own for each test that asks for one."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LXDCORE_BUILD", ROOT / "build"))
sys.path.insert(0, str(BUILD / "bindings" / "python"))

lxdcore = pytest.importorskip("lxdcore")


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "busybox.tar.gz"
    subprocess.run([ROOT / "tests" / "support" / "image-busybox", path], check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture
def core(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    tmp_path.chmod(0o711)
    for parent in list(tmp_path.parents)[:3]:  # pytest's are 0700; the mapped root must pass
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o711)
    with lxdcore.Core(tmp_path / "lxd", helper=BUILD / "lib" / "helper" / "lxdcore-helper") as core:
        core.storage.create({"name": "default", "driver": "dir"})
        yield core
