# SPDX-License-Identifier: Apache-2.0
"""R47, R48, R50, R51: containers and operations go on. R52, R53, R55 to R58: bounds and leaks."""
import concurrent.futures
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from daemons import run, wait_until
from tarballs import entry, make_tar, metadata, rootfs_members, tiny_image
from tested_build import resident

OCTETS = {"Content-Type": "application/octet-stream"}


def launch(daemon, name, **config):
    daemon.api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}, "config": config})
    daemon.api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})


def init_of(daemon, name):
    pid = daemon.api.get(f"/1.0/instances/{name}/state").metadata["pid"]
    return pid, pathlib.Path(f"/proc/{pid}/stat").read_text().split()[21]


@pytest.mark.ours
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT])
def test_r47_containers_outlive_the_daemon(own_daemon, number):
    daemon = own_daemon
    for name in ("one", "two"):
        launch(daemon, name)
    before = {name: init_of(daemon, name) for name in ("one", "two")}
    daemon.signal(number)
    for pid, start in before.values():
        assert pathlib.Path(f"/proc/{pid}/stat").read_text().split()[21] == start
    daemon.start()
    wait_until(lambda: {name: init_of(daemon, name) for name in ("one", "two")} == before, timeout=10, what="adopted")
    assert daemon.api.exec("one", ["echo", "alive"])[1] == "alive\n"
    assert daemon.lxc("exec", "two", "--", "echo", "alive").stdout == "alive\n"
    daemon.api.run("PUT", "/1.0/instances/one/state", {"action": "stop", "force": True})


@pytest.mark.ours
def test_r47_a_container_that_ends_while_the_daemon_is_away_is_stopped(own_daemon):
    daemon = own_daemon
    launch(daemon, "gone")
    pid, _ = init_of(daemon, "gone")
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    daemon.start()
    wait_until(lambda: daemon.api.get("/1.0/instances/gone").metadata["status"] == "Stopped", timeout=10, what="Stopped")
    daemon.api.run("PUT", "/1.0/instances/gone/state", {"action": "start"})


@pytest.mark.ours
def test_r48_a_missing_pool_or_bridge_harms_no_container(own_daemon, tmp_path):
    daemon = own_daemon
    launch(daemon, "stays")
    source = tmp_path / "poolsource"
    source.mkdir()
    daemon.api.run("POST", "/1.0/storage-pools", {"name": "away", "driver": "dir", "config": {"source": str(source)}})
    before = init_of(daemon, "stays")
    daemon.kill()
    moved = tmp_path / "moved"
    source.rename(moved)
    daemon.start()
    assert init_of(daemon, "stays") == before
    assert daemon.api.get("/1.0/storage-pools").status == 200
    daemon.kill()
    moved.rename(source)
    daemon.start()
    assert daemon.api.get("/1.0/storage-pools/away").metadata["status"] == "Created"
    daemon.api.run("DELETE", "/1.0/storage-pools/away")


@pytest.mark.ours
@pytest.mark.parametrize("victim", ["monitor", "init", "frozen", "memory"])
def test_r50_death_is_seen_and_cleaned_up(daemon, running, api, victim):
    pid, _ = init_of(daemon, running)
    veth = api.get(f"/1.0/instances/{running}").metadata["config"].get("volatile.eth0.host_name")
    assert veth
    if victim == "frozen":
        api.run("PUT", f"/1.0/instances/{running}/state", {"action": "freeze"})
        api.run("PUT", f"/1.0/instances/{running}/state", {"action": "stop", "force": True, "timeout": 30})
    elif victim == "memory":
        api.run("PATCH", f"/1.0/instances/{running}", {"config": {"limits.memory": "16MiB"}})
        api.run("POST", f"/1.0/instances/{running}/exec", {"command": ["sh", "-c", "x=a; while :; do x=$x$x; done"]}, ok=False, timeout=60)
        api.run("PUT", f"/1.0/instances/{running}/state", {"action": "stop", "force": True, "timeout": 30}, ok=False)
    else:
        parent = int(next(line.split()[1] for line in open(f"/proc/{pid}/status", encoding="ascii") if line.startswith("PPid:")))
        os.kill(parent if victim == "monitor" else pid, signal.SIGKILL)
    wait_until(lambda: api.get(f"/1.0/instances/{running}").metadata["status"] == "Stopped", timeout=15, what="Stopped")
    wait_until(lambda: not pathlib.Path(f"/sys/class/net/{veth}").exists(), timeout=10, what="veth gone")
    api.run("PUT", f"/1.0/instances/{running}/state", {"action": "start"})
    assert api.exec(running, ["true"])[0] == 0


