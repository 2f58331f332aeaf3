# SPDX-License-Identifier: Apache-2.0
"""R11, R12, R13: entering guests and their ids. R16, R17: who may do what. R27, R28, R29: operations and browsers."""
import os
import re
import signal
import stat
import subprocess
import time

import pytest
import websocket

from conftest import remove
from daemons import SOURCE, run, wait_until

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


# What libraries open by themselves: in a guest these are the guest's.
OF_LIBRARIES = re.compile(r"nsswitch|ld\.so|\.so(\.|\b)|locale|gconv|/etc/(passwd|group|localtime|host\.conf|resolv)|charset")


@pytest.mark.ours
@pytest.mark.parametrize("action", ["push", "pull", "list", "delete", "exec", "exec as user", "console", "mknod", "mount"])
def test_r10_nothing_of_the_guest_runs_with_our_rights(api, daemon, container, tmp_path, action):
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"security.syscalls.intercept.mknod": "true"}})
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    trap = "for f in /etc/ld.so.preload /etc/nsswitch.conf /etc/locale.alias /lib/libnss_files.so.2; do echo /trap.so > $f; done; echo x > /root/f"
    assert api.exec(container, ["sh", "-c", f"mkdir -p /lib; {trap}"])[0] == 0
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-s", "300", "-e", "trace=setns,open,openat,openat2,execve,execveat,chroot", "-o", str(trace),
                               "-p", str(daemon.pid)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "TracerPid:\t0\n" not in open(f"/proc/{daemon.pid}/status").read(), what="strace")
        enter_guest(api, container, action)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
    inside, seen = set(), 0
    for line in trace.read_text(errors="replace").splitlines():
        pid, call = line.split(None, 1)
        if call.startswith(("setns(", "chroot(")) and call.endswith("= 0"):
            inside.add(pid)
            seen += 1
        elif call.startswith(("execve(", "execveat(")) and call.endswith("= 0"):
            if pid in inside:
                assert ('"/bin/mknod"' if action == "mknod" else '"/bin/true"') in call, call
            inside.discard(pid)
        elif pid in inside:
            assert not OF_LIBRARIES.search(call), call
    assert seen > 0 or action == "console", "nobody entered the guest"


def enter_guest(api, name, action):
    path = f"/1.0/instances/{name}/files?path="
    if action == "push":
        assert api.post(path + "/root/pushed", data=b"x", headers={"X-LXD-type": "file", "Content-Type": "application/octet-stream"}).status == 200
    elif action in ("pull", "list"):
        assert api.get(path + ("/root/f" if action == "pull" else "/root")).status == 200
    elif action == "delete":
        assert api.delete(path + "/root/f").status == 200
    elif action.startswith("exec"):
        user = 1000 if action.endswith("user") else 0
        assert api.exec(name, ["/bin/true"], user=user, group=user)[0] == 0
    elif action == "console":
        api.run("POST", f"/1.0/instances/{name}/console", {"type": "console", "width": 80, "height": 24}, ok=False)
    elif action == "mknod":
        assert api.exec(name, ["/bin/mknod", "/root/n", "c", "1", "3"])[0] == 0
    else:
        api.run("PATCH", f"/1.0/instances/{name}", {"devices": {"d": {"type": "disk", "source": "/usr/share/doc", "path": "/mnt/d"}}})


@pytest.mark.parametrize("kind", ["directory", "file"])
@pytest.mark.parametrize("when", ["at start", "while it runs"])
def test_the_root_of_a_guest_cannot_make_a_read_only_disk_writable(api, container, tmp_path, when, kind):
    tmp_path.chmod(0o755)
    source = tmp_path / "source"
    inside = source if kind == "file" else source / "x"
    if kind == "directory":
        source.mkdir()
    inside.write_text("before")
    source.chmod(0o777)
    inside.chmod(0o666)
    path = "/mnt/ro"
    disk = {"devices": {"d": {"type": "disk", "source": str(source), "path": path, "readonly": "true"}}}
    steps = [lambda: api.run("PATCH", f"/1.0/instances/{container}", disk),
             lambda: api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})]
    for step in steps if when == "at start" else reversed(steps):
        step()
    target = path if kind == "file" else f"{path}/x"
    for attempt in (f"mount -o remount,bind,rw {path}", f"mount -o remount,rw {path}", f"umount {path}; true",
                    f"mkdir -p /tmp/m; touch /tmp/f; mount -o bind {path} /tmp/{'f' if kind == 'file' else 'm'}; mount -o remount,bind,rw "
                    f"/tmp/{'f' if kind == 'file' else 'm'}; echo w > /tmp/{'f' if kind == 'file' else 'm/x'}"):
        api.exec(container, ["sh", "-c", f"{attempt}; echo written > {target}"])
        assert inside.read_text() == "before", attempt


