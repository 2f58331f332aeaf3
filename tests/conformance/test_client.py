# SPDX-License-Identifier: Apache-2.0
"""The unmodified `lxc` of Debian, over the unix socket and over HTTPS: each verb of the first release."""
import hashlib
import json
import os
import re
import resource
import subprocess
import time

import pytest
import yaml

from daemons import cached_busybox, wait_until
from tarballs import tiny_image
from tested_build import PATIENCE


class Client:
    """lxc with a remote's prefix."""

    def __init__(self, daemon, remote):
        self.daemon, self.remote = daemon, remote

    def __call__(self, *args, **options):
        return self.daemon.lxc(*args, **options).stdout

    def at(self, name=""):
        return f"{self.remote}:{name}"


@pytest.fixture(scope="module", params=["unix", "https"])
def lxc(request, shared_daemon):
    if request.param == "unix":
        return Client(shared_daemon, "local")
    shared_daemon.lxc("remote", "add", "secure", "https://" + shared_daemon.address, "--accept-certificate",
                      "--password=sekret")
    request.addfinalizer(lambda: shared_daemon.lxc("remote", "remove", "secure"))
    return Client(shared_daemon, "secure")


@pytest.fixture
def launched(lxc, daemon, name):
    lxc("launch", lxc.at("bb"), lxc.at(name))
    return lxc.at(name)


def editor(tmp_path, sed):
    """An EDITOR that changes the file with sed."""
    script = tmp_path / "editor"
    script.write_text(f"#!/bin/sh\nexec sed -i '{sed}' \"$1\"\n")
    script.chmod(0o755)
    return {"EDITOR": str(script), "VISUAL": str(script)}


def test_remote_with_a_wrong_password_is_refused(daemon):
    result = daemon.lxc("remote", "add", "wrong", "https://" + daemon.address, "--accept-certificate",
                        "--password=wrong", check=False)
    # The client's certificate may be trusted already by another test; then there is nothing to refuse.
    if result.returncode == 0:
        daemon.lxc("remote", "remove", "wrong")
        pytest.skip("this client is trusted already")
    assert "not authorized" in result.stderr


def test_image_verbs(lxc, daemon, tmp_path):
    image = tmp_path / "own.tar.xz"
    subprocess.run([os.path.join(os.path.dirname(__file__), "../support/image-busybox"), image], check=True)
    output = lxc("image", "import", image, lxc.at(), "--alias", "own", "flavour=plain")
    fingerprint = re.search(r"fingerprint: ([0-9a-f]{64})", output).group(1)
    assert fingerprint[:12] in lxc("image", "list", lxc.at(), "--format=csv")
    assert "own" in lxc("image", "list", lxc.at(), "-c", "lfpdatsu", "--format=csv")
    for form in ("table", "json", "yaml", "csv", "compact"):
        assert fingerprint[:12] in lxc("image", "list", lxc.at("own"), f"--format={form}")
    info = yaml.safe_load(lxc("image", "info", lxc.at("own")))
    assert info["Fingerprint"] == fingerprint and info["Properties"]["flavour"] == "plain"
    shown = yaml.safe_load(lxc("image", "show", lxc.at("own")))
    assert shown["properties"]["flavour"] == "plain" and shown["public"] is False
    lxc("image", "edit", lxc.at("own"), terminal=True, env=editor(tmp_path, "s/flavour: plain/flavour: salted/"))
    assert yaml.safe_load(lxc("image", "show", lxc.at("own")))["properties"]["flavour"] == "salted"
    lxc("image", "set-property", lxc.at("own"), "extra", "1")
    assert lxc("image", "get-property", lxc.at("own"), "extra").strip() == "1"
    lxc("image", "alias", "create", lxc.at("own2"), fingerprint)
    assert "own2" in lxc("image", "alias", "list", lxc.at(), "--format=csv")
    lxc("image", "alias", "rename", lxc.at("own2"), "own3")
    lxc("image", "alias", "delete", lxc.at("own3"))
    lxc("image", "export", lxc.at("own"), tmp_path / "exported")
    exported = [p for p in tmp_path.iterdir() if p.name.startswith("exported")]
    assert [p.read_bytes() for p in exported] == [image.read_bytes()]
    lxc("image", "delete", lxc.at("own"))
    assert fingerprint[:12] not in lxc("image", "list", lxc.at(), "--format=csv")


