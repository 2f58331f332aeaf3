# SPDX-License-Identifier: Apache-2.0
"""R1, R2, R3, R5, R6, R7, R8, R9: paths, names and texts that reach the host."""
import os
import pathlib
import signal
import subprocess
import tarfile
import time

import pytest

from daemons import run, wait_until
from tarballs import entry, make_tar, metadata, rootfs_members, tiny_image

OCTETS = {"Content-Type": "application/octet-stream"}


def import_image(api, data):
    reply = api.post("/1.0/images", data=data, headers=OCTETS)
    if reply.status != 202:
        return None, reply.error
    operation = api.wait(reply.operation())
    return (operation["metadata"] or {}).get("fingerprint") if operation["status_code"] == 200 else None, operation["err"]


def refused(api, reply):
    """As LXD refuses a change of an instance: PATCH at once, with its 500 for what does not validate."""
    if reply.status == 202:
        return api.wait(reply.operation())["status_code"] == 400
    return reply.status == 400 or reply.status == 500 and reply.error.startswith("Invalid ")


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


@pytest.mark.ours
def test_r3_archives_are_unpacked_by_an_unprivileged_child(daemon, api):
    """While a large image is imported, a child of the daemon is in another user namespace or not root, without network."""
    slow = make_tar([entry("metadata.yaml", metadata("slow")), *rootfs_members(),
                     *[entry(f"rootfs/etc/f{i}", os.urandom(4096)) for i in range(1500)]])
    seen = []
    process = subprocess.Popen(["curl", "-s", "--unix-socket", daemon.socket, "--limit-rate", "4M", "-X", "POST", "--data-binary", "@-",
                                "-H", "Content-Type: application/octet-stream", "http://l/1.0/images"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    process.stdin.write(slow)
    process.stdin.close()
    end = time.monotonic() + 20
    while time.monotonic() < end and not (process.poll() is not None and seen):
        seen += caged_children(daemon.pid)
        if process.poll() is not None and time.monotonic() > end - 15:
            break
        time.sleep(0.002)
    process.wait(30)
    for image in api.get("/1.0/images?recursion=1").metadata:
        if image["properties"].get("release") == "slow":
            api.run("DELETE", f"/1.0/images/{image['fingerprint']}")
    if not seen:
        pytest.xfail("the child was not caught while it ran: nothing is known about its cage")
    assert all(caged for _, caged in seen[-3:]), seen[-3:]


def is_below(child, pid):
    while int(child) > 1:
        child = pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1]
        if int(child) == pid:
            return True
    return False


def caged_children(pid):
    """(process, is caged) of helper processes below `pid` that have settled."""
    found = []
    ours = os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/user")
    for entry in pathlib.Path("/proc").iterdir():
        child = entry.name
        try:
            if not child.isdigit() or b"lxdcore-helper\0unpack" not in (entry / "cmdline").read_bytes() or not is_below(child, pid):
                continue
        except OSError:
            continue
        try:
            net, user = os.readlink(f"/proc/{child}/ns/net"), os.readlink(f"/proc/{child}/ns/user")
            uid = next(x.split()[2] for x in open(f"/proc/{child}/status", encoding="ascii") if x.startswith("Uid:"))
        except (OSError, StopIteration):
            continue
        if user != ours[1] or uid != "0" or net != ours[0]:
            found.append((child, net != ours[0] and (user != ours[1] or uid != "0")))
    return found


CONTROL = ["a\nlxc.hook.start-host=/bin/touch /tmp/lxdcore-hook", "a\rb", "a\x00b", "a\x1bb", "a\x7fb"]


@pytest.mark.ours
@pytest.mark.parametrize("value", CONTROL)
@pytest.mark.parametrize("key", ["environment.A", "raw.apparmor", "linux.kernel_modules", "limits.memory", "security.nesting", "boot.autostart",
                                 "linux.sysctl.net.x", "limits.kernel.nofile"])
def test_r5_control_characters_never_become_lines(api, container, key, value):
    if key == "raw.apparmor" and "\n" in value:
        pytest.skip("several lines are its purpose; it never reaches lxc.conf")
    reply = api.patch(f"/1.0/instances/{container}", {"config": {key: value}})
    assert refused(api, reply), (reply.status, reply.body)
    assert not os.path.exists("/tmp/lxdcore-hook")


@pytest.mark.ours
@pytest.mark.parametrize("body", [
    {"config": {"environment.A\nlxc.x": "1"}}, {"config": {"user.x\ny": "1"}}, {"devices": {"a\nb": {"type": "none"}}},
    {"devices": {"e": {"type": "nic", "nictype": "p2p", "name": "eth\n9"}}}, {"devices": {"e": {"type": "nic", "nictype": "p2p", "hwaddr": "x\ny"}}},
    {"devices": {"d": {"type": "disk", "source": "/etc", "path": "/x\nlxc.y=1"}}}, {"devices": {"d": {"type": "disk", "source": "/et\nc", "path": "/x"}}}])
def test_r5_nor_do_those_in_keys_devices_and_fields(api, container, body):
    reply = api.patch(f"/1.0/instances/{container}", body)
    assert refused(api, reply), (reply.status, reply.body)


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