@pytest.mark.parametrize("command", ["ls -l /proc/self/fd", "cat /proc/self/status", "id -G", "pwd", "cat /proc/self/environ"])
@pytest.mark.ours
def test_r11_exec_enters_clean(api, running, daemon, command):
    code, out, _ = api.exec(running, ["sh", "-c", command])
    assert code == 0
    if "fd" in command:
        numbers = sorted(int(line.split()[8]) for line in out.splitlines() if "->" in line)
        assert numbers[:3] == [0, 1, 2] and len(numbers) <= 4
        assert str(daemon.dir) not in out and "memfd:lxdcore" not in out
    elif "status" in command:
        fields = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
        assert int(fields["CapInh"], 16) == 0 and int(fields["CapAmb"], 16) == 0
        assert fields["Groups"].strip() in ("", "0")
    elif command == "id -G":
        assert out.strip() == "0"
    elif command == "pwd":
        assert out.strip() == "/root"
    else:
        assert "LXD_DIR" not in out and "LXDCORE" not in out


@pytest.mark.ours
@pytest.mark.parametrize("cwd", [f"/proc/self/fd/{n}" for n in (3, 4, 5, 6, 7, 8, 9, 10, 16, 32)])
def test_r11_no_descriptor_of_the_host_is_a_way_out(api, running, cwd):
    operation = api.run("POST", f"/1.0/instances/{running}/exec", {"command": ["cat", "etc/hostname"], "cwd": cwd, "record-output": True}, ok=False)
    if isinstance(operation, dict) and operation["metadata"] and operation["metadata"].get("return") == 0:
        text = api.get(operation["metadata"]["output"]["1"]).body
        assert text.strip() == running.encode()


@pytest.mark.ours
def test_r11_the_guest_cannot_reach_the_entering_program(api, running):
    """/proc/self/exe of what enters is never a file of the host that could be written."""
    api.exec(running, ["sh", "-c", "printf '#!/proc/self/exe\\n' > /root/x; chmod +x /root/x"])
    before = run("sha256sum", SOURCE / "COPYING").stdout
    for _ in range(5):
        api.run("POST", f"/1.0/instances/{running}/exec", {"command": ["/root/x"]}, ok=False)
    assert run("sha256sum", SOURCE / "COPYING").stdout == before
    assert api.exec(running, ["true"])[0] == 0


def uid_map(api, instance):
    pid = api.get(f"/1.0/instances/{instance}/state").metadata["pid"]
    return [list(map(int, line.split())) for line in open(f"/proc/{pid}/uid_map", encoding="ascii")]


def test_r12_root_of_a_guest_is_nobody_on_the_host(api, running):
    first = uid_map(api, running)[0]
    assert first[0] == 0 and first[1] >= 65536 and first[2] >= 65536


def test_r12_isolated_guests_share_no_ids(api, daemon, name):
    ranges = []
    for suffix in "abc":
        api.run("POST", "/1.0/instances", {"name": name + suffix, "source": {"type": "image", "alias": "bb"},
                                           "config": {"security.idmap.isolated": "true"}})
        api.run("PUT", f"/1.0/instances/{name}{suffix}/state", {"action": "start"})
        start, length = uid_map(api, name + suffix)[0][1:]
        ranges.append((start, start + length))
    for suffix in "abc":
        remove(daemon, name + suffix)
    ranges.sort()
    assert all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:])), ranges


