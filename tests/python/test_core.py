# SPDX-License-Identifier: Apache-2.0
"""Containers in process, through the Python module."""
import threading
import uuid

import pytest

import lxdcore

from conftest import BUILD

ROOT_DISK = {"root": {"type": "disk", "path": "/", "pool": "default"}}


@pytest.fixture
def container(core, image):
    fingerprint = core.images.import_file(image, aliases=["bb"]).result()["fingerprint"]
    name = "py-" + uuid.uuid4().hex[:8]
    core.instances.create(
        {"name": name, "source": {"type": "image", "fingerprint": fingerprint}, "devices": ROOT_DISK}
    ).result()
    core.instances.start(name).result()
    yield name
    if core.instances.get(name)["status"] == "Running":
        core.instances.stop(name, force=True).result()
    core.instances.delete(name).result()


def test_a_command_gives_its_output_and_exit_code(core, container):
    code, out, err = core.instances.exec(container, ["sh", "-c", "cat; echo wrong >&2; exit 3"], input=b"bytes \x00\xff")
    assert (code, out, err) == (3, b"bytes \x00\xff", b"wrong\n")


def test_environment_and_directory_reach_the_command(core, container):
    code, out, _ = core.instances.exec(container, ["sh", "-c", "echo $A; pwd"], environment={"A": "b c"}, cwd="/tmp")
    assert (code, out) == (0, b"b c\n/tmp\n")


def test_the_container_is_unprivileged(core, container):
    _, out, _ = core.instances.exec(container, ["cat", "/proc/self/uid_map"])
    inside, outside, _ = out.split()
    assert inside == b"0" and int(outside) > 0


def test_state_tells_a_running_container(core, container):
    state = core.instances.state(container)
    assert state["status"] == "Running" and state["pid"] > 0


def test_threads_use_one_core(core, container):
    codes = []
    threads = [
        threading.Thread(target=lambda n=n: codes.append(core.instances.exec(container, ["sh", "-c", f"exit {n}"])[0]))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda core: core.instances.get("absent"), lxdcore.NotFoundError),
        (lambda core: core.images.get("0" * 64), lxdcore.NotFoundError),
        (lambda core: core.images.get("abc"), lxdcore.InvalidArgumentError),
        (lambda core: core.networks.get("absent"), lxdcore.NotFoundError),
        (lambda core: core.instances.create({"name": 7}), lxdcore.InvalidArgumentError),
        (lambda core: core.instances.create(object()), TypeError),
    ],
)
def test_errors_have_their_class(core, call, error):
    with pytest.raises(error):
        call(core)


def test_a_second_core_on_the_directory_is_refused(core, tmp_path):
    with pytest.raises(lxdcore.BadStateError):
        lxdcore.Core(tmp_path / "lxd", helper=BUILD / "lib" / "helper" / "lxdcore-helper")


def test_a_closed_core_says_so(core):
    core.close()
    with pytest.raises(lxdcore.BadStateError):
        core.instances
