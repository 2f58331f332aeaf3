# SPDX-License-Identifier: Apache-2.0
"""R59: the wall clock of a running daemon jumps by ten years and back. Only dates may show it, and what is valid until a
date: timeouts, waits and keep-alive run on, nothing that is due by the clock runs more than once."""
import contextlib
import datetime
import http.client
import json
import os
import struct
import subprocess
import threading
import time

import pytest
import websocket

from daemons import BUILD, Daemon, at_work, make_certificate, wait_until

# A real LXD asks the kernel for the time without the C library.
pytestmark = [pytest.mark.ours, pytest.mark.limit(180)]
TEN_YEARS = 3653 * 86400
JUMPS = {"forth": [TEN_YEARS], "back": [-TEN_YEARS], "forth and back": [TEN_YEARS, 0], "back and forth": [-TEN_YEARS, 0]}
BUSYBOX = {"type": "image", "alias": "bb"}


class Jumping(Daemon):
    def __init__(self, **options):
        super().__init__("lxdcored", **options)
        self.file = self.base / "clock"
        self.jump(0)
        self.extra_env = {"LD_PRELOAD": str(BUILD / "tests/support/clock-jump.so"), "CLOCK_JUMP_FILE": str(self.file)}

    def jump(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))

    def year(self):
        """As the daemon sees it."""
        operation = self.api.post("/1.0/instances/running/exec", {"command": ["true"], "wait-for-websocket": False}).metadata
        return datetime.datetime.fromisoformat(operation["created_at"][:19]).year


@pytest.fixture(scope="module")
def jumping():
    daemon = Jumping(name="clock", bridge=f"lxcv{os.getpid() % 1000}", subnet=os.environ.get("LXDCORE_TEST_SUBNET_2", "10.72.9"))
    with at_work(daemon, https=True):
        for name in ("running", "stopped"):
            daemon.api.run("POST", "/1.0/instances", {"name": name, "source": BUSYBOX})
        daemon.api.run("PUT", "/1.0/instances/running/state", {"action": "start"})
        yield daemon


@pytest.fixture(params=JUMPS)
def clock(request, jumping):
    """`clock()` lets the clock jump; afterwards it is right again, and the daemon the same process."""
    pid, now = jumping.pid, datetime.datetime.now().year

    def jump():
        for seconds in JUMPS[request.param]:
            jumping.jump(seconds)
            assert jumping.year() == now + round(seconds / TEN_YEARS) * 10
            jumping.api.get("/1.0")

    yield jump
    jumping.jump(0)
    assert jumping.pid == pid and jumping.process.poll() is None, jumping.log_tail()
    jumping.api.run("PUT", "/1.0/instances/stopped/state", {"action": "stop", "force": True}, ok=False)


def start_exec(api, script, **fields):
    body = {"command": ["sh", "-c", script], "wait-for-websocket": False, **fields}
    return api.post("/1.0/instances/running/exec", body).metadata


def warnings_of(daemon):
    """Records of the log above "info", and warnings of the API."""
    text = (daemon.base / "file.log").read_text(errors="replace")
    return sum("level=warning" in line or "level=error" in line for line in text.splitlines()), len(daemon.api.get("/1.0/warnings").metadata or [])


def test_r59_everything_works_in_another_decade(jumping, clock):
    api, name = jumping.api, "fresh"
    clock()
    assert api.get("/1.0").status == 200 and api.get("/1.0/instances?recursion=2").status == 200
    assert api.exec("running", ["echo", "hello"])[:2] == (0, "hello\n")
    api.run("POST", "/1.0/instances", {"name": name, "source": BUSYBOX})
    api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})
    api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True})
    api.run("DELETE", f"/1.0/instances/{name}")
    assert "lxd_" in api.get("/1.0/metrics").body.decode()


def test_r59_an_operation_is_waited_for_as_long_as_was_said(jumping, clock):
    api = jumping.api
    operation = start_exec(api, "while [ ! -e /tmp/go ]; do sleep 0.1; done; rm /tmp/go")
    path, waited = f"/1.0/operations/{operation['id']}", []
    waiter = threading.Thread(target=lambda: waited.append(api.get(path + "/wait?timeout=-1").metadata["status"]))
    bounded = threading.Thread(target=lambda: waited.append(api.get(path + "/wait?timeout=4").metadata["status"]))
    waiter.start()
    bounded.start()
    clock()
    time.sleep(0.5)
    assert not waited, "nobody has waited for four seconds"
    assert api.get(path + "/wait?timeout=1").metadata["status"] == "Running"
    bounded.join(30)
    assert waited == ["Running"]
    assert api.exec("running", ["touch", "/tmp/go"])[0] == 0
    waiter.join(30)
    assert waited == ["Running", "Success"]


def test_r59_what_has_ended_stays_readable(jumping, clock):
    operation = start_exec(jumping.api, "true")
    assert jumping.api.wait(f"/1.0/operations/{operation['id']}")["status"] == "Success"
    clock()
    assert jumping.api.get(f"/1.0/operations/{operation['id']}").status == 200