def test_storage_verbs(lxc, daemon):
    pool = "pool-" + lxc.remote
    lxc("storage", "create", lxc.at(pool), "dir")
    assert pool in lxc("storage", "list", lxc.at(), "--format=csv")
    assert yaml.safe_load(lxc("storage", "show", lxc.at(pool)))["driver"] == "dir"
    info = yaml.safe_load(lxc("storage", "info", lxc.at(pool)))
    assert info["info"]["driver"] == "dir" and "total space" in info["info"]
    lxc("storage", "set", lxc.at(pool), "rsync.compression", "false")
    assert lxc("storage", "get", lxc.at(pool), "rsync.compression").strip() == "false"
    lxc("storage", "delete", lxc.at(pool))
    assert pool not in lxc("storage", "list", lxc.at(), "--format=csv")


def test_an_image_brings_its_profiles(lxc, daemon, name):
    data, profile = tiny_image(name), name + "-p"
    fingerprint = hashlib.sha256(data).hexdigest()
    daemon.api.run("POST", "/1.0/images", data=data, headers={"Content-Type": "application/octet-stream"})
    lxc("profile", "create", lxc.at(profile))
    shown = daemon.api.get(f"/1.0/images/{fingerprint}").metadata
    daemon.api.run("PUT", f"/1.0/images/{fingerprint}", {**shown, "profiles": ["default", profile]})
    try:
        lxc("init", lxc.at(fingerprint), lxc.at(name))
        assert set(daemon.api.get(f"/1.0/instances/{name}").metadata["profiles"]) == {"default", profile}
        lxc("delete", lxc.at(name))
        lxc("init", lxc.at(fingerprint), lxc.at(name), "-p", "default")
        assert daemon.api.get(f"/1.0/instances/{name}").metadata["profiles"] == ["default"]
        lxc("delete", lxc.at(name))
    finally:
        lxc("image", "delete", lxc.at(fingerprint))
        lxc("profile", "delete", lxc.at(profile))


def test_network_verbs(lxc, daemon, tmp_path, running):
    network = daemon.bridge[:13] + "n" + lxc.remote[0]
    lxc("network", "create", lxc.at(network), "ipv4.address=198.51.100.1/24", "ipv6.address=none")
    assert f"{network},bridge,YES" in lxc("network", "list", lxc.at(), "--format=csv")
    assert yaml.safe_load(lxc("network", "show", lxc.at(network)))["config"]["ipv4.address"] == "198.51.100.1/24"
    assert "198.51.100.1" in lxc("network", "info", lxc.at(network))
    lxc("network", "edit", lxc.at(network), terminal=True, env=editor(tmp_path, 's/^description: .*/description: changed/'))
    assert yaml.safe_load(lxc("network", "show", lxc.at(network)))["description"] == "changed"
    lxc("network", "set", lxc.at(network), "ipv4.nat", "true")
    assert lxc("network", "get", lxc.at(network), "ipv4.nat").strip() == "true"
    lxc("network", "unset", lxc.at(network), "ipv4.nat")
    lxc("network", "delete", lxc.at(network))
    wait_until(lambda: running in lxc("network", "list-leases", lxc.at(daemon.bridge), "--format=csv"), what="lease")


