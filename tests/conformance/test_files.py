# SPDX-License-Identifier: Apache-2.0
"""Files of instances over the REST API: what names, sizes, kinds and owners they may have, and whom they may not reach."""
import contextlib
import hashlib
import os
import stat
import subprocess
import threading
import time
import urllib.parse

import pytest

from tested_build import resident

MEGABYTE = 1 << 20


@pytest.fixture(params=["running", "stopped"])
def instance(request, daemon, container):
    if request.param == "running":
        daemon.api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    return container


def url(instance, path):
    return f"/1.0/instances/{instance}/files?path=" + urllib.parse.quote(path, safe="")


def header(reply, name):
    """Whatever its case."""
    return {key.lower(): value for key, value in reply.headers.items()}[name.lower()]


NAMES = {"spaces": b"a b  c", "quotes": b"\"'`$(x)\\", "newline": b"a\nb\tc", "not-utf8": b"\xff\xfe\x80", "latin": b"caf\xe9", "utf8": "käse 日本".encode(),
         "percent": b"100%25", "plus": b"a+b&c=d;e#f?g", "dashes": b"--help", "dots": b"...", "long": b"x" * 255, "control": bytes(range(1, 32)),
         "delete": b"a\x7fb"}


@pytest.mark.parametrize("file", NAMES.values(), ids=NAMES)
def test_names_are_any_bytes(api, instance, file):
    path = url(instance, b"/root/" + file)
    assert api.post(path, data=b"inside").status == 200
    assert api.get(path).body == b"inside"
    assert header(api.request("HEAD", path), "X-LXD-type") == "file"
    shown = api.get(url(instance, b"/root")).metadata
    assert file.decode(errors="replace") in shown
    assert api.delete(path).status == 200
    assert api.get(path).status == 404


@pytest.mark.ours
def test_r8_names_that_cannot_be_are_refused(api, instance):
    for name in (b"a\0b", b"\0", b"x" * 256, b"y/" * 3000):
        assert api.post(url(instance, b"/root/" + name), data=b"x").status >= 400
    assert api.get(f"/1.0/instances/{instance}/files?path=%zz").status == 400
    assert api.get("/1.0/instances?filter=%ff").status == 400


def test_kinds_modes_and_owners(api, instance):
    headers = {"X-LXD-uid": "1000", "X-LXD-gid": "1001", "X-LXD-mode": "0640"}
    assert api.post(url(instance, "/root/f"), data=b"one", headers=headers).status == 200
    got = api.get(url(instance, "/root/f"))
    assert [header(got, "X-LXD-" + key) for key in ("uid", "gid", "mode", "type")] == ["1000", "1001", "0640", "file"]
    assert api.post(url(instance, "/root/f"), data=b" two", headers={"X-LXD-write": "append"}).status == 200
    assert api.get(url(instance, "/root/f")).body == b"one two"
    assert api.post(url(instance, "/root/f"), data=b"3").status == 200
    assert api.get(url(instance, "/root/f")).body == b"3"
    assert api.post(url(instance, "/root/d"), headers={"X-LXD-type": "directory", "X-LXD-mode": "0711", "X-LXD-uid": "5"}).status == 200
    got = api.get(url(instance, "/root/d"))
    assert (got.metadata, header(got, "X-LXD-type"), header(got, "X-LXD-mode"), header(got, "X-LXD-uid")) == ([], "directory", "0711", "5")
    assert api.post(url(instance, "/root/l"), data=b"f", headers={"X-LXD-type": "symlink"}).status == 200
    got = api.get(url(instance, "/root/l"))
    assert header(got, "X-LXD-type") == "symlink"
    assert got.body in (b"f", b"/root/f")  # LXD makes it absolute
    assert header(api.request("HEAD", url(instance, "/root/d")), "X-LXD-type") == "directory"
    assert header(api.request("HEAD", url(instance, "/root/l")), "X-LXD-type") == "symlink"
    assert api.request("HEAD", url(instance, "/root/none")).status == 404


@pytest.mark.ours
def test_a_sparse_file_beyond_four_gibibytes_is_pulled_in_bounded_memory(api, daemon, running):
    size = (4 << 30) + 4096
    assert api.exec(running, ["dd", "if=/dev/zero", "of=/root/big", "bs=1", "count=1", f"seek={size - 1}"])[0] == 0
    before, most, got = resident(daemon.pid), 0.0, 0
    connection = api.connection(120)
    connection.request("GET", url(running, "/root/big"))
    reply = connection.getresponse()
    assert int(reply.getheader("Content-Length") or size) == size
    while block := reply.read(8 * MEGABYTE):
        got += len(block)
        most = max(most, resident(daemon.pid))
    connection.close()
    assert got == size
    assert most < before + 32


