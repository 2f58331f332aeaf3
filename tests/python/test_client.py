# SPDX-License-Identifier: Apache-2.0
"""What is particular to a Client: the wire between it and the server."""
import pathlib
import socket
import threading

import pytest

import lxdcore

from conftest import make_certificate


def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(lxdcore.UnavailableError):
        lxdcore.Client(tmp_path / "absent.socket").instances.names()
    with pytest.raises(lxdcore.UnavailableError):
        lxdcore.Client("https://127.0.0.1:1", server_fingerprint="0" * 64).instances.names()


@pytest.mark.parametrize("url", ["ftp://host", "https://", "https://host:port"])
def test_an_address_that_can_never_work_is_refused(url):
    with pytest.raises(lxdcore.InvalidArgumentError):
        lxdcore.Client(url)


def test_another_server_certificate_than_expected_is_refused(https_client, tmp_path):
    crt, _ = make_certificate(tmp_path, "other")
    with lxdcore.Client(https_client._url, server_certificate=crt) as client:
        with pytest.raises(lxdcore.ForbiddenError, match="another certificate"):
            client.instances.names()


def test_a_server_that_nobody_vouches_for_is_refused(https_client):
    with pytest.raises(lxdcore.UnavailableError, match="certificate verify failed"):
        lxdcore.Client(https_client._url).instances.names()


def test_a_stranger_is_let_in_with_the_trust_password(https_client, shared_client, daemon, tmp_path):
    crt, key = make_certificate(tmp_path, "stranger")
    shared_client.server.update({"core.trust_password": "a long secret"})
    with lxdcore.Client(https_client._url, certificate=crt, key=key,
                        server_certificate=daemon.dir / "server.crt") as client:
        with pytest.raises(lxdcore.ForbiddenError):
            client.instances.names()
        client.trust("a long secret")
        assert isinstance(client.instances.names(), list)
    [entry] = [c for c in shared_client.server.certificates() if c.name == "stranger"] or \
        [c for c in shared_client.server.certificates() if c.name != "python"]
    entry.delete()


def test_a_server_that_is_silent_runs_into_the_timeout(tmp_path):
    path = str(tmp_path / "silent")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(lxdcore.UnavailableError, match="in time"):
            lxdcore.Client(path, timeout=0.3).instances.names()


@pytest.mark.parametrize("answer", [
    b"", b"\x00" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"metadata":5}',
])
def test_an_answer_that_is_none_is_an_error(tmp_path, answer):
    path = str(tmp_path / "bad")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve():
            peer, _ = listener.accept()
            with peer:
                peer.recv(10_000)
                try:
                    peer.sendall(answer)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(lxdcore.Error):
            lxdcore.Client(path).instances.list()
        thread.join()


def test_any_request_can_be_made(shared_client):
    assert shared_client.request("GET", "/1.0")["auth"] == "trusted"
    with pytest.raises(lxdcore.NotFoundError):
        shared_client.request("GET", "/1.0/absent")
