# SPDX-License-Identifier: Apache-2.0
"""/logs: what is listed, read and deleted, what a start does to lxc.log, and when files go by themselves."""
import json
import os
import pathlib
import time
import urllib.parse

import pytest

from conftest import KIND
from daemons import wait_until

BAD = ["nosuch", "..%2f..%2fx", "lxc.log%2f..", "a%2fb", "%00", "console.log", "lxc.log.old", "edk2.log", "snapshot.log", "foo.txt",
       "..%2flxc.log", "%2fetc%2fpasswd", "exec_1%2f..%2f..%2fx"]


def age(path, hours):
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def names(api, instance):
    return sorted(url.rsplit("/", 1)[-1] for url in api.get(f"/1.0/instances/{instance}/logs").metadata)


@pytest.mark.parametrize("file", BAD)
def test_r1_names_of_logs_are_no_paths(api, container, file):
    for method in ("GET", "DELETE"):
        reply = api.request(method, f"/1.0/instances/{container}/logs/{file}")
        name = urllib.parse.unquote(file)
        texts = [f"log file name {name} not valid"]
        if KIND != "lxd" and ("/" in name or "\0" in name):
            texts = ["Invalid instance name"]  # no part of a path may hold these, whatever it names
        assert reply.status == 400 and reply.error in texts, (method, reply.error)


def test_a_start_keeps_the_log_of_the_one_before(api, daemon, container):
    folder = daemon.dir / "logs" / container
    for _ in range(2):
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
        (folder / "lxc.log").write_text("of this run\n")
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "stop", "force": True})
    assert names(api, container) == ["lxc.conf", "lxc.log"]
    assert (folder / "lxc.log.old").read_text().startswith("of this run\n")


def test_logs_are_read_and_only_some_deleted(api, daemon, running):
    assert api.exec(running, ["sh", "-c", "echo out; echo err >&2"]) == (0, "out\n", "err\n")
    recorded = [name for name in names(api, running) if name.startswith("exec_")]
    assert sorted(pathlib.Path(name).suffix for name in recorded) == [".stderr", ".stdout"]
    for name in recorded:
        url = f"/1.0/instances/{running}/logs/{name}"
        reply = api.get(url)
        assert reply.status == 200 and reply.body in (b"out\n", b"err\n")
        assert api.delete(url).status == 200
        assert not (daemon.dir / "logs" / running / name).exists()
    for name in ("lxc.log", "lxc.conf"):
        assert api.get(f"/1.0/instances/{running}/logs/{name}").status == 200
        reply = api.delete(f"/1.0/instances/{running}/logs/{name}")
        assert (reply.status, reply.error) == (400, "lxc.log and lxc.conf may not be deleted")
    assert api.get("/1.0/instances/nosuch/logs").status == 404
    reply = api.get("/1.0/instances/nosuch/logs/lxc.log")
    assert (reply.status, reply.error) == (
        404, 'Failed to fetch instance "nosuch" in project "default": Instance not found')


def test_old_logs_go_and_recorded_output_stays(own_daemon):
    """At a start of the daemon, and once a day then."""
    own_daemon.api.run("POST", "/1.0/instances", {"name": "aging", "source": {"type": "image", "alias": "bb"}})
    own_daemon.stop(remove=False)
    logs = own_daemon.dir / "logs"
    planted = {"aging/lxc.log": 49, "aging/lxc.log.old": 49, "aging/console.log": 49, "aging/young.log": 47, "aging/lxc.conf": 900,
               "aging/exec_1.stdout": 900, "aging/notes": 900, "gone/exec_1.stdout": 25, "fresh/lxc.log": 23, "dnsmasq.x.log": 900}
    for name, hours in planted.items():
        (logs / name).parent.mkdir(exist_ok=True)
        (logs / name).write_text("x")
        age(logs / name, hours)
    age(logs / "gone", 25)
    own_daemon.start()
    expired = {"aging/lxc.log", "aging/lxc.log.old", "aging/console.log", "gone/exec_1.stdout"}
    wait_until(lambda: not any((logs / name).exists() for name in expired), what="old logs are gone")
    assert {name for name in planted if (logs / name).exists()} == set(planted) - expired
    assert not (logs / "gone").exists()
    own_daemon.api.run("DELETE", "/1.0/instances/aging")


def test_who_reads_and_removes_logs_is_told_of(api, daemon, running):
    api.exec(running, ["sh", "-c", "echo on-the-console > /dev/console"])
    wait_until(lambda: b"on-the-console" in api.get(f"/1.0/instances/{running}/console").body, what="line in the log")
    recorded = next(name for name in names(api, running) if name.endswith(".stdout"))
    own = f"/1.0/instances/{running}"
    events = api.websocket("/1.0/events?type=lifecycle")
    try:
        for method, url, status in (("GET", "/console", 200), ("DELETE", "/console", 200), ("GET", "/logs/lxc.conf", 200),
                                    ("DELETE", "/logs/lxc.conf", 400), ("GET", f"/logs/{recorded}", 200),
                                    ("DELETE", f"/logs/{recorded}", 200), ("GET", "/logs/exec_no.stdout", 404)):
            assert api.request(method, own + url).status == status, url
        api.run("PATCH", own, {"description": "last"})
        seen = []
        while not seen or seen[-1][0] != "instance-updated":
            event = json.loads(events.recv())["metadata"]
            if event["source"].startswith(own):
                seen.append((event["action"], event["source"]))
    finally:
        events.close()
    assert seen[:-1] == [("instance-console-retrieved", own), ("instance-console-reset", own),
                         ("instance-log-retrieved", f"{own}/backups/lxc.conf"), ("instance-log-retrieved", f"{own}/backups/{recorded}"),
                         ("instance-log-deleted", f"{own}/backups/{recorded}")]