@pytest.mark.ours
def test_r51_many_at_once(daemon, api):
    def life(i):
        name = f"par{os.getpid() % 1000}-{i}"
        api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}}, timeout=120)
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"}, timeout=120)
        assert api.exec(name, ["echo", name], timeout=120)[1] == name + "\n"
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True}, timeout=120)
        api.run("DELETE", f"/1.0/instances/{name}", timeout=120)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(life, range(16)))
    assert not [url for url in api.get("/1.0/instances").metadata if "/par" in url]


def test_r51_conflicting_requests_on_one_instance_end(api, container):
    path = f"/1.0/instances/{container}"
    requests = [("PUT", path + "/state", {"action": action, "force": True}) for action in ("start", "stop", "restart") * 5]
    requests += [("PATCH", path, {"config": {"user.n": str(n)}}) for n in range(10)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda r: api.run(*r, ok=False, timeout=90), requests))
    for reply in replies:
        assert isinstance(reply, dict) or reply.status in (200, 400, 412, 500)
        if isinstance(reply, dict):
            assert reply["status_code"] in (200, 400, 401)
            assert "SQLITE" not in reply["err"].upper() and "locked" not in reply["err"]
    api.run("PUT", path + "/state", {"action": "stop", "force": True}, ok=False)


def test_r51_an_ended_operation_can_be_waited_for(api, container):
    reply = api.put(f"/1.0/instances/{container}/state", {"action": "start"})
    api.wait(reply.operation())
    time.sleep(3)
    assert api.wait(reply.operation())["status"] == "Success"


FIELDS = ["name", "source", "config", "devices", "profiles", "ephemeral", "description", "architecture", "type", "instance_type", "stateful"]
VALUES = [None, -1, 1e308, 2**63, "", "x" * 100_000, [], {}, [[]], {"a": None}, True, "\u0000", "\ud800"]


@pytest.mark.parametrize("field", FIELDS)
def test_r52_no_value_of_a_field_ends_the_daemon(daemon, api, name, field):
    for value in VALUES:
        body = {"name": name, "source": {"type": "none"}, field: value}
        reply = api.post("/1.0/instances", body)
        if reply.status == 202:
            api.wait(reply.operation())
        else:
            assert 400 <= reply.status < 600
        api.run("DELETE", f"/1.0/instances/{name}", ok=False)
    for url in api.get("/1.0/instances").metadata:
        if url.rsplit("/", 1)[1] in ("x",):
            api.run("DELETE", url, ok=False)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "architecture: [x]\n", "architecture: {a: b}\n", "creation_date: x\narchitecture: x86_64\n",
                                  "architecture: x86_64\ncreation_date: 99999999999999999999\n", "architecture: x86_64\ncreation_date: 1\nproperties: 7\n",
                                  "architecture: x86_64\ncreation_date: 1\ntemplates: [a]\n", "architecture: x86_64\ncreation_date: 1\ntemplates: {/x: 7}\n",
                                  "architecture: x86_64\ncreation_date: 1\nproperties: {1: {2: 3}}\n", "&a [*a]\n", "\ufffe", "!!binary x\n", "", "~\n", "a" * 200_000])
