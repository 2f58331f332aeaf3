# SPDX-License-Identifier: Apache-2.0
"""What crosses the border between Python and C++: values of any shape, threads in any order, the GIL."""
import os
import subprocess
import sys
import threading

import pytest

import lxdcore

from conftest import BUILD


def run_python(text, *arguments, timeout=120):
    code = f"import sys; sys.path.insert(0, {str(BUILD / 'bindings/python')!r})\nimport lxdcore\n" + text
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout)


def nested(depth, kind):
    value = {} if kind is dict else []
    for _ in range(depth):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize("kind", [dict, list])
def test_what_is_nested_too_deeply_is_refused(shared_client, kind):
    with pytest.raises(ValueError, match="nested too deeply"):
        shared_client.request("POST", "/1.0/profiles", nested(100_000, kind))
    with pytest.raises(lxdcore.Error):  # a wrong request, but a request
        shared_client.request("POST", "/1.0/profiles", {"name": "x", "config": nested(20, kind)})


def test_what_contains_itself_is_refused(shared_client):
    itself, list_of_itself = {}, []
    itself["a"] = itself
    list_of_itself.append(list_of_itself)
    for value in (itself, list_of_itself, {"a": list_of_itself}):
        with pytest.raises(ValueError, match="containing itself"):
            shared_client.request("POST", "/1.0/profiles", value)


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 64, 10**40])
def test_an_integer_that_the_api_cannot_have_is_refused(shared_client, number):
    with pytest.raises(OverflowError, match="64 bits"):
        shared_client.request("POST", "/1.0/profiles", {"a": number})


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
def test_other_objects_are_refused(shared_client, value):
    with pytest.raises(TypeError):
        shared_client.request("POST", "/1.0/profiles", [value])


def at_once(call, threads=8):
    barrier = threading.Barrier(threads)
    failures = []

    def one():
        barrier.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    running = [threading.Thread(target=one) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert failures == []


def test_many_threads_close_one_stream_of_events(connection):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            events = connection.events()
            at_once(events.close)
            assert events.closed
            with pytest.raises(lxdcore.BadStateError):
                events.get(0)
    finally:
        sys.setswitchinterval(interval)


def test_many_threads_close_one_console(container):
    for _ in range(3):
        console = container.console()
        at_once(console.close)


def test_events_are_closed_while_somebody_waits(connection):
    for _ in range(10):
        events = connection.events()
        ended = []
        waiting = [threading.Thread(target=lambda: ended.append(list(events))) for _ in range(2)]
        for thread in waiting:
            thread.start()
        at_once(events.close, 3)
        for thread in waiting:
            thread.join(30)
            assert not thread.is_alive()
        assert ended == [[], []]


def test_certificates_are_read_without_the_gil(tmp_path):
    """Another thread is what lets the reading end: with the GIL held it would never."""
    fifo = tmp_path / "certificate"
    os.mkfifo(fifo)
    result = run_python("""
import threading
def write():
    with open(sys.argv[1], "w") as pipe:
        pipe.write("nothing")
threading.Thread(target=write).start()
try:
    lxdcore.Client("https://127.0.0.1", server_certificate=sys.argv[1])
except lxdcore.Error as error:
    print("refused")
""", fifo, timeout=60)
    assert result.stdout == "refused\n", result.stderr


def test_an_operation_may_outlive_its_client(daemon, shared_client):
    client = lxdcore.Client(daemon.socket)
    begun = shared_client.instances.begin_create(image="bb")
    operation = client.operations.get(begun.id)
    client.close()
    begun.result().delete().result()
    assert operation.id == begun.id
    del client, operation
