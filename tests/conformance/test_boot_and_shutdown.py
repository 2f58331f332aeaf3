# SPDX-License-Identifier: Apache-2.0
"""Shutdown, reboot (R49), a power cut; all instances at once; and a daemon that is killed while it still has something to
put away (R41)."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from daemons import run, wait_until
from test_r35_r44_data import dnsmasq_of, on_disk, rules_of
from test_r47_r58_availability import init_of

BUSYBOX = {"type": "image", "alias": "bb"}
NEVER_HALTS = {"raw.lxc": "lxc.signal.halt=28"}  # SIGWINCH


def make(daemon, name, config=None, devices=None, start=True):
    daemon.api.run("POST", "/1.0/instances",
                   {"name": name, "source": BUSYBOX, "config": config or {}, "devices": devices or {}})
    if start:
        daemon.api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})


def running_set(daemon):
    return {i["name"] for i in daemon.api.get("/1.0/instances?recursion=1").metadata if i["status"] == "Running"}


def power_of(daemon, name):
    return daemon.api.get(f"/1.0/instances/{name}").metadata["config"].get("volatile.last_state.power")


def has_link(daemon):
    return pathlib.Path(f"/sys/class/net/{daemon.bridge}").exists()


def end(daemon, how):
    """Ends the daemon and gives what it left on the host: (link, dnsmasq, rules, containers)."""
    if how == "shutdown":
        daemon.admin("shutdown", "--timeout=60")
    elif how == "shutdown --force":
        daemon.admin("shutdown", "--force", "--timeout=60")
    else:
        daemon.process.send_signal(getattr(signal, how))
    daemon.process.wait(60)
    return has_link(daemon), dnsmasq_of(daemon), rules_of(daemon)


def break_power(daemon):
    """A power cut: daemon and containers end at once, and the host comes up under another boot id."""
    pids = [init_of(daemon, name)[0] for name in running_set(daemon)]
    daemon.kill()
    for pid in pids:
        monitor = int(re.search(r"^PPid:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))
        os.kill(monitor, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), what="the containers' end")
    (daemon.dir / "boot_id").write_text("11111111-2222-3333-4444-555555555555")


def autostart_warnings(daemon):
    rows = daemon.admin("sql", "global", "SELECT status, count, last_message FROM warnings WHERE type_code = 22").stdout
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows.splitlines()[3:] if "|" in line]


@pytest.mark.parametrize("how", ["shutdown", "shutdown --force", "SIGPWR"])
def test_r49_shutdown_stops_all_and_the_same_set_starts_again(own_daemon, how):
    daemon = own_daemon
    make(daemon, "one")
    make(daemon, "two")
    make(daemon, "idle", start=False)
    pids = [init_of(daemon, name)[0] for name in ("one", "two")]
    link, dnsmasq, rules = end(daemon, how)
    assert (link, dnsmasq, rules) == (False, None, [])
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids)
    daemon.start()
    wait_until(lambda: running_set(daemon) == {"one", "two"}, what="the same set runs")
    assert has_link(daemon) and wait_until(lambda: dnsmasq_of(daemon), what="dnsmasq") and rules_of(daemon)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_other_signals_leave_instances_and_networks_alone(own_daemon, how):
    daemon = own_daemon
    make(daemon, "stays")
    before, dnsmasq = init_of(daemon, "stays"), wait_until(lambda: dnsmasq_of(daemon), what="dnsmasq")
    assert end(daemon, how) == (True, dnsmasq, rules_of(daemon))
    assert rules_of(daemon)
    daemon.start()
    assert init_of(daemon, "stays") == before


def test_r49_who_does_not_stop_in_its_time_is_killed(own_daemon):
    daemon = own_daemon
    make(daemon, "deaf", {"boot.host_shutdown_timeout": "2", **NEVER_HALTS})
    make(daemon, "polite")
    pid = init_of(daemon, "deaf")[0]
    end(daemon, "shutdown")
    assert not pathlib.Path(f"/proc/{pid}").exists()
    daemon.start()
    wait_until(lambda: running_set(daemon) == {"deaf", "polite"}, what="both run")


@pytest.mark.ours
def test_r49_a_patient_instance_does_not_hold_up_an_impatient_one(own_daemon):
    """In one group each is killed at its own time: the events tell the order."""
    daemon = own_daemon
    make(daemon, "a-patient", {"boot.host_shutdown_timeout": "5", **NEVER_HALTS})
    make(daemon, "b-hasty", {"boot.host_shutdown_timeout": "1", **NEVER_HALTS})
    assert stop_order(daemon) == ["b-hasty", "a-patient"]


def stop_order(daemon):
    events = subprocess.Popen(["lxc", "monitor", "--type=lifecycle", "--format=json"], env=daemon.env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(1)
    end(daemon, "shutdown")
    text = events.communicate(timeout=20)[0]
    seen = [json.loads(line)["metadata"] for line in text.splitlines() if line.startswith("{")]
    return [e["source"].rsplit("/", 1)[1] for e in seen if e["action"] in ("instance-shutdown", "instance-stopped")]


def test_r49_stop_priority_is_the_order(own_daemon):
    daemon = own_daemon
    for name, priority in (("first", "10"), ("last", "-1"), ("middle", None)):
        make(daemon, name, {"boot.stop.priority": priority} if priority else {})
    assert stop_order(daemon) == ["first", "middle", "last"]


def test_r49_start_priority_and_delay_are_the_order(own_daemon):
    daemon = own_daemon
    for name, priority, delay in (("alpha", "1", "0"), ("bravo", "20", "2"), ("delta", "20", "0")):
        make(daemon, name, {"boot.autostart": "true", "boot.autostart.priority": priority, "boot.autostart.delay": delay})
    end(daemon, "SIGPWR")
    daemon.start()
    wait_until(lambda: running_set(daemon) == {"alpha", "bravo", "delta"}, what="all run")
    used = {i["name"]: i["last_used_at"] for i in daemon.api.get("/1.0/instances?recursion=1").metadata}
    assert used["bravo"] < used["delta"] < used["alpha"]
    assert int(used["delta"][17:19]) != int(used["bravo"][17:19]), "no delay after bravo"


@pytest.mark.parametrize("how", ["shutdown", "power cut"])
def test_r49_autostart_true_false_and_unset(own_daemon, how):
    daemon = own_daemon
    if daemon.kind == "lxd" and how == "power cut":
        pytest.skip("keeps no boot id")
    for name, value, running in (("yes-off", "true", False), ("yes-on", "true", True), ("no-on", "false", True),
                                 ("unset-on", None, True), ("unset-off", None, False)):
        make(daemon, name, {"boot.autostart": value} if value else {}, start=running)
    break_power(daemon) if how == "power cut" else end(daemon, "shutdown")
    daemon.start()
    wait_until(lambda: running_set(daemon) == {"yes-off", "yes-on", "unset-on"}, what="the right set runs")
    assert power_of(daemon, "unset-on") == "RUNNING"


@pytest.mark.ours
@pytest.mark.parametrize("boots", ["the same boot", "a new boot", "no record of a boot"])
def test_r49_running_belongs_to_one_boot_of_the_host(own_daemon, boots):
    """Ended under the same boot: it stopped. Ended with the host: it is to run."""
    daemon = own_daemon
    make(daemon, "c")
    known = (daemon.dir / "boot_id").read_text()
    break_power(daemon)
    if boots == "the same boot":
        (daemon.dir / "boot_id").write_text(known)
    if boots == "no record of a boot":
        (daemon.dir / "boot_id").unlink()
    daemon.start()
    expected = set() if boots == "the same boot" else {"c"}
    assert running_set(daemon) == expected
    assert power_of(daemon, "c") == ("RUNNING" if expected else "STOPPED")


@pytest.mark.ours
def test_r49_a_restore_that_is_killed_goes_on(own_daemon):
    daemon = own_daemon
    names = {f"r{i}" for i in range(6)}
    for name in names:
        make(daemon, name)
    break_power(daemon)
    for delay in (0.05, 0.15, 0.3):
        daemon.start(wait=False)
        time.sleep(delay)
        daemon.kill()
    daemon.start()
    assert running_set(daemon) == names


@pytest.mark.ours
def test_r49_a_shutdown_that_is_killed_forgets_nothing(own_daemon):
    daemon = own_daemon
    make(daemon, "quick")
    make(daemon, "deaf", NEVER_HALTS)
    daemon.process.send_signal(signal.SIGPWR)
    wait_until(lambda: running_set(daemon) == {"deaf"}, what="quick has stopped")
    daemon.kill()
    daemon.start()
    wait_until(lambda: running_set(daemon) == {"quick", "deaf"}, what="both run")


@pytest.mark.limit(240)
def test_r49_a_failing_autostart_is_tried_again_and_then_a_warning(own_daemon, tmp_path):
    daemon = own_daemon
    source = tmp_path / "source"
    source.mkdir()
    make(daemon, "broken", {"boot.autostart": "true"},
         {"data": {"type": "disk", "source": str(source), "path": "/data"}}, start=False)
    make(daemon, "whole", {"boot.autostart": "true"}, start=False)
    end(daemon, "shutdown")
    source.rmdir()
    daemon.start()  # ready when everything was tried
    wait_until(lambda: running_set(daemon) == {"whole"}, what="the other one runs")
    status, count, message = wait_until(lambda: autostart_warnings(daemon), what="a warning")[0]
    assert (status, count) == ("1", "1")
    assert str(source) in message
    if daemon.kind == "lxdcored":
        assert (daemon.base / "file.log").read_text().count("Failed to start instance") == 3
    source.mkdir()
    daemon.restart()
    wait_until(lambda: running_set(daemon) == {"whole", "broken"}, what="both run")
    assert wait_until(lambda: autostart_warnings(daemon)[0][0] == "3", what="the warning is settled")


# --- all instances at once --------------------------------------------------------------------------------------------
def change_all(daemon, action, **fields):
    return daemon.api.run("PUT", "/1.0/instances", {"state": {"action": action, **fields}}, ok=False)


def statuses(daemon):
    return {i["name"]: i["status"] for i in daemon.api.get("/1.0/instances?recursion=1").metadata}


def test_bulk_changes_apply_to_those_that_need_them(own_daemon):
    daemon = own_daemon
    for name in ("one", "two"):
        make(daemon, name, start=name == "one")
    assert change_all(daemon, "start")["resources"] == {"instances": ["/1.0/instances/two"]}
    assert statuses(daemon) == {"one": "Running", "two": "Running"}
    assert change_all(daemon, "start")["resources"] == {"instances": None}
    before = init_of(daemon, "one")
    assert change_all(daemon, "restart", force=True)["status"] == "Success"
    assert init_of(daemon, "one") != before
    assert change_all(daemon, "freeze")["description"] == "Freezing instance"
    assert statuses(daemon) == {"one": "Frozen", "two": "Frozen"}
    if daemon.kind == "lxdcored":  # LXD 5.0.2 thaws nothing
        assert change_all(daemon, "unfreeze")["status"] == "Success"
        assert statuses(daemon) == {"one": "Running", "two": "Running"}
    assert change_all(daemon, "stop", force=True, timeout=-1)["status"] == "Success"
    assert statuses(daemon) == {"one": "Stopped", "two": "Stopped"}
    daemon.lxc("start", "--all")
    assert statuses(daemon) == {"one": "Running", "two": "Running"}
    daemon.lxc("stop", "--all", "--force")
    assert statuses(daemon) == {"one": "Stopped", "two": "Stopped"}


def test_bulk_changes_name_every_failure(own_daemon, tmp_path):
    daemon = own_daemon
    source = tmp_path / "source"
    source.mkdir()
    for name in ("bad1", "bad2"):
        make(daemon, name, {}, {"data": {"type": "disk", "source": str(source), "path": "/data"}}, start=False)
    make(daemon, "good", start=False)
    source.rmdir()
    ended = change_all(daemon, "start")
    head, *lines = ended["err"].splitlines()
    assert head == "The following instances failed to update state:"
    assert sorted(line.split(":")[1].strip() for line in lines) == ["bad1", "bad2"]
    assert all(line.startswith(" - Instance: ") for line in lines)
    assert statuses(daemon) == {"bad1": "Stopped", "bad2": "Stopped", "good": "Running"}


@pytest.mark.parametrize("body,code", [({"state": {"action": "bogus"}}, 400), ({"state": {"action": ""}}, 400), ({}, 400)])
def test_bulk_changes_refuse_unknown_actions(api, body, code):
    reply = api.put("/1.0/instances", body)
    assert reply.status == code
    assert reply.error == f"Unknown action: '{body.get('state', {}).get('action', '')}'"


# --- killed with something left to do ---------------------------------------------------------------------------------
@pytest.mark.ours
def test_r41_a_deletion_in_the_background_is_finished_by_the_next_start(own_daemon):
    daemon, seen = own_daemon, 0
    containers = daemon.dir / "storage-pools/default/containers"
    for number in range(4):
        make(daemon, f"big{number}", start=False)
        home = containers / f"big{number}/rootfs/root"
        for folder in range(40):
            (home / str(folder)).mkdir()
            for file in range(100):
                (home / str(folder) / str(file)).touch()
        assert daemon.api.run("DELETE", f"/1.0/instances/big{number}")["status"] == "Success"
        daemon.kill()
        seen += len(list(containers.iterdir()))
        daemon.start()
        assert daemon.api.get(f"/1.0/instances/big{number}").status == 404
        wait_until(lambda: not list(containers.iterdir()), what="nothing is left")
        assert on_disk(daemon, f"big{number}") == []
    assert seen > 0, "no kill came before the end of a deletion"


@pytest.mark.ours
@pytest.mark.parametrize("action", ["create", "delete", "rename"])
def test_r41_an_intent_whose_end_was_lost_is_settled(own_daemon, action):
    """Ending an intent is not synced: after a power cut it can be back although everything was done."""
    import sqlite3
    daemon = own_daemon
    make(daemon, "kept", start=False)
    make(daemon, "was", start=False)
    entity, data = "was", ""
    if action == "delete":
        daemon.api.run("DELETE", "/1.0/instances/was")
    if action == "rename":
        daemon.api.run("POST", "/1.0/instances/was", {"name": "is"})
        data = json.dumps({"to": "is"})
    daemon.kill()
    for _ in range(2):  # settled once, and once more
        with sqlite3.connect(daemon.dir / "database/local.db") as db:
            db.execute("INSERT INTO lxdcore_intents (kind, project, entity, data) VALUES (?, 'default', ?, ?)",
                       (f"instance-{action}", entity, data))
        db.close()
        daemon.start()
        names = {"create": {"kept", "was"}, "delete": {"kept"}, "rename": {"kept", "is"}}[action]
        assert set(statuses(daemon)) == names
        assert {p.name for p in (daemon.dir / "storage-pools/default/containers").iterdir()} == names
        assert "0" in daemon.admin("sql", "local", "SELECT count(*) FROM lxdcore_intents").stdout.splitlines()[3]
        daemon.kill()
    daemon.start()
    for name in names:
        daemon.api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})


@pytest.mark.ours
def test_r41_nothing_acknowledged_is_lost_by_relaxed_commits(own_daemon):
    """Each reply is followed at once by kill -9; what was answered holds, and no intent stays."""
    daemon = own_daemon
    for number in range(5):
        make(daemon, f"n{number}", start=False)
        daemon.kill()
        daemon.start()
        assert daemon.api.get(f"/1.0/instances/n{number}").status == 200
        daemon.api.run("POST", f"/1.0/instances/n{number}", {"name": f"m{number}"})
        daemon.kill()
        daemon.start()
        assert set(statuses(daemon)) == {f"m{number}"}
        daemon.api.run("DELETE", f"/1.0/instances/m{number}")
        daemon.kill()
        daemon.start()
        assert statuses(daemon) == {}
        assert on_disk(daemon, f"m{number}") == on_disk(daemon, f"n{number}") == []
        assert "0" in daemon.admin("sql", "local", "SELECT count(*) FROM lxdcore_intents").stdout.splitlines()[3]
