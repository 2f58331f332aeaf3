# SPDX-License-Identifier: Apache-2.0
"""R1, R2, R3, R5, R6, R7, R8, R9: paths, names and texts that reach the host."""
import gzip
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import tarfile
import threading
import time

import pytest

from daemons import run, wait_until
from tarballs import entry, make_tar, metadata, multipart, rootfs_members, tiny_image
from tested_build import SANITIZER

OCTETS = {"Content-Type": "application/octet-stream"}


def import_image(api, data):
    reply = api.post("/1.0/images", data=data, headers=OCTETS)
    if reply.status != 202:
        return None, reply.error
    operation = api.wait(reply.operation())
    return (operation["metadata"] or {}).get("fingerprint") if operation["status_code"] == 200 else None, operation["err"]


def refused_as_text(reply):
    """D5: 400 and the reason, where LXD takes most of these and has a plain 500 for the others."""
    return reply.status == 400 and reply.json["error_code"] == 400 and (
        "control character" in reply.error or "NUL character" in reply.error or reply.error == "Environment variables cannot contain line breaks")


@pytest.mark.ours
@pytest.mark.parametrize("member", ["templates", "metadata.yaml", "backup.yaml", "rootfs", "exec-output"])
def test_r1_r2_links_in_place_of_our_names_lead_nowhere(api, daemon, name, canary, member):
    members = [entry("metadata.yaml", metadata())] if member != "metadata.yaml" else []
    members += rootfs_members() if member != "rootfs" else []
    target = str(canary / "secret") if member.endswith(".yaml") else str(canary)
    fingerprint, error = import_image(api, make_tar(members + [entry(member, kind=tarfile.SYMTYPE, linkname=target)]))
    if not fingerprint:
        assert error
        return
    try:
        made = api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "fingerprint": fingerprint}}, ok=False)
        if not isinstance(made, dict) or made["status_code"] != 200:
            return
        path = f"/1.0/instances/{name}"
        assert api.post(f"{path}/metadata/templates?path=x.tpl", data=b"y", headers=OCTETS).status >= 400 or member != "templates"
        api.run("PUT", f"{path}/state", {"action": "start"}, ok=False)
        api.run("PATCH", path, {"config": {"user.x": "1"}}, ok=False)
        for url in (f"{path}/metadata", f"{path}/files?path=/secret", f"{path}/metadata/templates?path=secret"):
            assert b"canary-secret" not in api.get(url).body
    finally:
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True}, ok=False)
        api.run("DELETE", f"/1.0/instances/{name}", ok=False)
        api.run("DELETE", f"/1.0/images/{fingerprint}")


@pytest.mark.ours
@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE])
def test_r2_metadata_must_be_a_regular_file(api, kind):
    link = [entry("real", metadata())] if kind == tarfile.LNKTYPE else []
    odd = entry("metadata.yaml", kind=kind, linkname="real" if link else "", devmajor=1, devminor=3)
    fingerprint, error = import_image(api, make_tar(link + [odd] + rootfs_members()))
    if fingerprint:
        api.run("DELETE", f"/1.0/images/{fingerprint}")
    assert kind == tarfile.LNKTYPE or not fingerprint
    assert fingerprint or error


@pytest.mark.ours
def test_r1_files_of_a_guest_stay_in_the_guest(api, running, canary):
    """Links that the guest plants are followed inside its own root only."""
    path = f"/1.0/instances/{running}/files?path="
    for target in (str(canary), "/../../../../" + str(canary), "/proc/1/root" + str(canary)):
        api.exec(running, ["sh", "-c", f"rm -f /escape; ln -s {target} /escape"])
        for request in ("/escape/secret", "/escape/../escape/secret", "/../../.." + str(canary) + "/secret"):
            assert b"canary-secret" not in api.get(path + request).body
        assert api.post(path + "/escape/new", data=b"x").status >= 400
        api.delete(path + "/escape/secret")
    assert api.get(path + "/proc/1/root/etc/hostname").body.strip() != pathlib.Path("/etc/hostname").read_bytes().strip() or \
        api.get(path + "/etc/hostname").body.strip() == running.encode()