def test_r52_no_image_metadata_ends_the_daemon(daemon, api, text):
    reply = api.post("/1.0/images", data=make_tar([entry("metadata.yaml", text.encode()), *rootfs_members()]), headers=OCTETS)
    if reply.status == 202:
        operation = api.wait(reply.operation())
        if operation["status_code"] == 200:
            api.run("DELETE", f"/1.0/images/{operation['metadata']['fingerprint']}")


@pytest.mark.ours
def test_r53_recorded_output_has_a_bound(daemon, api, running):
    before = resident(daemon.pid)
    api.run("POST", f"/1.0/instances/{running}/exec", {"command": ["sh", "-c", "yes | head -c 300000000"], "record-output": True}, ok=False, timeout=120)
    assert resident(daemon.pid) - before < 32
    sizes = [p.stat().st_size for p in (daemon.dir / "logs" / running).glob("exec*")]
    assert all(size <= 128 << 20 for size in sizes)


@pytest.mark.ours
def test_r53_headers_and_idle_event_listeners_have_bounds(daemon, api, running):
    sock = api.raw_socket()
    try:
        sock.sendall(b"GET /1.0 HTTP/1.1\r\nHost: l\r\n" + b"X-A: " + b"a" * 300_000 + b"\r\n\r\n")
        assert sock.recv(100)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 413", b"HTTP/1.1 431")
    except OSError:
        pass
    sock.close()
    before = resident(daemon.pid)
    deaf = [api.websocket("/1.0/events") for _ in range(10)]
    for _ in range(150):
        api.run("PATCH", "/1.0/profiles/default", {"description": "x" * 10_000})
    assert resident(daemon.pid) - before < 32
    for listener in deaf:
        listener.sock.close()
    api.run("PATCH", "/1.0/profiles/default", {"description": "Default LXD profile"})


@pytest.mark.ours
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("packer", [["xz", "-c"], ["gzip", "-c"], ["bzip2", "-c"], ["zstd", "-c", "-q"]])
def test_r55_truncated_archives_end_with_an_error(daemon, api, name, packer, cut):
    plain = make_tar([entry("metadata.yaml", metadata()), *rootfs_members(), entry("rootfs/big", os.urandom(300_000))], compress=False)
    packed = subprocess.run(packer, input=plain, capture_output=True, check=True).stdout
    started = time.monotonic()
    reply = api.post("/1.0/images", data=packed[:int(len(packed) * cut)], headers=OCTETS)
    operation = api.wait(reply.operation()) if reply.status == 202 else {"status_code": 400, "err": reply.error}
    if operation["status_code"] == 200:  # its metadata is whole; the rest is noticed when it is unpacked
        fingerprint = operation["metadata"]["fingerprint"]
        operation = api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "fingerprint": fingerprint}}, ok=False)
        api.run("DELETE", f"/1.0/images/{fingerprint}")
    assert operation["status_code"] == 400 and operation["err"]
    assert time.monotonic() - started < 30
    assert api.get(f"/1.0/instances/{name}").status == 404


@pytest.mark.ours
def test_r56_slow_headers_are_closed(api):
    sock = api.raw_socket(timeout=20)
    started = time.monotonic()
    try:
        while time.monotonic() - started < 15:
            sock.sendall(b"G" if time.monotonic() - started < 0.1 else b"x")
            sock.settimeout(1)
            try:
                sock.recv(100)
                break
            except socket.timeout:
                continue
    except OSError:
        pass
    assert time.monotonic() - started < 12


@pytest.mark.ours
def test_r56_hundreds_of_idle_connections_stop_nobody(daemon, api):
    idle = [socket.create_connection(("127.0.0.1", int(daemon.address.rsplit(":", 1)[1])), timeout=5) for _ in range(400)]
    local = [api.raw_socket() for _ in range(200)]
    for sock in idle + local:
        sock.sendall(b"G")
    started = time.monotonic()
    for _ in range(20):
        assert api.get("/1.0").status == 200
    assert time.monotonic() - started < 15
    for sock in idle + local:
        sock.close()


