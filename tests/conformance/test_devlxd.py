# SPDX-License-Identifier: Apache-2.0
"""The guest API at /dev/lxd/sock (R30)."""
import json
import subprocess
import sys

import pytest

from daemons import run, wait_until
from guest_process import GuestProcess

READER = """
import socket, sys, websocket
plain = socket.socket(socket.AF_UNIX)
plain.connect(sys.argv[1])
ws = websocket.create_connection("ws://l/1.0/events" + sys.argv[2], socket=plain, timeout=30)
print("connected", flush=True)
while True:
    text = ws.recv()
    if not text:
        break
    print(text.strip(), flush=True)
print("end", flush=True)
"""


@pytest.fixture
def guest(api, daemon, running):
    class Guest(GuestProcess):
        name = running
        socket = daemon.dir / "devlxd/sock"

        def get(self, path, *options, **fields):
            return self.curl(self.socket, path, *options, **fields)

        def set(self, **config):
            api.run("PATCH", f"/1.0/instances/{running}", {"config": {k.replace("__", "-").replace("_", "."): v for k, v in config.items()}})

        def events(self, query=""):
            process = subprocess.Popen(self.command(sys.executable if "pyenv" not in sys.executable else "/usr/bin/python3", "-c", READER, self.socket, query),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert process.stdout.readline() == "connected\n"
            return process

    return Guest(api, running)


def test_the_socket_is_in_the_container(api, guest):
    code, out, _ = api.exec(guest.name, ["ls", "-l", "/dev/lxd/sock"])
    assert code == 0 and out.startswith("srw-rw-rw-")


def test_what_a_guest_learns(api, guest):
    guest.set(user_role="web", user_a_b="1", cloud__init_user__data="#cloud-config\n", environment_SECRET="s")
    assert guest.get("/") == (200, '["/1.0"]\n')
    status, about = guest.get("/1.0")
    assert status == 200 and json.loads(about) == {"api_version": "1.0", "instance_type": "container", "location": "none", "state": ""}
    assert sorted(json.loads(guest.get("/1.0/config")[1])) == ["/1.0/config/cloud-init.user-data", "/1.0/config/user.a.b", "/1.0/config/user.role"]
    assert guest.get("/1.0/config/user.role") == (200, "web")
    assert guest.get("/1.0/config/user.none") == (404, "not found\n")
    for private in ("environment.SECRET", "volatile.uuid", "limits.cpu", "security.devlxd"):
        assert guest.get(f"/1.0/config/{private}") == (403, "not authorized\n")
    config = api.get(f"/1.0/instances/{guest.name}").metadata["config"]
    assert guest.get("/1.0/meta-data") == (200, f"#cloud-config\ninstance-id: {config['volatile.cloud-init.instance-id']}\nlocal-hostname: {guest.name}\n")
    devices = json.loads(guest.get("/1.0/devices")[1])
    assert devices["root"]["path"] == "/" and devices["eth0"]["hwaddr"] == config["volatile.eth0.hwaddr"]
    assert guest.get("/1.0/nope") == (404, "404 page not found\n")


@pytest.mark.parametrize("uid", [1, 65534])
def test_r30_only_root_of_the_guest(guest, uid):
    for path in ("/", "/1.0", "/1.0/config", "/1.0/meta-data", "/1.0/events"):
        assert guest.get(path, uid=uid) == (401, "Access denied for non-root user\n")


def test_r30_the_host_is_no_guest(daemon, guest):
    shown = run("curl", "-s", "--unix-socket", guest.socket, "l/1.0")
    assert shown.stdout == "pid not in container?\n"


def test_r30_a_process_cannot_pretend(api, guest, daemon):
    """A name that imitates another container's monitor changes nothing, nor does a pid namespace inside the guest."""
    guest.set(user_mine="yes")
    claim = f"[lxc monitor] {daemon.dir}/containers somebody-else"
    shown = run(*guest.command("bash", "-c", f"exec -a '{claim}' curl -s --unix-socket {guest.socket} l/1.0/config/user.mine"))
    assert shown.stdout == "yes"
    nested = run(*guest.command("unshare", "--pid", "--fork", "--user", "--map-root-user", "curl", "-s", "--unix-socket", guest.socket, "l/1.0/config/user.mine"))
    assert nested.stdout == "yes"


def test_images_need_permission(api, guest):
    target = api.get("/1.0/images/aliases/bb").metadata["target"]
    assert guest.get(f"/1.0/images/{target}/export") == (403, "not authorized\n")
    guest.set(security_devlxd_images="true")
    status, body = guest.get(f"/1.0/images/{target}/export")
    assert status == 404 and json.loads(body)["error"] == f'Image "{target}" not found'
    api.run("PATCH", f"/1.0/images/{target}", {"public": True})
    try:
        assert guest.get(f"/1.0/images/{target}/export", "-o", "/dev/null")[0] == 200
    finally:
        api.run("PATCH", f"/1.0/images/{target}", {"public": False})


def test_changes_are_told(api, guest, tmp_path):
    reader = guest.events()
    try:
        guest.set(user_k="1")
        guest.set(user_k="2", environment_X="hidden")
        guest.set(user_k="")
        path = f"/1.0/instances/{guest.name}"
        device = {"type": "disk", "source": str(tmp_path), "path": "/mnt/d"}
        whole = api.get(path).metadata
        api.run("PUT", path, {**whole, "devices": {**whole["devices"], "d1": device}})
        api.run("PUT", path, whole)
        seen = [json.loads(reader.stdout.readline()) for _ in range(5)]
    finally:
        reader.kill()
        reader.wait()
    assert [(e["type"], e["metadata"]) for e in seen] == [
        ("config", {"key": "user.k", "old_value": "", "value": "1"}),
        ("config", {"key": "user.k", "old_value": "1", "value": "2"}),
        ("config", {"key": "user.k", "old_value": "2", "value": ""}),
        ("device", {"action": "added", "name": "d1", "config": device}),
        ("device", {"action": "removed", "name": "d1", "config": device}),
    ]


def test_a_device_that_changes_in_place_is_updated_and_another_put_in_again(api, guest, tmp_path):
    path = f"/1.0/instances/{guest.name}"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = api.get(path).metadata
    nic = whole["expanded_devices"]["eth0"]

    def disk(folder):
        return {"type": "disk", "source": str(tmp_path / folder), "path": "/mnt/d"}

    api.run("PUT", path, {**whole, "devices": {"eth0": nic, "d1": disk("a"), "d2": {**disk("b"), "path": "/mnt/e"}}})
    reader = guest.events("?type=device")
    try:
        faster = {**nic, "limits.max": "8Mbit"}
        api.run("PUT", path, {**whole, "devices": {"eth0": faster, "d1": disk("b"), "d3": {**disk("a"), "path": "/mnt/f"}}})
        seen = [json.loads(reader.stdout.readline())["metadata"] for _ in range(5)]
    finally:
        reader.kill()
        reader.wait()
    assert [(event["action"], event["name"]) for event in seen[:2]] in ([("removed", "d1"), ("removed", "d2")],
                                                                       [("removed", "d2"), ("removed", "d1")])  # LXD: any order
    assert seen[2] == {"action": "updated", "name": "eth0", "config": faster}
    assert sorted((event["action"], event["name"]) for event in seen[3:]) == [("added", "d1"), ("added", "d3")]
    assert next(event for event in seen if event["action"] == "added" and event["name"] == "d1")["config"] == disk("b")


def test_security_devlxd_is_live_and_ends_connections(api, guest):
    reader = guest.events()
    guest.set(security_devlxd="false")
    assert reader.stdout.readline() == "end\n"
    reader.wait(10)
    assert guest.get("/1.0") == (403, "not authorized\n")
    assert api.exec(guest.name, ["ls", "/dev/lxd"])[0] != 0
    guest.set(security_devlxd="true")
    assert guest.get("/1.0")[0] == 200
    assert api.exec(guest.name, ["ls", "/dev/lxd/sock"])[0] == 0


KEPT = """
import http.client, socket, sys
class Line(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
line = Line("l")
line.request("GET", "/1.0/config")
answer = line.getresponse()
answer.read()
print(answer.status, answer.getheader("Connection"), flush=True)
line.sock.settimeout(20)  # idle connections end a little later anyway
print("data" if line.sock.recv(1) else "end", flush=True)
"""


@pytest.mark.ours
def test_r30_connections_that_stay_open_end_with_security_devlxd(api, guest):
    with subprocess.Popen(guest.command("/usr/bin/python3", "-c", KEPT, guest.socket), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "200 None\n"
        guest.set(security_devlxd="false")
        assert reader.stdout.readline() == "end\n"
    assert reader.returncode == 0
    refused = run(*guest.command("curl", "-sv", "--unix-socket", guest.socket, "l/1.0"), check=False)
    assert "403 Forbidden" in refused.stderr and "connection: close" in refused.stderr.lower()


def test_without_devlxd_from_the_start(api, daemon, guest):
    guest.set(security_devlxd="false")
    api.run("PUT", f"/1.0/instances/{guest.name}/state", {"action": "restart", "force": True})
    assert api.exec(guest.name, ["ls", "/dev/lxd"])[0] != 0
    assert GuestProcess(api, guest.name).curl(guest.socket, "/1.0")[0] == 403


@pytest.mark.ours
def test_the_socket_survives_the_daemon(own_daemon):
    api = own_daemon.api
    api.run("POST", "/1.0/instances", {"name": "survivor", "source": {"type": "image", "alias": "bb"}, "config": {"user.k": "v"}})
    api.run("PUT", "/1.0/instances/survivor/state", {"action": "start"})
    own_daemon.kill()
    own_daemon.start()
    guest = GuestProcess(api, "survivor")
    wait_until(lambda: api.exec("survivor", ["ls", "/dev/lxd/sock"])[0] == 0)
    assert guest.curl(own_daemon.dir / "devlxd/sock", "/1.0/config/user.k") == (200, "v")
    own_daemon.remove_all()


@pytest.mark.parametrize("change, again", [({"user.user-data": "x"}, True), ({"cloud-init.network-config": "version: 2"}, True),
                                           ({"user.other": "x"}, False), ({"user.meta-data": "a: b"}, False), ({"limits.cpu.priority": "3"}, False)])
def test_cloud_init_runs_again_when_its_data_changes(api, container, change, again):
    path = f"/1.0/instances/{container}"
    before = api.get(path).metadata["config"]["volatile.cloud-init.instance-id"]
    api.run("PATCH", path, {"config": change})
    after = api.get(path).metadata["config"]["volatile.cloud-init.instance-id"]
    assert (before != after) == again