def big_image(name, megabytes):
    """A small file that takes long to read: far below what counts as a bomb, far above what is done in an instant."""
    data = make_tar([entry("metadata.yaml", metadata(name)), *rootfs_members()], compress=False).rstrip(b"\0")
    data += bytes(-len(data) % 512)
    info, _ = entry("rootfs/zeros")
    info.size = megabytes << 20
    block = gzip.compress(bytes(16 << 20), 1, mtime=0)
    return gzip.compress(data + info.tobuf(tarfile.GNU_FORMAT), mtime=0) + block * (megabytes // 16) + gzip.compress(bytes(1024))


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def limits_of(pid):
    """{name: soft limit}"""
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]
    return {line[:26].strip(): line[26:47].strip() for line in lines}


def is_below(child, pid):
    while child > 1:
        child = int(status_of(child)["PPid"][0])
        if child == pid:
            return True
    return False


def unpackers(pid):
    """Process ids of the caged children below `pid`: the last of their line, a process of the helper's own making."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "cmdline").read_bytes().startswith(b"lxdcore-helper\0unpack\0") and is_below(int(folder.name), pid) \
                    and status_of(folder.name)["NSpid"][1:] == ["1"]:
                found.append(int(folder.name))
        except (OSError, KeyError):
            continue
    return found


def stopped_unpacker(pid):
    """Catches the child of the next unpacking once it has shut itself in, and stops it there."""
    for child in unpackers(pid):
        try:
            if limits_of(child)["Max open files"] != "256" or os.listdir(f"/proc/{child}/root"):
                continue
            os.kill(child, signal.SIGSTOP)
        except OSError:
            continue
        wait_until(lambda: status_of(child)["State"][0] == "T", timeout=5, interval=0.002)  # noqa: B023
        return child
    return None


def mount_of(pid, fd):
    return next(line.split()[1] for line in open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") if line.startswith("mnt_id:"))


def check_cage(child, target):
    """Of a process that is stopped: who it is, what it sees, what it may use."""
    status, limits = status_of(child), limits_of(child)
    assert all(int(i) >= 65536 for i in status["Uid"] + status["Gid"]), (status["Uid"], status["Gid"])
    assert status["Groups"] == [] and status["NoNewPrivs"] == ["1"]
    for kind in ("user", "net", "mnt", "pid", "ipc", "uts"):
        assert os.readlink(f"/proc/{child}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    uid_map = [line.split() for line in open(f"/proc/{child}/uid_map", encoding="ascii")]
    assert uid_map and all(int(row[1]) >= 65536 for row in uid_map), uid_map
    assert [line.split(":")[0].strip() for line in open(f"/proc/{child}/net/dev", encoding="ascii").readlines()[2:]] == ["lo"]
    mounts = [line.split()[4] for line in open(f"/proc/{child}/mountinfo", encoding="ascii")]
    assert mounts == ["/"] and os.listdir(f"/proc/{child}/root") == [], mounts
    most_of = {"Max address space": 2 << 30, "Max open files": 256, "Max core file size": 0, "Max cpu time": 3600,
               "Max file size": 100 << 30}
    if SANITIZER:
        del most_of["Max address space"]  # whose maps are terabytes
    for name, most in most_of.items():
        assert limits[name] != "unlimited" and int(limits[name]) <= most, (name, limits[name])
    fds = {int(fd): os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
    assert {fds.pop(fd) for fd in (0, 1, 2)} == {"/dev/null"}
    files = {fd: path for fd, path in fds.items() if path.startswith("/") and not path.startswith("/memfd:")}
    others = {path.split(":")[0] for path in fds.values() if not path.startswith("/")}
    assert others <= {"pipe", "socket"} and len(fds) <= 12, fds
    archives = {path for path in files.values() if "/images/" in path}
    # All else is in the target: a mount of its own that no directory of the host shows.
    inside = {fd for fd, path in files.items() if path not in archives}
    assert len(archives) == 1 and bool(inside) == target, fds
    assert len({mount_of(child, fd) for fd in inside}) == int(target), fds
    shown = {line.split()[0] for line in open("/proc/self/mountinfo", encoding="ascii")}
    assert not [fd for fd in inside if mount_of(child, fd) in shown], fds


@pytest.mark.ours
@pytest.mark.parametrize("when", ["import", "create"])
def test_r3_archives_are_unpacked_by_an_unprivileged_child(daemon, api, name, when):
    """The child that reads a large archive is caught in the act: while it is imported, and while an instance is made."""
    data = big_image(f"slow-{when}", 512)
    fingerprint = hashlib.sha256(data).hexdigest()
    caught = []

    def watch():
        end = time.monotonic() + 60
        while not caught and time.monotonic() < end:
            child = stopped_unpacker(daemon.pid)
            if child:
                caught.append(child)

    def work():
        if when == "import":
            return import_image(api, data)
        return api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "fingerprint": fingerprint}}, ok=False)

    if when == "create":
        assert import_image(api, data)[0] == fingerprint
    watcher, worker = threading.Thread(target=watch), threading.Thread(target=work)
    watcher.start()
    worker.start()
    watcher.join()
    try:
        assert caught, "no child was seen: it is not where the archive is read"
        check_cage(caught[0], target=when == "create")
    finally:
        for child in caught:
            os.kill(child, signal.SIGCONT)
        worker.join()
        api.run("DELETE", f"/1.0/instances/{name}", ok=False)
        api.run("DELETE", f"/1.0/images/{fingerprint}", ok=False)


CONTROL = ["a\nlxc.hook.start-host=/bin/touch /tmp/lxdcore-hook", "a\rb", "a\x00b", "a\x1bb", "a\x7fb"]


@pytest.mark.ours
@pytest.mark.parametrize("value", CONTROL)
@pytest.mark.parametrize("key", ["environment.A", "raw.apparmor", "linux.kernel_modules", "limits.memory", "security.nesting", "boot.autostart",
                                 "linux.sysctl.net.x", "limits.kernel.nofile"])
def test_r5_control_characters_never_become_lines(api, container, key, value):
    if key == "raw.apparmor" and "\n" in value:
        pytest.skip("several lines are its purpose; it never reaches lxc.conf")
    before = api.get(f"/1.0/instances/{container}").metadata
    reply = api.patch(f"/1.0/instances/{container}", {"config": {key: value}})
    if reply.error == f'The configuration key "{key}" is not supported by this server yet':
        return
    assert refused_as_text(reply), (reply.status, reply.body)
    put = api.run("PUT", f"/1.0/instances/{container}", {**before, "config": {**before["config"], key: value}}, ok=False)
    assert refused_as_text(put) if "\0" in value else put["status_code"] == 400 and put["err"].startswith("Invalid config: "), put
    assert api.get(f"/1.0/instances/{container}").metadata == before
    assert not os.path.exists("/tmp/lxdcore-hook")


@pytest.mark.ours
@pytest.mark.parametrize("body", [
    {"config": {"environment.A\nlxc.x": "1"}}, {"config": {"user.x\ny": "1"}}, {"devices": {"a\nb": {"type": "none"}}},
    {"devices": {"e": {"type": "nic", "nictype": "p2p", "name": "eth\n9"}}}, {"devices": {"e": {"type": "nic", "nictype": "p2p", "hwaddr": "x\ny"}}},
    {"devices": {"d": {"type": "disk", "source": "/etc", "path": "/x\nlxc.y=1"}}}, {"devices": {"d": {"type": "disk", "source": "/et\nc", "path": "/x"}}}])
def test_r5_nor_do_those_in_keys_devices_and_fields(api, container, body):
    before = api.get(f"/1.0/instances/{container}").metadata
    reply = api.patch(f"/1.0/instances/{container}", body)
    assert refused_as_text(reply), (reply.status, reply.body)
    assert api.get(f"/1.0/instances/{container}").metadata == before


def test_r5_free_text_may_have_lines(api, container):
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.text": "one\ntwo"}, "description": "a\nb"})
    assert api.get(f"/1.0/instances/{container}").metadata["config"]["user.text"] == "one\ntwo"
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})


@pytest.mark.ours
@pytest.mark.parametrize("config", [{"dns.domain": "a\nserver=1.2.3.4"}, {"ipv4.dhcp.ranges": "10.1.1.2-10.1.1.9\nx"}, {"bridge.external_interfaces": "a\nb"},
                                    {"dns.search": "x\ny"}, {"ipv4.dhcp.expiry": "1h\nx"}, {"ipv4.routes": "10.0.0.0/8\n"}])
def test_r5_networks_refuse_lines(api, daemon, config):
    assert api.patch(f"/1.0/networks/{daemon.bridge}", {"config": config}).status == 400


@pytest.mark.ours
def test_r6_no_shell_is_started_in_a_life_cycle(daemon, api, name, tmp_path):
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=execve", "-s", "200", "-o", str(trace), "-p", str(daemon.pid)],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    try:
        api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}})
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})
        api.exec(name, ["true"])
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True})
        api.run("DELETE", f"/1.0/instances/{name}")
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    calls = [line for line in trace.read_text(errors="replace").splitlines() if "execve(" in line]
    guest = [line for line in calls if '"/sbin/init"' in line or '"/etc/boot"' in line]
    shells = [line for line in calls if ('"sh", "-c"' in line or '/bin/sh", ["' in line and '"-c"' in line)]
    assert calls and not [line for line in shells if line not in guest]


BAD_COMPRESSORS = ["gzip --help", "gzip -9 -k", "gzip -10", "gzip -0", "gzip -x", "gzip -9x", "gzip  -9", " gzip", "/bin/sh", "sh -c id", "gzip;id", "gzip\n-9",
                   "gzip\t-9", "$(id)", "squashfs -9", "none -1", "-9", "--help", "../gzip", "zip"]


@pytest.mark.ours
@pytest.mark.parametrize("value", BAD_COMPRESSORS)
@pytest.mark.parametrize("key", ["images.compression_algorithm", "backups.compression_algorithm"])
def test_r7_a_compressor_has_a_level_and_no_other_argument(api, key, value):
    for method in (api.patch, api.put):
        before = api.get("/1.0").metadata["config"]
        reply = method("/1.0", {"config": {**({} if method == api.patch else before), key: value}})
        assert reply.status == 400 and reply.error.startswith(f"cannot set '{key}' to "), (reply.status, reply.error)
        assert api.get("/1.0").metadata["config"] == before


@pytest.mark.parametrize("value", ["none", "gzip", "bzip2", "lzma", "xz", "zstd", "squashfs", "gzip -9", "xz -1", "zstd -5"])
def test_r7_known_compressors_are_taken(api, value):
    for key in ("images.compression_algorithm", "backups.compression_algorithm"):
        api.run("PATCH", "/1.0", {"config": {key: value}})
        assert api.get("/1.0").metadata["config"].get(key, "gzip") == value
        api.run("PATCH", "/1.0", {"config": {key: ""}})


@pytest.mark.ours
@pytest.mark.parametrize("value", ["gzip --help", "/bin/sh", "squashfs -o x"])
def test_r7_nothing_is_published_with_a_compressor_of_ones_own(api, container, value):
    """Publishing and backups are not offered; when they are, this must become a 400."""
    body = {"compression_algorithm": value, "source": {"type": "instance", "name": container}}
    assert api.post("/1.0/images", body).status in (400, 501)
    assert api.post(f"/1.0/instances/{container}/backups", {"name": "b", "compression_algorithm": value}).status in (400, 404, 501)


@pytest.mark.ours
@pytest.mark.parametrize("config", [{"dns.domain": "x/8.8.8.8#53"}, {"dns.domain": "--conf-file=/etc/passwd"}, {"dns.domain": "a,b"},
                                    {"dns.search": "a.b,--help"}, {"dns.search": "a/1.2.3.4"}, {"ipv4.dhcp.expiry": "1h,set:x"},
                                    {"ipv4.dhcp.expiry": "-1"}, {"ipv4.dhcp.gateway": "10.0.0.1,6,8.8.8.8"},
                                    {"ipv4.dhcp.ranges": "10.71.8.2-10.71.8.9,--help"}])
def test_r7_options_of_a_network_stay_within_their_argument(api, daemon, config):
    before = api.get(f"/1.0/networks/{daemon.bridge}").metadata
    reply = api.patch(f"/1.0/networks/{daemon.bridge}", {"config": config})
    assert reply.status == 400 and reply.error
    assert api.get(f"/1.0/networks/{daemon.bridge}").metadata == before


def arguments(trace):
    """The argv of each execve that succeeded."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        match = re.search(r'execve(?:at)?\(.*?, \[(.*?)\](?:\.\.\.)?, .*= 0$', line)
        if match:
            found.append(re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(1)))
    return found