def test_profile_verbs(lxc, daemon, tmp_path, container):
    profile = "prof-" + lxc.remote
    lxc("profile", "create", lxc.at(profile))
    lxc("profile", "edit", lxc.at(profile), input="config: {user.a: b}\ndescription: mine\ndevices: {}\n")
    assert yaml.safe_load(lxc("profile", "show", lxc.at(profile)))["config"] == {"user.a": "b"}
    lxc("profile", "device", "add", lxc.at(profile), "extra", "none")
    assert "extra" in lxc("profile", "device", "list", lxc.at(profile))
    lxc("profile", "device", "remove", lxc.at(profile), "extra")
    lxc("profile", "assign", lxc.at(container), f"default,{profile}")
    assert yaml.safe_load(lxc("config", "show", lxc.at(container)))["profiles"] == ["default", profile]
    lxc("profile", "remove", lxc.at(container), profile)
    lxc("profile", "add", lxc.at(container), profile)
    lxc("profile", "assign", lxc.at(container), "default")
    lxc("profile", "copy", lxc.at(profile), lxc.at(profile + "2"))
    lxc("profile", "rename", lxc.at(profile + "2"), profile + "3")
    assert profile + "3" in lxc("profile", "list", lxc.at(), "--format=csv")
    lxc("profile", "set", lxc.at(profile), "user.b", "c")
    assert lxc("profile", "get", lxc.at(profile), "user.b").strip() == "c"
    lxc("profile", "delete", lxc.at(profile))
    lxc("profile", "delete", lxc.at(profile + "3"))


def test_init_config_and_devices(lxc, name, daemon, tmp_path):
    there = lxc.at(name)
    lxc("init", lxc.at("bb"), there, "-c", "user.one=1")
    assert lxc("config", "get", there, "user.one").strip() == "1"
    lxc("config", "set", there, "limits.memory", "96MiB")
    lxc("config", "unset", there, "user.one")
    shown = yaml.safe_load(lxc("config", "show", there))
    assert shown["config"]["limits.memory"] == "96MiB" and "user.one" not in shown["config"]
    assert "eth0" in yaml.safe_load(lxc("config", "show", there, "--expanded"))["devices"]
    lxc("config", "edit", there, terminal=True, env=editor(tmp_path, "s/96MiB/112MiB/"))
    assert lxc("config", "get", there, "limits.memory").strip() == "112MiB"
    (tmp_path / "shared").mkdir()
    lxc("config", "device", "add", there, "data", "disk", f"source={tmp_path}/shared", "path=/mnt/data")
    assert lxc("config", "device", "get", there, "data", "path").strip() == "/mnt/data"
    lxc("config", "device", "set", there, "data", "readonly=true")
    assert "data" in yaml.safe_load(lxc("config", "device", "show", there))
    lxc("config", "device", "remove", there, "data")
    result = lxc.daemon.lxc("config", "set", there, "no.such", "1", check=False)
    assert "Unknown configuration key: no.such" in result.stderr


def test_life_cycle(lxc, launched, name, daemon):
    there = launched
    assert "RUNNING" in lxc("list", lxc.at(name), "-c", "s", "--format=csv")
    info = lxc("info", there)
    assert f"Name: {name}" in info and "Status: RUNNING" in info and "PID:" in info
    lxc("pause", there)
    assert "FROZEN" in lxc("list", lxc.at(name), "-c", "s", "--format=csv")
    lxc("start", there)
    lxc("restart", there, "--force")
    result = lxc.daemon.lxc("delete", there, check=False)
    assert result.returncode != 0 and "currently running" in result.stderr
    lxc("stop", there, "--force")
    assert "STOPPED" in lxc("list", lxc.at(name), "-c", "s", "--format=csv")
    result = lxc.daemon.lxc("stop", there, check=False)
    assert "already stopped" in result.stderr
    lxc("rename", there, f"{name}-new")
    lxc("copy", lxc.at(f"{name}-new"), lxc.at(name))
    lxc("delete", lxc.at(f"{name}-new"))
    assert lxc("list", lxc.at(name), "-c", "n", "--format=csv").split() == [name]
    lxc("start", there)
    assert lxc("exec", there, "--", "cat", "/etc/hostname").strip() == name
    lxc("delete", there, "--force")


