# SPDX-License-Identifier: Apache-2.0
"""One daemon for all conformance tests, on a scratch directory with its own bridge and subnet.

LXDCORE_TEST_DAEMON=lxd runs the same tests on a real LXD (marks: `ours` = an intended difference, skipped there).
LXDCORE_BUILD, LXDCORE_TEST_BRIDGE and LXDCORE_TEST_SUBNET choose what is tested and where.
"""
import base64
import contextlib
import itertools
import os
import pathlib
import signal
import ssl
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE), str(HERE / "differential")]

import answers  # noqa: E402
import faults  # noqa: E402
from daemons import Daemon, at_work, make_certificate, run  # noqa: E402
from tested_build import BUILD, PATIENCE  # noqa: E402

KIND = os.environ.get("LXDCORE_TEST_DAEMON", "lxdcored")


def pytest_configure(config):
    config.addinivalue_line("markers", "ours: holds for lxdcored, not for LXD 5.0.2")
    config.addinivalue_line("markers", "limit(seconds): how long the test may take, 120 without it")


@contextlib.contextmanager
def _limit(item, seconds=None):
    """Nothing hangs: each phase of a test ends with an error after its time."""
    mark = item.get_closest_marker("limit")
    seconds = (seconds or (mark.args[0] if mark else 120)) * PATIENCE

    def expired(*_):
        raise TimeoutError(f"not finished after {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    with _limit(item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    with _limit(item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    with _limit(item, 180):
        yield


def pytest_sessionfinish():
    if KIND != "lxd":
        answers.write(BUILD / "test-logs/answers.json")


def pytest_terminal_summary(terminalreporter):
    if faults.OUTCOMES:
        terminalreporter.section("kill -9 at fault points: the state afterwards")
        for line in faults.table():
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root"))
    if KIND == "lxd":
        for item in items:
            if item.get_closest_marker("ours"):
                item.add_marker(pytest.mark.skip(reason="intended difference"))


@pytest.fixture(scope="session")
def shared_daemon():
    daemon = Daemon(KIND, name="conformance")
    try:
        daemon.start().setup(https=True)
        yield daemon
        left = daemon.stop()
        assert not left, "left on the host:\n" + "\n".join(left)
    finally:
        daemon.stop(remove=False)
        daemon.destroy()


@pytest.fixture
def daemon(shared_daemon):
    """The shared daemon, which must be the same process after each test (R52)."""
    pid = shared_daemon.pid
    assert shared_daemon.process.poll() is None, "the daemon has ended:\n" + shared_daemon.log_tail()
    yield shared_daemon
    assert shared_daemon.process.poll() is None, "the daemon ended in this test:\n" + shared_daemon.log_tail()
    assert shared_daemon.pid == pid


@pytest.fixture
def own_daemon(request):
    """A daemon for one test that kills or restarts it."""
    number = next(_numbers)
    daemon = Daemon(KIND, name="own", bridge=f"lxcu{os.getpid() % 1000}x{number % 10}",
                    subnet=os.environ.get("LXDCORE_TEST_SUBNET_2", "10.72.9"))
    try:
        daemon.start().setup()
        yield daemon
        if daemon.process.poll() is not None:
            daemon.start()
        left = daemon.stop()
        assert not left, "left on the host:\n" + "\n".join(left)
    finally:
        daemon.stop(remove=False)
        daemon.destroy()


@pytest.fixture(scope="module")
def fault_daemon():
    """The daemon of a file of fault scenarios."""
    if not faults.compiled_in():
        pytest.skip("needs a build with -Dfault_points=true")
    daemon = Daemon(KIND, name="faults", bridge=f"lxcf{os.getpid() % 1000}",
                    subnet=os.environ.get("LXDCORE_TEST_SUBNET_2", "10.72.9"))
    with at_work(daemon):
        yield daemon


_numbers = itertools.count()


@pytest.fixture
def api(daemon):
    return daemon.api


@pytest.fixture
def name(request, daemon):
    """A fresh instance name; the instance is removed afterwards."""
    fresh = f"ct{os.getpid() % 10000}-{next(_numbers)}"
    yield fresh
    remove(daemon, fresh)


def remove(daemon, instance):
    api = daemon.api
    if api.get(f"/1.0/instances/{instance}").status == 200:
        api.run("PUT", f"/1.0/instances/{instance}/state", {"action": "stop", "force": True, "timeout": 30}, ok=False)
        api.run("DELETE", f"/1.0/instances/{instance}", ok=False)


@pytest.fixture
def container(daemon, name):
    """A stopped busybox container."""
    daemon.api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}})
    return name


@pytest.fixture
def running(daemon, container):
    """A running busybox container."""
    daemon.api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    return container


@pytest.fixture
def canary(tmp_path):
    """A directory that only root may read and whose contents must not change."""
    folder = tmp_path / "canary"
    folder.mkdir(mode=0o700)
    (folder / "secret").write_text("canary-secret\n")
    yield folder
    assert sorted(p.name for p in folder.iterdir()) == ["secret"]
    assert (folder / "secret").read_text() == "canary-secret\n"


@pytest.fixture(scope="session")
def trusted(shared_daemon):
    """An API client over HTTPS with a certificate in the trust store."""
    cert = make_certificate(shared_daemon.base, "trusted-client")
    client = shared_daemon.https(cert)
    client.run("POST", "/1.0/certificates", {"type": "client", "password": "sekret", "name": "trusted"})
    return client


@pytest.fixture(scope="session")
def second_trusted(shared_daemon):
    cert = make_certificate(shared_daemon.base, "second-client")
    client = shared_daemon.https(cert)
    client.run("POST", "/1.0/certificates", {"type": "client", "password": "sekret", "name": "second"})
    return client


@pytest.fixture
def untrusted(daemon):
    return daemon.https()


@pytest.fixture
def stranger(daemon, tmp_path):
    return daemon.https(make_certificate(tmp_path, "stranger"))


@pytest.fixture
def restricted(api, daemon, tmp_path):
    """A client whose certificate is restricted to the default project."""
    cert = make_certificate(tmp_path, "restricted")
    body = base64.b64encode(ssl.PEM_cert_to_DER_cert(open(cert[0], encoding="ascii").read())).decode()
    reply = api.post("/1.0/certificates", {"type": "client", "name": "restricted", "certificate": body, "restricted": True, "projects": ["default"]})
    assert reply.status == 201, reply.body
    yield daemon.https(cert)
    fingerprint = run("openssl", "x509", "-in", cert[0], "-outform", "DER", "-fingerprint", "-sha256", "-noout").stdout
    api.delete("/1.0/certificates/" + fingerprint.split("=")[1].strip().replace(":", "").lower())


def failed(client, method, path, body):
    """Refused at once, or by the operation."""
    reply = client.request(method, path, body)
    if reply.status == 202:
        return client.wait(reply.operation(), 60)["status"] == "Failure"
    return 400 <= reply.status <= 500
