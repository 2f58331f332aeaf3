# SPDX-License-Identifier: Apache-2.0
"""R35, R36: firewall and dnsmasq. R37: files at rest. R40 to R44: what happens to data when things break."""
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import tarfile
import time

import pytest

from daemons import Daemon, run, wait_until

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def rules_of(daemon):
    return [line.strip() for line in run("nft", "list", "ruleset").stdout.splitlines() if daemon.bridge in line]


@pytest.mark.ours
def test_r35_rules_outlive_the_daemon_and_come_back(own_daemon):
    daemon = own_daemon
    before = rules_of(daemon)
    assert before
    run("nft", "add", "table", "inet", "lxdcore_foreign")
    try:
        daemon.kill()
        assert rules_of(daemon) == before
        for table in run("nft", "list", "tables").stdout.splitlines():
            family, name = table.split()[1:3]
            if daemon.bridge in run("nft", "list", "table", family, name).stdout:
                chains = run("nft", "list", "table", family, name).stdout
                if chains.count("chain") and all(daemon.bridge in c or "chain" not in c for c in chains.splitlines() if "chain " in c):
                    run("nft", "delete", "table", family, name)
        daemon.start()
        assert sorted(rules_of(daemon)) == sorted(before)
        assert "lxdcore_foreign" in run("nft", "list", "tables").stdout
    finally:
        run("nft", "delete", "table", "inet", "lxdcore_foreign")


def test_r35_rules_of_a_nic_go_with_it(daemon, api, container):
    before = run("nft", "list", "ruleset").stdout.count("\n")
    run_state = f"/1.0/instances/{container}/state"
    api.run("PUT", run_state, {"action": "start"})
    api.run("PUT", run_state, {"action": "stop", "force": True})
    assert run("nft", "list", "ruleset").stdout.count("\n") == before


def dnsmasq_of(daemon):
    for pid in map(int, run("pgrep", "-x", "dnsmasq", check=False).stdout.split()):
        try:
            if str(daemon.dir) in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        except OSError:
            continue
    return None


@pytest.mark.ours
def test_r36_dnsmasq_is_unprivileged_and_started_again(own_daemon):
    first = wait_until(lambda: dnsmasq_of(own_daemon), what="dnsmasq")
    uid = next(line.split()[1] for line in open(f"/proc/{first}/status", encoding="ascii") if line.startswith("Uid:"))
    assert uid != "0"
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: (lambda pid: pid if pid and pid != first else None)(dnsmasq_of(own_daemon)), what="a new dnsmasq")
    assert second != first


def test_r36_host_entries_come_from_instance_names(daemon, api, running):
    """A guest that asks under the name of another changes no answer."""
    wait_until(lambda: len(api.get(f"/1.0/instances/{running}/state").metadata["network"]["eth0"]["addresses"]) > 1, what="address")
    api.exec(running, ["udhcpc", "-n", "-q", "-i", "eth0", "-x", "hostname:gateway-of-all", "-s", "/etc/udhcpc.script"])
    answer = api.exec(running, ["nslookup", f"gateway-of-all.lxd", f"{daemon.subnet}.1"])[1]
    assert f"Address: {daemon.subnet}." not in answer.split("gateway-of-all", 1)[-1]
    leases = [lease["hostname"] for lease in api.get(f"/1.0/networks/{daemon.bridge}/leases").metadata]
    assert "gateway-of-all" not in leases


def test_r37_nobody_reads_anything(daemon, running):
    found = run(*NOBODY, "find", daemon.dir, "-type", "f", "-readable", check=False).stdout.split()
    assert [f for f in found if not f.endswith("server.crt")] == []


@pytest.mark.ours
@pytest.mark.parametrize("path,mode", [("", 0o711), ("database", 0o700), ("images", 0o700), ("logs", 0o700), ("server.key", 0o600),
                                       ("database/local.db", 0o600), ("storage-pools/default/custom", 0o700)])