@pytest.mark.ours
@pytest.mark.limit(300)
def test_a_sparse_file_beyond_four_gibibytes_is_pushed_in_bounded_memory(daemon, container, tmp_path):
    size = (4 << 30) + 1
    with open(tmp_path / "big", "wb") as file:
        file.truncate(size)
        file.seek(size - 1)
        file.write(b"e")
    before, most = resident(daemon), 0.0
    pushing = subprocess.Popen(["lxc", "file", "push", tmp_path / "big", f"{container}/root/big"], env={**os.environ, **daemon.env},
                               stdout=subprocess.DEVNULL)
    while pushing.poll() is None:
        most = max(most, resident(daemon))
        time.sleep(0.05)
    assert pushing.returncode == 0
    made = daemon.dir / "containers" / container / "rootfs/root/big"
    try:
        assert made.stat().st_size == size
        with open(made, "rb") as file:
            file.seek(size - 1)
            assert file.read() == b"e"
        assert most < before + 32
    finally:
        made.unlink()


@pytest.mark.ours
def test_200_megabytes_are_pushed_and_appended_in_bounded_memory(api, daemon, instance):
    before, most, digest = resident(daemon.pid), 0.0, hashlib.sha256()
    block = os.urandom(MEGABYTE)

    def content():
        nonlocal most
        for _ in range(100):
            digest.update(block)
            most = max(most, resident(daemon.pid))
            yield block

    for write in ("overwrite", "append"):
        connection = api.connection(120)
        connection.request("POST", url(instance, "/root/big"), body=content(), headers={"X-LXD-write": write, "Content-Length": str(100 * MEGABYTE)})
        assert connection.getresponse().status == 200
        connection.close()
    got = api.get(url(instance, "/root/big")).body
    assert hashlib.sha256(got).digest() == digest.digest()
    assert most < before + 32


@pytest.mark.ours
def test_r10_links_that_are_swapped_meanwhile_never_lead_out(api, running, canary):
    api.run("POST", f"/1.0/instances/{running}/exec", {
        "command": ["sh", "-c", f"mkdir /root/real; ln -s {canary} /root/link; (while [ ! -e /stop ]; do mv -T /root/real /root/x 2>/dev/null; "
                    "mv -T /root/link /root/real 2>/dev/null; mv -T /root/real /root/link 2>/dev/null; mv -T /root/x /root/real 2>/dev/null; done) "
                    ">/dev/null 2>&1 &"], "wait-for-websocket": False, "record-output": False})
    seen = []

    def client(number):
        for i in range(25):
            with contextlib.suppress(OSError):
                api.post(url(running, f"/root/real/f{number}-{i}"), data=b"x")
                seen.append(api.get(url(running, "/root/real/secret")).body)
                api.delete(url(running, "/root/real/secret"))
                api.post(url(running, f"/root/real/d{number}"), headers={"X-LXD-type": "directory"})

    clients = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    api.exec(running, ["touch", "/stop"])
    assert not any(b"canary-secret" in body for body in seen)


@pytest.mark.ours
def test_a_client_that_vanishes_in_a_push_has_changed_nothing(api, daemon, instance):
    assert api.post(url(instance, "/root/f"), data=b"before").status == 200
    sock = api.raw_socket()
    sock.sendall(f"POST {url(instance, '/root/f')} HTTP/1.1\r\nHost: l\r\nContent-Length: 10000000\r\n\r\n".encode() + b"x" * 3_000_000)
    sock.close()
    assert api.get(url(instance, "/root/f")).body == b"before"


def described(top):
    """Kinds, modes, targets and content of everything below."""
    found = {}
    for path in sorted(top.rglob("*")):
        seen = path.lstat()
        kind = stat.S_IFMT(seen.st_mode)
        found[str(path.relative_to(top))] = (
            kind, os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes(),
            None if path.is_symlink() else seen.st_mode & 0o777)
    return found


def test_the_client_takes_a_tree_there_and_back(daemon, instance, tmp_path):
    tree = tmp_path / "tree"
    for folder in ("deep/deeper/deepest", "empty", "odd names"):
        (tree / folder).mkdir(parents=True)
    for number, name in enumerate(("plain", "a b", "käse", "-dash", "quote'\"", "back\\slash", "100%", "a+b&c=d;e#f?g")):
        (tree / "odd names" / name).write_text(name)
        (tree / "odd names" / name).chmod((0o600, 0o644, 0o755, 0o440)[number % 4])
    (tree / "deep/deeper/deepest/zero").touch()
    (tree / "deep/large").write_bytes(os.urandom(3 << 20))
    (tree / "dangling").symlink_to("/nowhere/at all")
    (tree / "deep/up").symlink_to("../odd names/a b")
    before = described(tree)
    daemon.lxc("file", "push", "-r", tree, f"{instance}/root/")
    daemon.lxc("file", "pull", "-r", f"{instance}/root/tree", tmp_path / "back")
    assert described(tmp_path / "back/tree") == before


@pytest.mark.ours
def test_a_file_beyond_four_gibibytes_is_appended_to(api, daemon, instance):
    size = (4 << 30) + 5
    made = daemon.dir / "containers" / instance / "rootfs/root/far"
    api.post(url(instance, "/root/far"), data=b"x")
    os.truncate(made, size)
    reply = api.request("POST", url(instance, "/root/far"), data=b"the end", headers={"X-LXD-write": "append"})
    assert reply.status == 200 and made.stat().st_size == size + 7
    with open(made, "rb") as file:
        file.seek(size)
        assert file.read() == b"the end"
    assert made.stat().st_blocks * 512 < MEGABYTE
