# SPDX-License-Identifier: Apache-2.0
"""System calls of the daemon fail while it changes pools and volumes (R42, R46): after a restart all is as before or as
after, and what was reported as done is done. strace makes them fail, each one from the moment the action begins."""
import contextlib
import http.client
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import faults
import test_faults_pools as pools
import test_faults_volumes as volumes
from faults import Scenario

V1 = volumes.url("v1")
# What fails, and with what: making and renaming on the pool, copying files, and the database's own disk. Not write(2),
# which also wakes threads up.
FAILURES = [("mkdirat", "EIO"), ("mkdirat", "ENOSPC"), ("renameat2", "EIO"), ("fsync,fdatasync", "EIO"),
            ("pwrite64", "ENOSPC"), ("unlinkat", "EIO"), ("copy_file_range,sendfile", "ENOSPC")]


def one(name, action, before=lambda daemon: None, clean=volumes.clean):
    return Scenario("", name=name, action=action, before=before, clean=clean)


SCENARIOS = [
    one("volume-create", volumes.make("v1")),
    one("volume-copy", volumes.copy("v2", "v1"), volumes.with_snapshots("v1", "s1")),
    one("volume-snapshot", volumes.call("POST", volumes.SNAPS, {"name": "s2"}), volumes.with_snapshots("v1", "s1")),
    one("volume-restore", volumes.call("PUT", V1, {"restore": "s1"}), volumes.with_snapshots("v1", "s1")),
    one("volume-rename", volumes.call("POST", V1, {"name": "v2"}), volumes.with_snapshots("v1", "s1")),
    one("volume-delete", volumes.both(volumes.call("DELETE", V1), volumes.swept), volumes.with_snapshots("v1", "s1")),
    one("images-move", volumes.images_on("default/v1"), volumes.make("v1"), volumes.clean_images),
    one("pool-create", pools.make("dir"), clean=pools.clean),
    one("pool-delete", pools.delete, pools.make("dir"), pools.clean),
]
CASES = [(scenario, call, error) for scenario in SCENARIOS for call, error in FAILURES]


def attached(tracer, daemon):
    """Whether every thread is traced."""
    traced = []
    for task in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            status = (task / "status").read_text()
            traced.append(f"TracerPid:\t{tracer.pid}\n" in status)
    return all(traced)


@contextlib.contextmanager
def failing(daemon, calls, error):
    tracer = subprocess.Popen(["strace", "-qq", "-f", "-o", "/dev/null", "-p", str(daemon.pid), "-e", f"trace={calls}",
                               "-e", f"inject={calls}:error={error}"])
    try:
        end = time.monotonic() + 20
        while not attached(tracer, daemon):
            assert tracer.poll() is None and time.monotonic() < end, "strace cannot attach"
            time.sleep(0.05)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)


def check(daemon, scenario, calls, error):
    empty, before, after = faults._make_states(daemon, scenario)
    scenario.before(daemon)
    assert faults.settled(daemon, [before]) == before
    done, why = False, ""
    with failing(daemon, calls, error):
        try:
            (volumes.call("DELETE", V1) if scenario.name == "volume-delete" else scenario.action)(daemon)
            done = True
        except (OSError, http.client.HTTPException, AssertionError, ValueError, KeyError) as problem:
            why = str(problem)
    try:
        assert daemon.process.poll() is None, f"the daemon has ended:\n{daemon.log_tail()}"
        daemon.signal(15)
        daemon.start()
        now = faults.settled(daemon, [before, after])
        assert now in (before, after), f"{why}\nneither as before:\n" + "\n".join(faults.differences(before, now)) + \
            "\nnor as after:\n" + "\n".join(faults.differences(after, now))
        assert not done or now == after, "reported as done, and is not"
        faults.OUTCOMES.append((f"{scenario.name} {calls} {error}", "before" if now == before else "after"))
    finally:
        if daemon.process.poll() is not None:
            daemon.start()
        faults.clean_all(daemon)
        scenario.clean(daemon)
    end = faults.settled(daemon, [empty])
    assert end == empty, "something stays:\n" + "\n".join(faults.differences(empty, end))


@pytest.mark.ours
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("scenario,calls,error", CASES, ids=[f"{s.name}-{c.split(',')[0]}-{e}" for s, c, e in CASES])
def test_r42_a_failing_disk_leaves_all_or_nothing(fault_daemon, scenario, calls, error):
    check(fault_daemon, scenario, calls, error)