def test_list_formats_and_columns(lxc, launched, name, daemon):
    wait_until(lambda: daemon.subnet in lxc("list", lxc.at(name), "--format=csv"), what="address in lxc list")
    for form in ("table", "json", "yaml", "csv", "compact"):
        assert name in lxc("list", lxc.at(name), f"--format={form}")
    for column in "46abcdDefFlmMnNpPsStu":
        lxc("list", lxc.at(name), "-c", column, "--format=csv")
    every = lxc("list", lxc.at(name), "-c", "ns4tSPpab", "--format=csv").strip().split(",")
    assert every[0] == name and every[1] == "RUNNING" and daemon.subnet in every[2] and every[3] == "CONTAINER"
    assert json.loads(lxc("list", lxc.at(name), "--format=json"))[0]["state"]["status"] == "Running"
    assert lxc("list", lxc.at(), "no-such-thing", "--format=csv") == ""
    assert "limits" not in lxc("list", lxc.at(name), "-c", "n,limits.memory:MEM", "--format=csv")


def test_ephemeral_instances_go_with_their_stop(lxc, name, daemon):
    lxc("launch", lxc.at("bb"), lxc.at(name), "--ephemeral")
    lxc("stop", lxc.at(name), "--force")
    wait_until(lambda: name not in lxc("list", lxc.at(), "-c", "n", "--format=csv"), what="ephemeral gone")


def test_exec(lxc, launched, daemon):
    run = lambda *args, **more: lxc.daemon.lxc("exec", launched, *args, **{"check": False, **more})  # noqa: E731
    assert run("--", "echo", "hello").stdout == "hello\n"
    assert run("--", "sh", "-c", "echo out; echo err >&2; exit 7").returncode == 7
    both = run("--", "sh", "-c", "echo out; echo err >&2")
    assert (both.stdout, both.stderr) == ("out\n", "err\n")
    assert run("--", "cat", input="through stdin").stdout == "through stdin"
    assert run("--", "no-such-command").returncode == 127
    assert run("--", "/etc/passwd").returncode == 126
    assert run("--env", "A=b", "--", "sh", "-c", "echo $A").stdout == "b\n"
    assert run("--cwd", "/etc", "--", "pwd").stdout == "/etc\n"
    assert run("--user", "1000", "--group", "1000", "--", "id", "-u").stdout == "1000\n"
    big = "x" * 3_000_000
    assert run("--", "cat", input=big).stdout == big
    assert run("--mode=interactive", "--", "sh", "-c", "tty; stty size; sleep 1", terminal=True).stdout.startswith("/dev/pts/")


def test_exec_has_the_kernel_limits_of_its_container(lxc, daemon, name):
    lxc("launch", lxc.at("bb"), lxc.at(name), "-c", "limits.kernel.nofile=300:400", "-c", "limits.kernel.core=0")
    asked = "ulimit -Sn; ulimit -Hn; ulimit -c"
    assert lxc("exec", lxc.at(name), "--", "sh", "-c", asked).split() == ["300", "400", "0"]


@pytest.mark.ours  # LXD's runtime raises the limit for containers as well
def test_the_daemons_own_file_limit_is_not_that_of_containers(request):
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1500, usual[1]))
    try:
        daemon = request.getfixturevalue("own_daemon")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0] > 1500
    daemon.lxc("launch", "bb", "c1")
    init = daemon.api.get("/1.0/instances/c1/state").metadata["pid"]
    assert resource.prlimit(init, resource.RLIMIT_NOFILE) == (1500, usual[1])
    assert daemon.lxc("exec", "c1", "--", "sh", "-c", "ulimit -n").stdout == "1500\n"
    daemon.lxc("delete", "--force", "c1")