@pytest.mark.ours
def test_r7_texts_of_users_are_no_arguments(daemon, api, name, tmp_path):
    """Whatever a client may name or describe: the programs that we start get none of it."""
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "-o evil").write_text("x")
    run("mksquashfs", tree, tmp_path / "root.squashfs", "-quiet", "-no-progress")
    body, kind = multipart(make_tar([entry("metadata.yaml", metadata("--evil"))]), (tmp_path / "root.squashfs").read_bytes())
    trace, network = tmp_path / "trace", "evl" + name[-4:].strip("-")
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-e", "status=successful", "-s", "300", "-o", str(trace),
                               "-p", str(daemon.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fingerprint = None
    try:
        wait_until(lambda: status_of(daemon.pid)["TracerPid"] != ["0"], what="strace")
        operation = api.wait(api.post("/1.0/images", data=body, headers={
            "Content-Type": kind, "X-LXD-filename": "--evil -o", "X-LXD-properties": "description=--evil&os=-evil"}).operation())
        fingerprint = operation["metadata"]["fingerprint"]
        api.run("POST", "/1.0/images/aliases", {"name": "--evil", "target": fingerprint})
        api.run("POST", "/1.0/networks", {"name": network, "description": "--evil", "config": {
            "ipv4.address": "10.72.66.1/24", "ipv6.address": "none", "dns.domain": "good.example", "user.x": "--evil",
            "raw.dnsmasq": "local=/evil/"}})
        api.run("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "--evil"}, "description": "--evil",
                                           "config": {"user.evil": "--evil", "environment.EVIL": "--evil"}})
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        api.run("DELETE", f"/1.0/instances/{name}", ok=False)
        api.run("DELETE", f"/1.0/networks/{network}", ok=False)
        if fingerprint:
            api.run("DELETE", f"/1.0/images/{fingerprint}")
    seen = arguments(trace)
    assert ["lxdcore-helper", "unpack"] in [a[:2] for a in seen] and [a for a in seen if a[0] == "unsquashfs"] and [a for a in seen if "dnsmasq" in a[0]]
    for argv in seen:
        assert argv[0].rpartition("/")[2] in ("lxdcore-helper", "unsquashfs", "dnsmasq"), argv
        assert not [word for word in argv if "evil" in word], argv
        assert argv[0] != "unsquashfs" or argv[1:-1] == ["-no-wildcards", "-f", "-n", "-q", "-p", "2", "-d", "."] and re.fullmatch(r"/proc/self/fd/\d+", argv[-1]), argv
        assert argv[0] != "lxdcore-helper" or len(argv) == 2 or len(argv) == 3 and argv[2].isdigit(), argv  # a limit