def test_r37_modes_are_tight_and_set_again_at_start(own_daemon, path, mode):
    target = own_daemon.dir / path
    if not target.exists():
        pytest.skip("is not there yet")
    assert target.stat().st_mode & 0o777 == mode
    if path != "":
        target.chmod(0o777 if target.is_dir() else 0o666)
        own_daemon.restart()
        assert target.stat().st_mode & 0o777 == mode


def trace_with(daemon, *inject):
    process = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,pwrite64,write", *inject, "-p", str(daemon.pid)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    return process


@pytest.mark.ours
def test_r40_after_a_failed_sync_no_write_succeeds(own_daemon):
    api = own_daemon.api
    tracer = trace_with(own_daemon, "-e", "inject=fsync,fdatasync:error=EIO:when=1+")
    try:
        codes = [api.post("/1.0/profiles", {"name": f"eio{i}"}).status for i in range(5)]
        assert all(code >= 500 for code in codes), codes
        assert api.get("/1.0/profiles").status == 200
    finally:
        tracer.terminate()
        tracer.wait()
    assert api.post("/1.0/profiles", {"name": "later"}).status >= 500, "writes again without a restart"
    own_daemon.restart()
    assert own_daemon.api.post("/1.0/profiles", {"name": "later"}).status == 201
    names = own_daemon.api.get("/1.0/profiles").metadata
    assert not [n for n in names if "/eio" in n]


def on_disk(daemon, name):
    return [str(p) for top in ("storage-pools", "containers", "logs") for p in (daemon.dir / top).rglob(f"*{name}*") if "rootfs" not in p.parts]


@pytest.mark.ours
@pytest.mark.parametrize("action", ["create", "copy", "delete", "rename", "start"])
def test_r41_r42_a_killed_daemon_leaves_all_or_nothing(own_daemon, action):
    """kill -9 at random times; afterwards the object is whole or absent, and the same request works."""
    daemon, seed = own_daemon, random.Random(action)
    base = {"name": "base", "source": {"type": "image", "alias": "bb"}}
    daemon.api.run("POST", "/1.0/instances", base)
    for number in range(6):
        name = f"k{number}"
        api = daemon.api
        if action != "create" and action != "copy":
            api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}})
        request = {"create": ("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}}),
                   "copy": ("POST", "/1.0/instances", {"name": name, "source": {"type": "copy", "source": "base"}}),
                   "delete": ("DELETE", f"/1.0/instances/{name}", None), "rename": ("POST", f"/1.0/instances/{name}", {"name": name + "-new"}),
                   "start": ("PUT", f"/1.0/instances/{name}/state", {"action": "start"})}[action]
        api.request(*request)
        time.sleep(seed.random() * 0.06)
        daemon.kill()
        daemon.start()
        api = daemon.api
        for candidate in (name, name + "-new"):
            reply = api.get(f"/1.0/instances/{candidate}")
            if reply.status == 404:
                if candidate == name and not (action == "rename" and api.get(f"/1.0/instances/{name}-new").status == 200):
                    assert on_disk(daemon, name) == []
                continue
            assert (daemon.dir / "storage-pools/default/containers" / candidate / "rootfs/bin/busybox").exists()
            if reply.metadata["status"] != "Running":
                api.run("PUT", f"/1.0/instances/{candidate}/state", {"action": "start"})
            assert api.exec(candidate, ["true"])[0] == 0
            api.run("PUT", f"/1.0/instances/{candidate}/state", {"action": "stop", "force": True})
            api.run("DELETE", f"/1.0/instances/{candidate}")
        assert on_disk(daemon, name) == []
        api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}})
        api.run("DELETE", f"/1.0/instances/{name}")