@pytest.mark.ours  # about one in fifty parallel execs never returns from LXD 5.0.2
def test_thirty_execs_in_parallel_all_return(lxc, launched, daemon):
    processes = [subprocess.Popen(["lxc", "exec", launched, "--", "echo", str(i)], env=daemon.env, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for i in range(30 // PATIENCE)]
    assert [p.communicate(timeout=60)[0] for p in processes] == [f"{i}\n" for i in range(30 // PATIENCE)]


def test_files(lxc, launched, daemon, tmp_path):
    tree = tmp_path / "tree"
    (tree / "sub/deeper").mkdir(parents=True)
    (tree / "one").write_text("1\n")
    (tree / "sub/deeper/two").write_bytes(os.urandom(300_000))
    (tree / "sub/link").symlink_to("deeper/two")
    lxc("file", "push", "-r", tree, f"{launched}/root/")
    lxc("file", "pull", "-r", f"{launched}/root/tree", tmp_path / "back")
    back = tmp_path / "back/tree"
    assert (back / "one").read_text() == "1\n"
    assert (back / "sub/deeper/two").read_bytes() == (tree / "sub/deeper/two").read_bytes()
    assert os.readlink(back / "sub/link").endswith("deeper/two")
    lxc("file", "push", tree / "one", f"{launched}/root/moded", "--mode=0600", "--uid=1000", "--gid=1000")
    assert lxc("exec", launched, "--", "stat", "-c", "%a %u %g", "/root/moded").strip() == "600 1000 1000"
    lxc("file", "push", "-p", tree / "one", f"{launched}/root/made/for/it")
    assert lxc("file", "pull", f"{launched}/root/made/for/it", "-") == "1\n"
    lxc("file", "edit", f"{launched}/root/moded", terminal=True, env=editor(tmp_path, "s/1/edited/"))
    assert lxc("file", "pull", f"{launched}/root/moded", "-") == "edited\n"
    lxc("file", "delete", f"{launched}/root/moded")
    assert daemon.lxc("file", "pull", f"{launched}/root/moded", "-", check=False).returncode != 0


def test_console_log(lxc, launched, daemon):
    lxc("exec", launched, "--", "sh", "-c", "echo to-the-console > /dev/console")
    wait_until(lambda: "to-the-console" in lxc("console", launched, "--show-log"), what="console log")


def test_monitor_query_and_operations(lxc, daemon, name):
    with subprocess.Popen(["lxc", "monitor", lxc.at(), "--type=lifecycle", "--format=json"], env=daemon.env, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as monitor:
        try:
            time.sleep(1)
            lxc("init", lxc.at("bb"), lxc.at(name))
            lxc("delete", lxc.at(name))
            time.sleep(1)
        finally:
            monitor.terminate()
        lines = [json.loads(line) for line in monitor.stdout.read().splitlines() if line.strip()]
    actions = [line["metadata"]["action"] for line in lines if line["metadata"]["source"].startswith(f"/1.0/instances/{name}")]
    assert "instance-created" in actions and "instance-deleted" in actions
    assert "/1.0/profiles/default" in json.loads(lxc("query", lxc.at("/1.0/profiles").replace(":/", ":/")))
    assert json.loads(lxc("query", lxc.at("/1.0")))["api_version"] == "1.0"
    lxc("operation", "list", lxc.at(), "--format=csv")
    lxc("query", "-X", "PATCH", "-d", '{"description": "by query"}', lxc.at("/1.0/profiles/default"))
    assert json.loads(lxc("query", lxc.at("/1.0/profiles/default")))["description"] == "by query"


def test_server_settings_and_trust(lxc, daemon):
    lxc("config", "set", lxc.at(), "user.hello", "world")
    assert lxc("config", "get", lxc.at(), "user.hello").strip() == "world"
    lxc("config", "unset", lxc.at(), "user.hello")
    shown = yaml.safe_load(lxc("config", "show", lxc.at()))
    assert shown["config"]["core.trust_password"] is True
    assert "Fingerprint" in lxc("config", "trust", "list", lxc.at()) or "FINGERPRINT" in lxc("config", "trust", "list", lxc.at())
    assert "driver: lxc" in lxc("info", lxc.at())
    assert "default" in lxc("project", "list", lxc.at(), "--format=csv")
    assert "CPU" in lxc("info", lxc.at(), "--resources")


def test_copy_of_the_cached_image_is_not_touched(daemon):
    assert daemon.api.get("/1.0/images/aliases/bb").status == 200
    assert cached_busybox().exists()
