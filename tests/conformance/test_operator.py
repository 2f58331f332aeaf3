# SPDX-License-Identifier: Apache-2.0
"""What the operator of a host does: shutdown, reboot (R49), a power cut, init, socket activation; and a daemon that is
killed while it still has something to put away (R41)."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest
import yaml

from daemons import BUILD, Daemon, cached_busybox, run, wait_until
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


# --- the administrator's program --------------------------------------------------------------------------------------
@pytest.fixture
def fresh_daemon(request):
    """Nothing set up yet."""
    daemon = Daemon(os.environ.get("LXDCORE_TEST_DAEMON", "lxdcored"), name="init", bridge=f"lxci{os.getpid() % 1000}",
                    subnet=os.environ.get("LXDCORE_TEST_SUBNET_2", "10.72.9"))
    try:
        yield daemon.start()
        left = daemon.stop()
        assert not left, "left on the host:\n" + "\n".join(left)
    finally:
        daemon.stop(remove=False)
        daemon.destroy()


def preseed_of(daemon):
    return {"config": {"images.auto_update_interval": "0"},
            "networks": [{"name": daemon.bridge, "type": "bridge", "description": "made",
                          "config": {"ipv4.address": f"{daemon.subnet}.1/24", "ipv6.address": "none"}}],
            "storage_pools": [{"name": "default", "driver": "dir"}, {"name": "second", "driver": "dir"}],
            "profiles": [{"name": "default", "devices": {"root": {"type": "disk", "path": "/", "pool": "default"}}},
                         {"name": "extra", "description": "more", "config": {"limits.processes": 50}}]}


def feed(daemon, document, check=True):
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    return daemon.admin("init", "--preseed", input=text, check=check)


def test_preseed_sets_everything_up_and_dump_gives_it_back(fresh_daemon):
    daemon = fresh_daemon
    feed(daemon, preseed_of(daemon))
    dump = yaml.safe_load(daemon.admin("init", "--dump").stdout)
    assert set(dump) == {"config", "networks", "storage_pools", "profiles", "projects"}
    assert dump["config"]["images.auto_update_interval"] == "0"
    network = next(n for n in dump["networks"] if n["name"] == daemon.bridge)
    assert (network["type"], network["description"], network["project"]) == ("bridge", "made", "default")
    assert [p["name"] for p in dump["storage_pools"]] == ["default", "second"]
    assert next(p for p in dump["profiles"] if p["name"] == "extra")["config"] == {"limits.processes": "50"}
    assert [p["name"] for p in dump["projects"]] == ["default"]
    feed(daemon, dump)  # what was dumped can be fed again and changes nothing
    assert yaml.safe_load(daemon.admin("init", "--dump").stdout) == dump


@pytest.mark.parametrize("how", [["--auto"], ["--minimal"], ["--auto", "--network-address", "127.0.0.1", "--network-port", "18931",
                                                              "--trust-password", "sesame"]])
def test_init_without_questions_makes_a_daemon_that_launches(fresh_daemon, how):
    daemon = fresh_daemon
    before = set(os.listdir("/sys/class/net"))
    daemon.admin("init", *how)
    dump = yaml.safe_load(daemon.admin("init", "--dump").stdout)
    (bridge,) = [n for n in dump["networks"] if n["name"].startswith("lxdbr")]
    try:
        assert bridge["name"] not in before and os.path.exists(f"/sys/class/net/{bridge['name']}/bridge")
        assert [(p["name"], p["driver"]) for p in dump["storage_pools"]] == [("default", "dir")]
        devices = dump["profiles"][0]["devices"]
        assert devices["root"] == {"type": "disk", "path": "/", "pool": "default"}
        assert devices["eth0"] == {"type": "nic", "name": "eth0", "network": bridge["name"]}
        assert ("core.https_address" in dump["config"]) == ("--network-address" in how)
        daemon.lxc("image", "import", cached_busybox(), "--alias", "bb")
        daemon.lxc("launch", "bb", "init-auto")
        assert daemon.lxc("exec", "init-auto", "--", "echo", "in").stdout == "in\n"
        again = daemon.admin("init", *how)  # nothing is left to do
        assert again.returncode == 0 and yaml.safe_load(daemon.admin("init", "--dump").stdout) == dump
        daemon.lxc("delete", "-f", "init-auto")
    finally:
        daemon.lxc("delete", "-f", "init-auto", check=False)
        daemon.lxc("profile", "device", "remove", "default", "eth0", check=False)
        daemon.lxc("network", "delete", bridge["name"], check=False)


@pytest.mark.parametrize("document,text", [
    ("a: [", "Failed to parse the preseed"),
    ("bogus: 1", "Failed to parse the preseed"),
    ("config: {bogus.key: 1}", "Failed to update server configuration"),
    ("networks: [{name: lxcix0, type: bogus}]", "lxcix0"),
    ("storage_pools: [{name: p, driver: bogus}]", "Failed to create storage pool \"p\""),
    ("profiles: [{name: default, config: {bogus: 1}}]", "Failed to update profile \"default\""),
])
def test_a_bad_preseed_is_refused_and_changes_nothing(fresh_daemon, document, text):
    before = fresh_daemon.admin("init", "--dump").stdout
    result = feed(fresh_daemon, "storage_pools: [{name: early, driver: dir}]\n" + document
                  if not document.startswith("storage") else document, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ") and text in result.stderr
    assert fresh_daemon.admin("init", "--dump").stdout == before


@pytest.mark.ours
@pytest.mark.parametrize("document,text", [
    ("projects: [{name: other}]", "projects are not supported"),
    ("cluster: {enabled: true, server_name: a}", "clustering is not supported"),
    ("storage_pools: [{name: default, driver: dir}, {name: default, driver: btrfs}]",
     "Storage pool \"default\" is of type \"dir\" instead of \"btrfs\""),
])
def test_what_is_not_offered_is_refused_before_anything_changes(fresh_daemon, document, text):
    before = fresh_daemon.admin("init", "--dump").stdout
    result = feed(fresh_daemon, document, check=False)
    assert result.returncode == 1 and text in result.stderr
    assert fresh_daemon.admin("init", "--dump").stdout == before


def test_an_empty_preseed_changes_nothing(fresh_daemon):
    before = fresh_daemon.admin("init", "--dump").stdout
    feed(fresh_daemon, "")
    assert fresh_daemon.admin("init", "--dump").stdout == before


@pytest.mark.parametrize("arguments,text", [
    (["init", "--auto", "--preseed"], "Can't use"),
    (["init", "--auto", "--network-port=33"], "--network-port can't be used without --network-address"),
    (["init", "--auto", "--storage-backend=foo"], "The requested backend 'foo' isn't supported by lxd init"),
    (["init", "--auto", "--storage-backend=dir", "--storage-pool=x"], "None of --storage-pool"),
    (["sql", "foo", "select 1"], "Invalid database type"),
    (["sql", "local", "select * from nope"], "Failed to execute query: no such table: nope"),
    (["sql", "local"], "Missing required arguments"), (["init", "--bogus"], ""), (["bogus"], ""), (["init"], "Error: EOF"),
])
def test_wrong_commands_exit_with_one(daemon, arguments, text):
    result = daemon.admin(*arguments, check=False)
    assert result.returncode == 1
    assert text in result.stderr


def test_version_and_help(daemon):
    assert daemon.admin("--version").stdout == "5.0.2\n"
    assert daemon.admin("version").stdout == "5.0.2\n"
    for verb in ("init", "shutdown", "waitready", "activateifneeded", "version"):
        assert verb in daemon.admin("--help").stdout
        assert "Usage:" in daemon.admin(verb, "--help").stdout


@pytest.mark.ours
def test_a_link_named_lxd_does_the_same(daemon, tmp_path):
    link = tmp_path / "lxd"
    link.symlink_to(BUILD / "daemon/lxdcored")
    assert run(link, "--version").stdout == "5.0.2\n"
    assert run(link, "sql", "local", "select 1 as one", env=daemon.env).stdout == "+-----+\n| one |\n+-----+\n| 1   |\n+-----+\n"
    assert "Usage: lxd " in run(link, "--help").stdout


def test_sql_tells_what_it_did(daemon):
    done = daemon.admin("sql", "local", "insert into config (key, value) values ('user.a', 'b'); delete from config where key = 'user.a'")
    assert done.stdout == "=> Query 0:\n\nRows affected: 1\n\n=> Query 1:\n\nRows affected: 1\n\n"
    two = daemon.admin("sql", "global", "select id, name from projects; select 1").stdout
    assert two.startswith("=> Query 0:\n\n+----+---------+\n| id |  name   |\n+----+---------+\n| 1  | default |\n")
    assert daemon.admin("sql", "local", "-", input="select 1").stdout == "+---+\n| 1 |\n+---+\n| 1 |\n+---+\n"
    for database in ("local", "global"):
        schema = daemon.admin("sql", database, ".schema").stdout
        assert "CREATE TABLE" in schema and "INSERT INTO" not in schema.replace("INSERT INTO schema", "")
    assert "INSERT INTO" in daemon.admin("sql", "global", ".dump").stdout


@pytest.mark.parametrize("verb", [["waitready", "--timeout=1"], ["shutdown"], ["sql", "local", "select 1"], ["init", "--auto"],
                                  ["init", "--dump"]])
def test_verbs_without_a_daemon_fail(daemon, verb, tmp_path):
    result = run(daemon.program, *verb, env={**daemon.env, "LXD_DIR": str(tmp_path)}, check=False, timeout=20)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    if verb[0] == "waitready":
        assert "LXD still not running after 1s timeout" in result.stderr


def test_activateifneeded_of_an_unused_directory_does_nothing(daemon, tmp_path):
    assert run(daemon.program, "activateifneeded", env={**daemon.env, "LXD_DIR": str(tmp_path)}).returncode == 0
    assert daemon.admin("activateifneeded").returncode == 0


# --- systemd ----------------------------------------------------------------------------------------------------------
LAUNCH = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(5)
os.set_inheritable(listener.fileno(), True)
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.ours
def test_systemd_hands_the_socket_over_and_hears_of_start_and_stop(fresh_daemon, tmp_path):
    daemon = fresh_daemon
    daemon.signal(signal.SIGTERM)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        env = {**daemon.env, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with open(daemon.log, "ab") as log:
            daemon.process = subprocess.Popen(["/usr/bin/python3", "-c", LAUNCH, daemon.socket, daemon.program, "--group", "root"],
                                              env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        assert manager.recv(100) == b"READY=1"
        daemon.wait_ready()
        assert daemon.admin("sql", "local", "select 1").returncode == 0
        environment = pathlib.Path(f"/proc/{daemon.pid}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" in environment  # as it was started; its children do not have it
        daemon.signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
    assert pathlib.Path(daemon.socket).is_socket(), "the socket is systemd's"
    pathlib.Path(daemon.socket).unlink()
    daemon.start()


@pytest.mark.ours
@pytest.mark.parametrize("setting", ["Type=notify", "KillMode=process", "Delegate=yes", "OOMScoreAdjust=-900"])
def test_r47_the_unit_spares_containers(setting):
    assert setting in (BUILD / "daemon/lxdcored.service").read_text().splitlines()


@pytest.mark.ours
def test_the_units_are_valid(tmp_path):
    for unit in ("lxdcored.service", "lxdcored-instances.service"):
        (tmp_path / unit).write_text(re.sub(r"=/\S*/lxdcored", f"={BUILD}/daemon/lxdcored", (BUILD / "daemon" / unit).read_text()))
    (tmp_path / "lxdcored.socket").write_text((pathlib.Path(__file__).parents[2] / "daemon/systemd/lxdcored.socket").read_text())
    if not pathlib.Path("/usr/bin/systemd-analyze").exists():
        pytest.skip("no systemd-analyze")
    result = run("systemd-analyze", "verify", "--man=no", *tmp_path.iterdir(), check=False)
    complaints = [line for line in (result.stdout + result.stderr).splitlines() if "lxdcored" in line]
    assert complaints == []