RAW = {
    "CL and TE": b"POST /1.0/profiles HTTP/1.1\r\nHost: l\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /1.0/profiles HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "negative length": b"POST /1.0/profiles HTTP/1.1\r\nHost: l\r\nContent-Length: -1\r\n\r\n",
    "huge length": b"POST /1.0/profiles HTTP/1.1\r\nHost: l\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "bad chunk": b"POST /1.0/profiles HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "folded header": b"GET /1.0 HTTP/1.1\r\nHost: l\r\nX: a\r\n b\r\nBad Header: x\r\n\r\n",
    "no version": b"GET /1.0\r\n\r\n", "binary": bytes(range(256)) + b"\r\n\r\n", "NUL in the path": b"GET /1.0/inst\x00ances HTTP/1.1\r\nHost: l\r\n\r\n",
}


@pytest.mark.ours
@pytest.mark.parametrize("kind", RAW)
def test_r57_odd_http_is_refused_and_the_connection_closed(api, kind):
    sock = api.raw_socket(timeout=10)
    sock.sendall(RAW[kind])
    data = b""
    try:
        while chunk := sock.recv(4096):
            data += chunk
    except OSError as error:
        assert not isinstance(error, socket.timeout), "the connection stays open"
    assert data == b"" or data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4"))


@pytest.mark.ours
@pytest.mark.parametrize("body", [b'{"name":"a"}x', b'{"name":"\xc3\x28"}', b'{"name":"\\ud800"}', b'{"name":"a\\u0000b"}', b"{'name':'a'}", b'{"name":NaN}', b'\xef\xbb\xbf{"name":"a"}x',
                                  b'{"name":"a",}', b'{"name":01}'])
def test_r57_odd_json_is_refused(api, body):
    reply = api.post("/1.0/profiles", data=body)
    assert reply.status == 400, reply.body
    assert api.get("/1.0/profiles/a").status == 404


def counts(daemon):
    pid = daemon.pid
    return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")), "mounts": len(daemon.mounts()),
            "zombies": run("ps", "--ppid", str(pid), "-o", "stat=", check=False).stdout.count("Z"),
            "children": len(run("ps", "--ppid", str(pid), "-o", "pid=", check=False).stdout.split()),
            "rules": run("nft", "list", "ruleset").stdout.count(daemon.bridge),
            "files": sum(len(files) for _, _, files in os.walk(daemon.dir / "images")), "processes": len(daemon.processes()),
            "cgroups": sum("leak" in d for _, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs)}


def test_r58_lives_leave_nothing(daemon, api):
    def life(name):
        launch(daemon, name)
        api.exec(name, ["true"])
        api.put(f"/1.0/instances/{name}/files?path=/x", data=b"1")
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True})
        api.run("DELETE", f"/1.0/instances/{name}")
    for i in range(5):
        life(f"leak{i}")
    before, memory = counts(daemon), resident(daemon.pid)
    for i in range(int(os.environ.get("LXDCORE_TEST_LIVES", "25"))):
        life(f"leak{i}")
    allowed = {**before, "fds": before["fds"] + 4, "threads": before["threads"] + 4}
    wait_until(lambda: all(value <= allowed[key] for key, value in counts(daemon).items()), timeout=15,
               what=f"{before} against {counts(daemon)}")
    assert resident(daemon.pid) - memory < 4


def test_r58_failures_leave_nothing(daemon, api, name):
    before = counts(daemon)
    for i in range(10):
        api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "fingerprint": "0" * 64}}, ok=False)
        api.run("POST", "/1.0/images", data=tiny_image()[:100], headers=OCTETS, ok=False)
        api.run("POST", "/1.0/networks", {"name": "bad", "config": {"ipv4.address": "x"}}, ok=False)
    allowed = {**before, "fds": before["fds"] + 4, "threads": before["threads"] + 4}
    wait_until(lambda: all(value <= allowed[key] for key, value in counts(daemon).items()), timeout=15,
               what=f"{before} against {counts(daemon)}")
