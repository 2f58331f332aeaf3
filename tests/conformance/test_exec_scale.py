# SPDX-License-Identifier: Apache-2.0
"""Commands in large numbers and with large streams, and what is left when somebody vanishes."""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import time

import pytest
import websocket

from daemons import run, wait_until
from tested_build import resident

MEGABYTE = 1 << 20


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def threads(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/task"))


def processes_in(text):
    """Command lines on the host with `text` in them, clients left out."""
    return [line for line in run("ps", "-eo", "args", "ww").stdout.splitlines() if text in line and not line.startswith(("lxc ", "ps "))]


class Command:
    """A command over websockets."""

    def __init__(self, api, instance, command, **fields):
        self.api = api
        reply = api.post(f"/1.0/instances/{instance}/exec", {"command": command, "wait-for-websocket": True, "interactive": False, **fields})
        self.operation, self.fds = reply.operation(), reply.metadata["metadata"]["fds"]
        self.sockets = {}

    def attach(self, *channels):
        for channel in channels or self.fds:
            self.sockets[channel] = self.api.websocket(f"{self.operation}/websocket?secret={self.fds[channel]}", timeout=60)
        return self

    def close(self):
        for socket in self.sockets.values():
            socket.close()

    def result(self):
        return self.api.wait(self.operation)


# -- numbers ----------------------------------------------------------------------------------------------------------
def test_two_hundred_commands_at_once(api, daemon, running):
    def one(number):
        operation = api.wait(api.post(f"/1.0/instances/{running}/exec", {
            "command": ["sh", "-c", f"sleep 0.5; exit {number % 200}"], "wait-for-websocket": False}).operation(), 120)
        return operation["metadata"]["return"]

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        assert list(pool.map(one, range(200))) == [number % 200 for number in range(200)]


def test_sixteen_at_once_are_made_used_and_removed(api, daemon, name):
    """Each with commands of its own, some of which are interrupted by the end of their container."""
    names = [f"{name}-{i}" for i in range(16)]

    def life(one):
        path = f"/1.0/instances/{one}"
        api.run("POST", "/1.0/instances", {"name": one, "source": {"type": "image", "alias": "bb"}}, timeout=110)
        api.run("PUT", path + "/state", {"action": "start"}, timeout=110)
        assert api.exec(one, ["hostname"])[:2] == (0, one + "\n")
        left = api.post(path + "/exec", {"command": ["sleep", "4646"], "wait-for-websocket": False}).operation()
        api.run("PUT", path + "/state", {"action": "stop", "force": True}, timeout=110)
        reply = api.get(left + "/wait?timeout=20", timeout=60)
        assert reply.status == 404 or reply.metadata["status_code"] >= 200, reply.body
        api.run("DELETE", path, timeout=110)
        return api.get(path).status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(life, names)) == [404] * 16
    assert not processes_in("sleep 4646")


@pytest.mark.ours
def test_r58_a_thousand_commands_leave_nothing(api, daemon, running):
    def some(count):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda _: api.exec(running, ["true"])[0] if _ % 10 == 0 else api.run(
                "POST", f"/1.0/instances/{running}/exec", {"command": ["true"], "wait-for-websocket": False})["metadata"]["return"], range(count)))
        assert codes == [0] * count

    some(50)
    wait_until(lambda: not processes_in("lxdcore-helper exec"), what="helpers gone")
    time.sleep(1)
    before = descriptors(daemon), threads(daemon)
    some(1000)
    wait_until(lambda: not processes_in("lxdcore-helper exec"), what="helpers gone")
    wait_until(lambda: descriptors(daemon) <= before[0] + 5, what=f"descriptors back to {before[0]}")
    assert threads(daemon) <= before[1] + 2
    children = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    assert not [pid for pid in children if "Z (zombie)" in pathlib.Path(f"/proc/{pid}/status").read_text()]


# -- streams ----------------------------------------------------------------------------------------------------------
@pytest.mark.ours
def test_r53_streams_of_256_megabytes_need_no_memory(daemon, running):
    """Through the stock client, both ways at once."""
    before, most = resident(daemon.pid), 0.0
    source = subprocess.Popen(["head", "-c", str(256 * MEGABYTE), "/dev/zero"], stdout=subprocess.PIPE)
    with subprocess.Popen(["lxc", "exec", running, "--", "cat"], env=daemon.env, stdin=source.stdout, stdout=subprocess.PIPE) as client:
        digest, size = hashlib.sha256(), 0
        while block := client.stdout.read(MEGABYTE):
            digest.update(block)
            size += len(block)
            most = max(most, resident(daemon.pid))
    source.wait()
    assert size == 256 * MEGABYTE
    assert digest.hexdigest() == hashlib.sha256(bytes(256 * MEGABYTE)).hexdigest()
    assert most < before + 64


