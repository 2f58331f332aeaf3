# SPDX-License-Identifier: Apache-2.0
"""What those who wait hear when it ends: streams of events with their connection, operations with the code of their
failure."""
import threading

import pytest

import lxdcore

from conftest import HELPER


@pytest.fixture(params=["core", "client", "https"])
def own_connection(request):
    if request.param == "core":
        return lxdcore.Core(request.getfixturevalue("state_dir"), helper=HELPER)
    if request.param == "client":
        return lxdcore.Client(request.getfixturevalue("daemon").socket)
    client = request.getfixturevalue("https_client")
    return lxdcore.Client(client._url, server_fingerprint=request.getfixturevalue("daemon_fingerprint"))


@pytest.fixture
def daemon_fingerprint(shared_client):
    return shared_client.server.info().environment["certificate_fingerprint"]


def test_closing_a_connection_ends_its_streams_of_events(own_connection):
    events = own_connection.events()
    assert own_connection.profiles.get("default").name == "default"
    ended = []

    def read():
        try:
            for _ in events:
                pass
        except lxdcore.UnavailableError as error:
            ended.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    own_connection.close()
    reader.join(20)
    assert not reader.is_alive() and ended and "has ended" in ended[0]
    events.close()


def test_a_failed_operation_of_a_core_has_its_code(shared_core, tmp_path):
    broken = tmp_path / "image.tar.gz"
    broken.write_bytes(b"no archive")
    with pytest.raises(lxdcore.InvalidArgumentError):
        shared_core.images.import_file(broken).result()