@pytest.mark.parametrize("fingerprint", ["%25", "_" * 12, "a", "ab%25", "0" * 63 + "g", "A" * 64, "0" * 65, "..", "%2e%2e%2fx"])
@pytest.mark.ours
def test_r9_only_fingerprints_find_images(api, fingerprint):
    for suffix in ("", "/export"):
        assert api.get(f"/1.0/images/{fingerprint}{suffix}").status in (400, 404)


@pytest.mark.ours
@pytest.mark.parametrize("claimed", ["0" * 64, "../../x", "x", "%", "A" * 64])
def test_r9_a_claimed_fingerprint_must_be_true(api, daemon, claimed):
    reply = api.post("/1.0/images", data=tiny_image("claimed"), headers={**OCTETS, "X-LXD-fingerprint": claimed})
    assert reply.status in (400, 500) or api.wait(reply.operation())["status_code"] == 400
    assert not list((daemon.dir / "images").glob("*claimed*")) and not (daemon.dir.parent / "x").exists()


def test_r9_prefixes_of_twelve_find_the_image(api):
    full = api.get("/1.0/images/aliases/bb").metadata["target"]
    assert api.get(f"/1.0/images/{full[:12]}").metadata["fingerprint"] == full


@pytest.mark.ours
@pytest.mark.parametrize("log", ["..%2f..%2fdatabase%2flocal.db", "..", "%2e%2e%2fx", "x%00.log", "lxc.log%2f..%2f..%2fx"])
def test_r8_names_of_log_files(api, container, log):
    assert api.get(f"/1.0/instances/{container}/logs/{log}").status in (400, 404)
    assert api.delete(f"/1.0/instances/{container}/logs/{log}").status in (400, 404)


@pytest.mark.ours
@pytest.mark.parametrize("template", ["../x", "..%2fx", "a%2fb", "%00", "x%0ay"])
def test_r8_names_of_templates(api, container, template):
    path = f"/1.0/instances/{container}/metadata/templates?path={template}"
    assert api.get(path).status in (400, 404, 500, 501)
    assert api.post(path, data=b"x", headers=OCTETS).status in (400, 404, 500, 501)


def test_nothing_was_left_by_these(daemon):
    wait_until(lambda: not run("find", "/tmp", "-maxdepth", "1", "-name", "lxdcore-hook").stdout, timeout=1)