def peak(pid):
    """The most memory that a process has had, MiB; 0 when it is gone."""
    return resident(pid, "VmHWM")


def helpers_of(daemon):
    """The helpers that stand between the daemon and commands."""
    found = []
    for pid in pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"lxdcore-helper" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


@pytest.mark.ours
@pytest.mark.limit(400)
@pytest.mark.parametrize("way", ["in", "out"])
def test_r53_a_gigabyte_each_way_needs_no_memory_of_daemon_or_helper(daemon, running, way):
    pathlib.Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")  # the peak begins anew
    before, size, most = resident(daemon.pid), 1 << 30, {}
    if way == "in":
        command = ["sh", "-c", "head -c 1073741824 /dev/zero | lxc exec \"$1\" -- sh -c 'cat | wc -c'", "sh", running]
    else:
        command = ["sh", "-c", "lxc exec \"$1\" -- head -c 1073741824 /dev/zero | wc -c", "sh", running]
    with subprocess.Popen(command, env=daemon.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        while client.poll() is None:
            for pid in helpers_of(daemon):
                most[pid] = max(most.get(pid, 0), peak(pid))
            time.sleep(0.2)
        assert int(client.stdout.read()) == size and client.returncode == 0
    assert peak(daemon.pid) < before + 32
    assert all(value < 32 for value in most.values()), most


@pytest.mark.ours
def test_r53_a_client_that_does_not_read_costs_no_memory(api, daemon, running):
    before = resident(daemon.pid)
    command = Command(api, running, ["sh", "-c", "yes"]).attach()
    time.sleep(3)
    assert resident(daemon.pid) < before + 32
    command.close()
    assert command.result()["status"] in ("Success", "Failure")
    wait_until(lambda: api.exec(running, ["pidof", "yes"])[0] != 0, what="end of yes")


@pytest.mark.ours
def test_r53_recorded_output_is_bounded(api, daemon, running):
    operation = api.run("POST", f"/1.0/instances/{running}/exec", {
        "command": ["sh", "-c", "head -c 100000000 /dev/zero"], "wait-for-websocket": False, "record-output": True}, timeout=120)
    assert operation["metadata"]["return"] == 0
    name = operation["metadata"]["output"]["1"].rsplit("/", 1)[1]
    assert (daemon.dir / "logs" / running / name).stat().st_size <= 64 * MEGABYTE
    api.delete(operation["metadata"]["output"]["1"])


# -- who vanishes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("interactive", [False, True])
def test_a_client_that_vanishes_ends_its_command(api, running, interactive):
    command = Command(api, running, ["sleep", "4242"], interactive=interactive).attach()
    wait_until(lambda: processes_in("sleep 4242"), what="sleep runs")
    for socket in command.sockets.values():
        socket.sock.close()
    wait_until(lambda: not processes_in("sleep 4242"), what="end of sleep")
    wait_until(lambda: api.get(command.operation).status == 404 or api.get(command.operation).metadata["status_code"] >= 200, what="end of the operation")


@pytest.mark.limit(240)
def test_commands_may_take_their_time(daemon, running):
    """The stock client answers no pings where it only writes, nor while nobody takes the output."""
    ways = {"input is empty": ([], subprocess.DEVNULL), "input is open": ([], subprocess.PIPE), "terminal": (["-t"], subprocess.DEVNULL),
            "nobody reads": ([], subprocess.DEVNULL)}
    command = ["sh", "-c", "seq 1 15000; sleep 80; echo end"]  # more than a pipe takes, less than all buffers
    clients = {way: subprocess.Popen(["lxc", "exec", *more, running, "--", *command], env=daemon.env, stdin=stdin, stdout=subprocess.PIPE)
               for way, (more, stdin) in ways.items()}
    out = {}
    for way, client in clients.items():
        if way == "nobody reads":  # until long after the command's end
            time.sleep(5)
        out[way] = client.stdout.read().split()[-1:]
        client.wait(60)
    assert out == {way: [b"end"] for way in ways}
    assert {way: client.returncode for way, client in clients.items()} == {way: 0 for way in ways}


def test_signals_reach_the_command(api, running):
    command = Command(api, running, ["sh", "-c", "trap 'exit 33' USR1; while true; do sleep 0.1; done"]).attach()
    time.sleep(0.5)
    command.sockets["control"].send(json.dumps({"command": "signal", "signal": 10}))
    assert command.result()["metadata"]["return"] == 33
    command.close()


@pytest.mark.ours
@pytest.mark.parametrize("how", ["kill", "restart"])
def test_a_daemon_that_ends_leaves_no_command_behind(own_daemon, how):
    api = own_daemon.api
    api.run("POST", "/1.0/instances", {"name": "c1", "source": {"type": "image", "alias": "bb"}})
    api.run("PUT", "/1.0/instances/c1/state", {"action": "start"})
    client = subprocess.Popen(["lxc", "exec", "c1", "--", "sleep", "4343"], env=own_daemon.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    api.post("/1.0/instances/c1/exec", {"command": ["sleep", "4344"], "wait-for-websocket": False})
    wait_until(lambda: len(processes_in("sleep 434")) == 2, what="both sleep")
    if how == "kill":
        own_daemon.kill()
    else:
        own_daemon.signal(15)
    wait_until(lambda: client.poll() is not None, what="end of the client")
    wait_until(lambda: not processes_in("sleep 434"), what="end of the commands")
    wait_until(lambda: not processes_in("lxdcore-helper exec"), what="helpers gone")
    own_daemon.start()
    assert own_daemon.api.exec("c1", ["echo", "again"])[:2] == (0, "again\n")


# -- channels ---------------------------------------------------------------------------------------------------------
@pytest.mark.ours
def test_r28_channels_are_for_one_who_knows_the_secret(api, second_trusted, running):
    command = Command(api, running, ["cat"])
    path = f"{command.operation}/websocket?secret="
    secret = command.fds["0"]
    for wrong in ("x", secret[:-1], secret + "0", secret[:-1] + ("0" if secret[-1] != "0" else "1"), secret.upper(), "0" * 64):
        if wrong == secret:
            continue
        with pytest.raises(websocket.WebSocketBadStatusException):
            api.websocket(path + wrong)
    with pytest.raises(websocket.WebSocketBadStatusException) as error:
        second_trusted.websocket(path + secret)
    assert error.value.status_code == 403
    command.attach()
    for channel in command.fds:
        with pytest.raises(websocket.WebSocketBadStatusException):
            api.websocket(path + command.fds[channel])
    command.sockets["0"].send("")
    assert command.result()["metadata"]["return"] == 0
    with pytest.raises(websocket.WebSocketBadStatusException):
        api.websocket(path + secret)
    command.close()


@pytest.mark.ours
@pytest.mark.parametrize("attached", [(), ("0",), ("1", "2"), ("0", "control")])
def test_r28_a_command_that_is_not_attached_to_expires(api, running, attached):
    command = Command(api, running, ["sleep", "4545"]).attach(*attached) if attached else Command(api, running, ["sleep", "4545"])
    operation = api.wait(command.operation, 35)
    assert (operation["status"], operation["err"]) == ("Failure", "Timed out waiting for websockets to connect")
    assert not processes_in("sleep 4545")
    command.close()


FRAMES = {
    "unmasked": b"\x82\x05hello", "reserved-bits": b"\xf2\x80\0\0\0\0", "reserved-opcode": b"\x83\x80\0\0\0\0",
    "long-control": b"\x89\xfe\x01\x00" + bytes(4 + 256), "cut-control": b"\x09\x80\0\0\0\0", "continuation-first": b"\x80\x80\0\0\0\0",
    "huge-length": b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", "bad-utf8": b"\x81\x82\0\0\0\0\xff\xfe", "bad-close": b"\x88\x81\0\0\0\0x",
    "garbage": os.urandom(4096)}


@pytest.mark.ours
@pytest.mark.parametrize("channel", ["0", "1", "control"])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_r52_bad_frames_end_their_command_only(api, daemon, running, channel, frame):
    command = Command(api, running, ["cat"]).attach()
    with contextlib.suppress(OSError):
        command.sockets[channel].sock.sendall(frame)
    time.sleep(0.05)
    command.close()
    wait_until(lambda: api.get(command.operation).status == 404 or api.get(command.operation).metadata["status_code"] >= 200, what="end of the operation")
    assert api.exec(running, ["true"])[0] == 0


@pytest.mark.ours
def test_r52_odd_control_messages_do_no_harm(api, running):
    command = Command(api, running, ["cat"], interactive=True).attach()
    for message in ('{"command":5}', '{"command":"window-resize"}', '{"command":"window-resize","args":[]}', '{"command":"signal"}',
                    '{"command":"signal","signal":"x"}', '{"command":"signal","signal":-1}', '{"command":"signal","signal":99999999999}',
                    '{"command":"window-resize","args":{"width":"99999999999999999999","height":1e300}}', '{"command":"window-resize","args":{"width":{},"height":[]}}'):
        command.sockets["control"].send(message)
    time.sleep(0.3)
    assert api.get(command.operation).metadata["status"] == "Running"
    command.sockets["control"].send("no json" * 20000)
    time.sleep(0.3)
    command.close()
    assert api.exec(running, ["true"])[0] == 0
