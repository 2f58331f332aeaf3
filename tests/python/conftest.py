# SPDX-License-Identifier: Apache-2.0
"""The module from the build folder; one Core and one daemon with a Client for all tests. What takes `connection` runs on
both."""
import asyncio
import os
import pathlib
import subprocess
import sys
import tempfile
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LXDCORE_BUILD", ROOT / "build"))
HELPER = BUILD / "lib" / "helper" / "lxdcore-helper"
sys.path[:0] = [str(BUILD / "bindings" / "python"), str(ROOT / "tests" / "support")]

lxdcore = pytest.importorskip("lxdcore")

from daemons import Daemon, cached_busybox, make_certificate  # noqa: E402

ROOT_DISK = {"root": {"type": "disk", "path": "/", "pool": "default"}}


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(scope="session")
def image():
    return cached_busybox()


@pytest.fixture
def state_dir():
    """A directory that the mapped root of a container can pass."""
    with tempfile.TemporaryDirectory(prefix="lxdcore-py-") as path:
        os.chmod(path, 0o711)
        yield pathlib.Path(path) / "lxd"


class Ticks:
    """Counts how often something else has its turn in a loop of asyncio: `async with Ticks() as ticks`, then
    `ticks.count`."""

    async def __aenter__(self):
        self.count = 0
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()

    async def _tick(self):
        while True:
            self.count += 1
            await asyncio.sleep(0.01)


def prepare(connection, image):
    if not any(pool.name == "default" for pool in connection.storage_pools):
        connection.storage_pools.create("default", driver="dir")
    connection.profiles.get("default").update(devices=ROOT_DISK)
    return connection.images.import_file(image, aliases=["bb"]).result()


def clean(connection):
    for instance in connection.instances:
        if instance.status == "Frozen":
            instance.unfreeze()
        if instance.status == "Running":
            instance.stop(force=True)
        if instance.name in connection.instances:
            instance.delete().result()
    for image in connection.images:
        image.delete().result()


@pytest.fixture(scope="session")
def daemon():
    daemon = Daemon(name="python")
    daemon.start()
    try:
        yield daemon
    finally:
        left = daemon.stop()
        daemon.destroy()
    assert not left


@pytest.fixture(scope="session")
def shared_core(image):
    with tempfile.TemporaryDirectory(prefix="lxdcore-py-") as path:
        os.chmod(path, 0o711)
        with lxdcore.Core(pathlib.Path(path) / "lxd", helper=HELPER) as core:
            prepare(core, image)
            yield core
            clean(core)


@pytest.fixture(scope="session")
def shared_client(daemon, image):
    with lxdcore.Client(daemon.socket) as client:
        prepare(client, image)
        yield client
        clean(client)


@pytest.fixture(scope="session")
def https_client(daemon, shared_client, image, tmp_path_factory):
    """Over TLS, with the server's certificate pinned."""
    from daemons import free_port

    folder = tmp_path_factory.mktemp("certificates")
    crt, key = make_certificate(folder)
    port = free_port()
    shared_client.server.update({"core.https_address": f"127.0.0.1:{port}"})
    shared_client.server.add_certificate(pathlib.Path(crt).read_text(), name="python")
    with lxdcore.Client(f"https://127.0.0.1:{port}", certificate=crt, key=key,
                        server_certificate=daemon.dir / "server.crt") as client:
        yield client


@pytest.fixture(params=["core", "client", "https"])
def connection(request):
    names = {"core": "shared_core", "client": "shared_client", "https": "https_client"}
    return request.getfixturevalue(names[request.param])


@pytest.fixture
def container(connection):
    instance = connection.instances.create("py-" + uuid.uuid4().hex[:8], image="bb", start=True)
    yield instance
    try:
        instance.refresh()
    except lxdcore.NotFoundError:
        return
    if instance.status != "Stopped":
        instance.stop(force=True)
    instance.delete().result()
