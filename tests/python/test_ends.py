# SPDX-License-Identifier: Apache-2.0
"""What those who wait hear when it ends: streams of events with their connection, operations with the code of their
failure."""
import pathlib
import threading

import pytest

import lxdcore

from conftest import HELPER, Daemon, make_certificate


@pytest.fixture(params=["core", "client", "https"])
def own_connection(request, tmp_path):
    need = request.getfixturevalue
    if request.param == "core":
        yield lxdcore.Core(need("state_dir"), helper=HELPER)
    elif request.param == "client":
        yield lxdcore.Client(need("daemon").socket)
    else:
        crt, key = make_certificate(tmp_path, "ends")
        entry = need("shared_client").server.add_certificate(pathlib.Path(crt).read_text(), name="ends")
        yield lxdcore.Client(need("https_client")._url, certificate=crt, key=key,
                             server_certificate=need("daemon").dir / "server.crt")
        entry.delete()


def test_closing_a_connection_ends_its_streams_of_events(own_connection):
    events, other = own_connection.events(), own_connection.events()
    assert own_connection.profiles.get("default").name == "default"
    ended = []
    reader = threading.Thread(target=lambda: ended.append(list(events)))
    reader.start()
    own_connection.close()
    reader.join(20)
    assert ended == [[]]
    with pytest.raises(lxdcore.UnavailableError, match="has ended"):
        other.get(timeout=20)


def test_a_server_that_goes_ends_its_streams_of_events_with_an_error(tmp_path):
    server = Daemon(name="goes")
    try:
        server.start()
        events = lxdcore.Client(server.socket).events()
        threading.Timer(0.3, server.stop).start()
        with pytest.raises(lxdcore.UnavailableError, match="has ended"):
            list(events)
    finally:
        server.destroy()


def test_a_failed_operation_of_a_core_has_its_code(shared_core, tmp_path):
    broken = tmp_path / "image.tar.gz"
    broken.write_bytes(b"no archive")
    with pytest.raises(lxdcore.InvalidArgumentError):
        shared_core.images.import_file(broken).result()


def test_what_a_short_command_writes_is_never_lost(https_client):
    """Its end may be known before anybody reads, the more so as each of its streams is a connection of its own."""
    instance = https_client.instances.create("py-short", image="bb", start=True)
    try:
        lost = [i for i in range(150) if instance.exec(["echo", "x"]).stdout != b"x\n"]
    finally:
        instance.stop(force=True)
        instance.delete().result()
    assert not lost