def test_r59_a_channel_waits_for_its_client(jumping, clock):
    operation = start_exec(jumping.api, "cat", **{"wait-for-websocket": True, "interactive": False})
    clock()
    time.sleep(0.5)
    path, fds = f"/1.0/operations/{operation['id']}/websocket?secret=", operation["metadata"]["fds"]
    channels = {number: jumping.api.websocket(path + fds[number]) for number in ("0", "1", "2")}
    channels["0"].send_binary(b"in time\n")
    assert channels["1"].recv() == b"in time\n"
    channels["0"].send("")
    assert jumping.api.wait(f"/1.0/operations/{operation['id']}")["metadata"]["return"] == 0
    for channel in channels.values():
        channel.close()


def test_r59_connections_are_kept(jumping, clock):
    kept = jumping.api.connection()
    kept.request("GET", "/1.0")
    assert kept.getresponse().read()
    half = jumping.api.raw_socket()
    half.sendall(b"GET /1.0 HTTP/1.1\r\nHost: l\r\n")
    events = jumping.api.websocket("/1.0/events?type=lifecycle")
    clock()
    half.sendall(b"Connection: close\r\n\r\n")
    assert half.recv(12) == b"HTTP/1.1 200"
    kept.request("GET", "/1.0/instances")
    assert kept.getresponse().status == 200
    jumping.api.run("PUT", "/1.0/instances/stopped/state", {"action": "start"})
    actions = [json.loads(events.recv())["metadata"]["action"]]
    while actions[-1] != "instance-started":
        actions.append(json.loads(events.recv())["metadata"]["action"])
    with contextlib.suppress(OSError, http.client.HTTPException):
        kept.close()
    events.close()


def test_r59_a_stop_has_the_time_that_it_was_given(jumping, clock):
    """It neither kills at once nor waits for ten years."""
    api = jumping.api
    api.run("PATCH", "/1.0/instances/stopped", {"config": {"raw.lxc": "lxc.signal.halt=28"}})  # SIGWINCH: it never stops
    api.run("PUT", "/1.0/instances/stopped/state", {"action": "start"})
    operation = api.put("/1.0/instances/stopped/state", {"action": "stop", "timeout": 4}).operation()
    clock()
    time.sleep(0.5)
    assert api.get(operation).metadata["status"] == "Running" and api.get("/1.0/instances/stopped").metadata["status"] == "Running"
    assert api.wait(operation, 40)["status"] == "Failure"
    assert api.get("/1.0/instances/stopped").metadata["status"] == "Running"
    api.run("PUT", "/1.0/instances/stopped/state", {"action": "stop", "force": True})


def test_r59_no_storm_follows(jumping, clock):
    """What is due by the clock is not done again and again: logs, events, warnings, kept files."""
    api, log = jumping.api, jumping.dir / "logs/running/lxc.log"
    events = api.websocket("/1.0/events")
    before, inode = warnings_of(jumping), log.stat().st_ino
    images = api.get("/1.0/images?recursion=1").metadata
    clock()
    seen = []
    events.settimeout(3)
    with contextlib.suppress(websocket.WebSocketTimeoutException):
        while True:
            seen.append(json.loads(events.recv()))
    events.close()
    # Those of the one or two commands by which the year was asked.
    assert len([event for event in seen if event["type"] != "logging"]) <= 12, seen
    after = warnings_of(jumping)
    assert after[0] - before[0] <= 1 and after[1] == before[1], jumping.log_tail()
    assert log.stat().st_ino == inode and api.get("/1.0/images?recursion=1").metadata == images
    busy = jumping.process.pid
    ticks = [sum(map(int, open(f"/proc/{busy}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[11:13])) for _ in range(2) if not time.sleep(1)]
    assert ticks[1] - ticks[0] < os.sysconf("SC_CLK_TCK") // 2, "it does nothing all the time"


def test_r59_certificates_are_valid_until_their_date(jumping, tmp_path):
    cert = make_certificate(tmp_path, "dated")
    client = jumping.https(cert)
    assert client.post("/1.0/certificates", {"type": "client", "password": "sekret", "name": "dated"}).status == 201
    for seconds, auth in ((TEN_YEARS, "untrusted"), (0, "trusted"), (-TEN_YEARS, "untrusted"), (0, "trusted")):
        jumping.jump(seconds)
        assert client.get("/1.0").metadata["auth"] == auth


@pytest.mark.parametrize("seconds", [TEN_YEARS, -TEN_YEARS])
def test_r59_a_daemon_that_starts_in_another_decade(jumping, seconds):
    """As after a reboot with an empty clock battery."""
    init = jumping.api.get("/1.0/instances/running/state").metadata["pid"]
    before = warnings_of(jumping)[1]
    try:
        jumping.jump(seconds)
        jumping.restart()
        assert jumping.api.get("/1.0/instances/running/state").metadata["pid"] == init
        assert jumping.api.exec("running", ["true"])[0] == 0
        jumping.jump(0)
        jumping.restart()
        assert jumping.api.get("/1.0/instances/running/state").metadata["pid"] == init
        wait_until(lambda: jumping.api.exec("running", ["true"])[0] == 0)
        assert warnings_of(jumping)[1] == before
        assert subprocess.run(["kill", "-0", str(init)], check=False).returncode == 0
    finally:
        jumping.jump(0)