@pytest.mark.parametrize("flips", [["true", "false"], ["true", "false", "true"], ["false", "true", "false"]])
def test_r13_the_directory_belongs_to_the_guests_root(api, daemon, container, flips):
    path = daemon.dir / "storage-pools/default/containers" / container
    for value in flips:
        api.run("PATCH", f"/1.0/instances/{container}", {"config": {"security.privileged": value}})
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
        info = os.stat(path)
        assert stat.S_IMODE(info.st_mode) == 0o100, oct(info.st_mode)
        assert (info.st_uid == 0) == (value == "true")
        assert api.exec(container, ["sh", "-c", "touch /root/f && id -u"])[1].strip() == "0"
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "stop", "force": True})


def routes():
    source = SOURCE / "tests/data/routes.txt"
    return [line.split() for line in source.read_text().splitlines() if line and not line.startswith("#")]


PUBLIC = {("GET", "/"), ("GET", "/1.0"), ("GET", "/1.0/images"), ("POST", "/1.0/images"), ("GET", "/1.0/images/x"), ("GET", "/1.0/images/x/export"),
          ("GET", "/1.0/images/aliases"), ("GET", "/1.0/images/aliases/x"), ("POST", "/1.0/certificates"), ("GET", "/1.0/operations/x/wait"),
          ("GET", "/1.0/operations/x/websocket")}


@pytest.mark.parametrize("who", ["untrusted", "stranger"])
def test_r16_every_route_refuses_whoever_is_not_trusted(request, api, who):
    client = request.getfixturevalue(who)
    rows = routes()
    wrong = []
    connection = client.connection()  # one for all: a handshake each takes minutes
    for method, path in rows:
        if (method, path) in PUBLIC:
            continue
        connection.request(method, path, body=b"{}" if method != "GET" else None)
        reply = connection.getresponse()
        reply.read()
        if reply.status not in (401, 403, 404, 501) or (reply.status in (404, 501) and api.request("GET", path).status not in (404, 501)):
            wrong.append((method, path, reply.status))
    connection.close()
    assert not wrong
    assert len(rows) > 60


@pytest.mark.ours
@pytest.mark.parametrize("headers", [{"Content-Length": "0"}, {"Content-Length": str(1 << 30)}, {"Transfer-Encoding": "chunked"}])
@pytest.mark.parametrize("path", ["/1.0/instances", "/1.0/profiles", "/1.0/networks", "/1.0/storage-pools"])
def test_r16_is_checked_before_the_body_is_read(untrusted, headers, path):
    sock = untrusted.raw_socket(timeout=8)
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: l\r\n{lines}\r\n".encode())
    assert sock.recv(4096).startswith(b"HTTP/1.1 403")
    sock.close()


def test_r16_the_untrusted_see_little(untrusted):
    metadata = untrusted.get("/1.0").metadata
    assert metadata["auth"] == "untrusted" and not metadata.get("config") and not metadata.get("environment", {}).get("kernel")
    assert untrusted.get("/1.0/images").metadata == []


def test_r17_the_socket_is_for_its_group(daemon):
    info = os.stat(daemon.socket)
    assert stat.S_IMODE(info.st_mode) == 0o660 and info.st_uid == 0
    assert run(*NOBODY, "curl", "-s", "--unix-socket", daemon.socket, "http://l/1.0", check=False).returncode != 0


def test_r17_no_abstract_socket(daemon):
    lines = [line for line in run("ss", "-xlpH").stdout.splitlines() if f"pid={daemon.pid}," in line]
    assert lines and not [line for line in lines if " @" in line]


@pytest.mark.parametrize("path", ["/internal/ready", "/internal/sql", "/internal/shutdown", "/internal/containers/1/onstop"])
def test_r17_internal_routes_are_local(trusted, untrusted, path):
    for client in (trusted, untrusted):
        for method in ("GET", "POST", "PUT"):
            assert client.request(method, path, {} if method != "GET" else None).status in (403, 404, 501)