@pytest.mark.ours
def test_r43_image_files_are_whole_or_absent(own_daemon, tmp_path):
    from tarballs import entry, make_tar, metadata, rootfs_members
    data = make_tar([entry("metadata.yaml", metadata("big")), *rootfs_members(), entry("rootfs/big", os.urandom(8 << 20))])
    digest = hashlib.sha256(data).hexdigest()
    for delay in (0.01, 0.05, 0.1, 0.2):
        daemon = own_daemon
        process = subprocess.Popen(["curl", "-s", "--unix-socket", daemon.socket, "-X", "POST", "--data-binary", "@-",
                                    "-H", "Content-Type: application/octet-stream", "http://l/1.0/images"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        process.stdin.write(data)
        process.stdin.close()
        time.sleep(delay)
        daemon.kill()
        process.wait(20)
        daemon.start()
        listed = daemon.api.get(f"/1.0/images/{digest}").status == 200
        if listed:
            assert hashlib.sha256(daemon.api.get(f"/1.0/images/{digest}/export").body).hexdigest() == digest
            daemon.api.run("DELETE", f"/1.0/images/{digest}")
        known = {i["fingerprint"] for i in daemon.api.get("/1.0/images?recursion=1").metadata}
        wait_until(lambda: {p.name.split(".")[0] for p in (daemon.dir / "images").iterdir()} <= known, what="no stray image file")


def test_r43_an_exported_image_is_a_whole_archive(daemon, tmp_path):
    daemon.lxc("image", "export", "bb", tmp_path / "out")
    exported = next(tmp_path.glob("out*"))
    with tarfile.open(exported) as tar:
        assert "metadata.yaml" in tar.getnames()


@pytest.mark.ours
@pytest.mark.parametrize("damage", ["page", "truncated", "not a database", "newer schema", "missing"])
@pytest.mark.parametrize("database", ["database/global/db.bin", "database/local.db"])
def test_r44_a_damaged_database_is_left_alone(own_daemon, damage, database):
    daemon = own_daemon
    daemon.api.run("POST", "/1.0/instances", {"name": "kept", "source": {"type": "image", "alias": "bb"}})
    daemon.signal(signal.SIGTERM)
    path = daemon.dir / database
    run("sqlite3", path, "PRAGMA wal_checkpoint(TRUNCATE)", check=False) if pathlib.Path("/usr/bin/sqlite3").exists() else None
    saved = {p: p.read_bytes() for p in path.parent.glob(path.name + "*")}
    whole = saved[path]
    for extra in [p for p in saved if p != path]:
        extra.unlink()
    if damage == "missing":
        path.unlink()
    elif damage == "newer schema":
        import sqlite3
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO lxdcore_schema (version) VALUES (100000)")
        connection.close()
    else:
        broken = {"page": whole[:8192] + os.urandom(8192) + whole[16384:], "truncated": whole[:len(whole) // 3], "not a database": b"hello " * 2000}[damage]
        path.write_bytes(broken)
    before = path.read_bytes() if path.exists() else None
    try:
        if damage == "missing" and database.endswith("local.db"):
            pytest.skip("nothing in it tells that instances exist")
        daemon.start(wait=False)
        assert daemon.process.wait(20) != 0
        assert (path.read_bytes() if path.exists() else None) == before
        text = daemon.log_tail()
        assert path.name in text or "database" in text.lower()
    finally:
        for old in path.parent.glob(path.name + "*"):
            old.unlink()
        for p, content in saved.items():
            p.write_bytes(content)
            p.chmod(0o600)
        if daemon.process.poll() is None:
            daemon.kill()
        daemon.start()
    assert daemon.api.get("/1.0/instances/kept").status == 200


@pytest.mark.ours
def test_one_process_owns_a_state_directory(own_daemon):
    second = Daemon(own_daemon.kind, base=own_daemon.base)
    second.start(wait=False)
    assert second.process.wait(20) != 0
    assert str(own_daemon.pid) in second.log_tail()
    assert own_daemon.api.get("/1.0").status == 200
