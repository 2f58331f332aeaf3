# SPDX-License-Identifier: Apache-2.0
"""The administrator's program: init, sql, waitready and the others; socket activation and the units of systemd."""
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest
import yaml

from daemons import BUILD, Daemon, cached_busybox, run


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