def start_exec(client, running, **fields):
    reply = client.post(f"/1.0/instances/{running}/exec", {"command": ["sleep", "60"], "wait-for-websocket": True, "interactive": False, **fields})
    assert reply.status == 202, reply.body
    return reply.json["metadata"]["id"], reply.json["metadata"]["metadata"]["fds"]


@pytest.mark.ours
def test_r27_operations_are_their_owners(trusted, second_trusted, running):
    """Another identity finds nothing, however it asks; an administrator of the host may."""
    identifier, fds = start_exec(trusted, running)
    path = f"/1.0/operations/{identifier}"
    assert trusted.get(path).status == 200
    for secret in fds.values():
        assert secret not in second_trusted.get("/1.0/operations?recursion=1").body.decode()
    reply = second_trusted.get(path)
    assert reply.status in (403, 404) or not (set(fds.values()) & set(str(reply.body).split('"')))
    refused = second_trusted.delete(path)
    assert refused.status in (400, 403, 404), refused.body
    assert trusted.get(path).metadata["status"] == "Running"
    # A command ends by a signal or with its client, never by cancelling.
    refused = trusted.delete(path)
    assert refused.status == 400 and refused.error == "This operation can't be cancelled"
    assert trusted.get(path).metadata["status"] == "Running"


@pytest.mark.ours
def test_r27_no_secret_in_lists_events_and_logs(api, trusted, running, daemon):
    events = api.websocket("/1.0/events?type=operation")
    _, fds = start_exec(trusted, running)
    time.sleep(0.5)
    text = b""
    events.settimeout(0.5)
    try:
        while True:
            text += events.recv().encode()
    except (websocket.WebSocketTimeoutException, OSError):
        pass
    events.close()
    text += second(api) + daemon.log_tail(1 << 20).encode()
    assert not [s for s in fds.values() if s.encode() in text]


def second(api):
    return api.get("/1.0/operations?recursion=1").body


@pytest.mark.ours
def test_r28_a_channel_takes_one_connection_and_the_right_secret(trusted, second_trusted, untrusted, running):
    identifier, fds = start_exec(trusted, running)
    path = f"/1.0/operations/{identifier}/websocket?secret="
    assert len(fds["0"]) >= 64
    for client, secret in ((trusted, "wrong"), (trusted, fds["0"][:-1]), (trusted, ""), (second_trusted, fds["0"]), (untrusted, fds["0"])):
        with pytest.raises((websocket.WebSocketException, OSError)):
            client.websocket(path + secret)
    first = trusted.websocket(path + fds["0"])
    with pytest.raises((websocket.WebSocketException, OSError)):
        trusted.websocket(path + fds["0"])
    first.close()


@pytest.mark.ours
def test_r28_unattached_channels_expire_and_end_the_command(api, running):
    identifier, _ = start_exec(api, running)
    operation = api.wait(f"/1.0/operations/{identifier}", 45)
    assert operation["status"] == "Failure" and "websocket" in operation["err"]
    assert "sleep 60" not in api.exec(running, ["ps"])[1]


CROSS = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]


@pytest.mark.ours
@pytest.mark.parametrize("headers", CROSS)
def test_r29_other_sites_change_nothing(api, trusted, headers):
    for client in (api, trusted):
        for method, path in (("PATCH", "/1.0"), ("POST", "/1.0/profiles"), ("PUT", "/1.0/profiles/default"), ("DELETE", "/1.0/profiles/x")):
            assert client.request(method, path, {}, headers=headers).status == 403
        assert client.get("/1.0/events", headers={**headers, "Upgrade": "websocket", "Connection": "Upgrade",
                                                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}).status == 403 \
            or "Sec-Fetch-Site" in headers


def test_r29_ones_own_site_and_programs_may(api, daemon):
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        assert api.patch("/1.0", {"config": {}}, headers=headers).status == 200
    for origin in (None, "ws+unix://" + daemon.socket):
        socket = websocket.create_connection("ws://lxd/1.0/events?type=lifecycle", socket=api.raw_socket(), timeout=10,
                                             **({"origin": origin} if origin else {"suppress_origin": True}))
        socket.close()
    assert "access-control-allow-origin" not in {k.lower() for k in api.get("/1.0").headers}
