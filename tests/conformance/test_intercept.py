# SPDX-License-Identifier: Apache-2.0
"""System calls that are carried out for a guest: security.syscalls.intercept.*"""
import os
import pathlib
import stat
import tempfile

import pytest

from daemons import BUILD, run, wait_until

pytestmark = pytest.mark.ours  # LXD 5.0.2 fails to carry most of these out on kernels of today

PROGRAM = BUILD / "tests/support/guest-call"
CHARACTER, BLOCK, FIFO = stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO


def push(api, name, path, data, mode="0755"):
    reply = api.post(f"/1.0/instances/{name}/files?path={path}", data=data, headers={
        "X-LXD-type": "file", "X-LXD-mode": mode, "Content-Type": "application/octet-stream"})
    assert reply.status == 200, reply.body


class Guest:
    def __init__(self, api, daemon, name):
        self.api, self.daemon, self.name = api, daemon, name
        push(api, name, "/call", PROGRAM.read_bytes())

    def start(self, **config):
        settings = {"security.syscalls.intercept." + key.replace("__", "."): value for key, value in config.items()}
        self.api.run("PATCH", f"/1.0/instances/{self.name}", {"config": settings})
        self.api.run("PUT", f"/1.0/instances/{self.name}/state", {"action": "start"})
        return self

    def call(self, *words, **fields):
        return self.api.exec(self.name, ["/call", *map(str, words)], **fields)[1].strip()

    def shell(self, text, **fields):
        code, out, err = self.api.exec(self.name, ["sh", "-c", text], **fields)
        return out.strip() if code == 0 else f"{code}: {err.strip()}"

    @property
    def rootfs(self):
        return pathlib.Path(self.daemon.dir) / "containers" / self.name / "rootfs"


@pytest.fixture
def guest(api, daemon, container):
    return Guest(api, daemon, container)


# --- mknod -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1)])
def test_harmless_devices_can_be_made(guest, device):
    guest.start(mknod="true")
    assert guest.call("mknod", "/root/n", CHARACTER | 0o640, *device) == "ok"
    assert guest.shell("stat -c '%F %t %T %u %g %a' /root/n") == "character special file %x %x 0 0 640" % device
    assert guest.call("mknod", "/root/n", CHARACTER | 0o640, *device) == "EEXIST"


@pytest.mark.parametrize("folder", ["/root", "/dev", "/tmp/mounted"])
def test_they_work_on_every_filesystem(guest, folder):
    guest.start(mknod="true")
    guest.shell("mkdir -p /tmp/mounted; mount -t tmpfs -o mode=755 tmpfs /tmp/mounted")
    assert guest.call("mknod", f"{folder}/zeros", CHARACTER | 0o666, 1, 5) == "ok"
    assert guest.shell(f"head -c 3 {folder}/zeros | od -An -tx1") == "00 00 00"
    assert guest.shell(f"cd {folder} && /call mknod here {CHARACTER | 0o666} 1 3 && echo x > here && echo done") == "ok\ndone"


@pytest.mark.parametrize("kind,device", [(CHARACTER, (1, 1)), (CHARACTER, (10, 200)), (BLOCK, (8, 0)), (BLOCK, (7, 0)), (CHARACTER, (1, 259))])
def test_no_other_device_can(guest, kind, device):
    guest.start(mknod="true")
    assert guest.call("mknod", "/root/n", kind | 0o600, *device) == "EPERM"
    assert guest.shell("ls /root") == ""


def test_mknodat_takes_its_directory(guest):
    guest.start(mknod="true")
    assert guest.call("mknodat", "/root", "n", CHARACTER | 0o600, 1, 3) == "ok"
    assert guest.call("mknodat", "/nowhere", "n", CHARACTER | 0o600, 1, 3) == "EBADF"
    assert guest.call("mknodat", "/etc/passwd", "n", CHARACTER | 0o600, 1, 3) == "ENOTDIR"
    assert guest.call("mknod", "/root/pipe", FIFO | 0o600, 0, 0) == "ok"


def test_the_thread_that_asks_need_not_be_the_first(guest):
    guest.start(mknod="true")
    assert guest.call("thread", "mknod", "/root/n", CHARACTER | 0o600, 1, 3) == "ok"


@pytest.mark.parametrize("path,error", [("/nowhere/n", "ENOENT"), ("/etc/passwd/n", "ENOTDIR"), ("/proc/n", "ENOENT"), ("/sys/n", "EPERM"),
                                        ("/" + "x" * 300, "ENAMETOOLONG"), ("/loop/n", "ELOOP")])
def test_bad_paths_have_the_errors_of_the_kernel(guest, path, error):
    guest.start(mknod="true")
    guest.shell("ln -s loop /loop")
    got = guest.call("mknod", path, CHARACTER | 0o600, 1, 3)
    assert got == error or (path.startswith(("/proc", "/sys")) and got in ("ENOENT", "EPERM", "EACCES", "EROFS"))


@pytest.mark.parametrize("link", ["/../../../../../..{}", "{}", "/proc/1/root{}", "/proc/self/root{}"])
def test_links_stay_in_the_guest(guest, canary, link):
    guest.start(mknod="true")
    guest.shell(f"ln -s {link.format(canary)} /out")
    assert guest.call("mknod", "/out/n", CHARACTER | 0o666, 1, 3) in ("ENOENT", "EACCES")


def test_who_may_not_write_there_may_not_make_devices(guest):
    guest.start(mknod="true")
    for folder, error in [("/tmp", "EPERM"), ("/root", "EACCES")]:  # no CAP_MKNOD: the kernel refuses, as ever
        assert guest.call("mknod", f"{folder}/n", CHARACTER | 0o666, 1, 3, user=1000, group=1000) == error


def test_without_the_key_nothing_changes(guest):
    guest.start()
    assert guest.call("mknod", "/root/n", CHARACTER | 0o666, 1, 3) == "EPERM"
    assert not (pathlib.Path(guest.daemon.dir) / "logs" / guest.name / "lxc.conf").read_text().count("notify")


BOOT = """#!/bin/sh
hostname -F /etc/hostname
/call mknod /root/early %d 1 3 > /root/early.txt
(while ! [ -e /go ]; do sleep 0.1; done; /call mknod /root/late %d 1 5 > /root/late.txt) &
""" % (CHARACTER | 0o644, CHARACTER | 0o644)


def test_what_init_starts_is_served_before_and_after_a_restart_of_the_daemon(own_daemon):
    daemon, api = own_daemon, own_daemon.api
    api.run("POST", "/1.0/instances", {"name": "icpt", "source": {"type": "image", "alias": "bb"}})
    guest = Guest(api, daemon, "icpt")
    push(api, "icpt", "/etc/boot", BOOT.encode())
    guest.start(mknod="true")
    wait_until(lambda: guest.shell("cat /root/early.txt") == "ok")
    daemon.kill()
    daemon.start()
    guest.shell("touch /go")
    wait_until(lambda: guest.shell("cat /root/late.txt") == "ok")
    assert guest.shell("stat -c '%F %t %T' /root/early /root/late") == "character special file 1 3\ncharacter special file 1 5"


def test_many_at_once_are_all_served(guest):
    guest.start(mknod="true")
    script = "for i in $(seq 40); do /call mknod /root/n$i %d 1 3 & done; wait; ls /root | wc -l" % (CHARACTER | 0o600)
    assert guest.shell(script).split()[-1] == "40"


# --- setxattr --------------------------------------------------------------------------------------------------------
def test_directories_can_be_made_opaque(guest):
    guest.start(setxattr="true")
    guest.shell("mkdir /root/upper; ln -s upper /root/link")
    assert guest.call("setxattr", "/root/link", "trusted.overlay.opaque", "y") == "ok"
    assert os.getxattr(guest.rootfs / "root/upper", "trusted.overlay.opaque") == b"y"


@pytest.mark.parametrize("path,attribute,value,user,error", [
    ("/root", "trusted.other", "y", 0, "EPERM"), ("/root", "trusted.overlay.opaque", "yes", 0, "EPERM"),
    ("/root", "security.capability", "y", 0, "EINVAL"), ("/nowhere", "trusted.overlay.opaque", "y", 0, "ENOENT"),
    ("/tmp", "trusted.overlay.opaque", "y", 1000, "EPERM")])
def test_no_other_attribute_can_be_set(guest, path, attribute, value, user, error):
    guest.start(setxattr="true")
    assert guest.call("setxattr", path, attribute, value, user=user, group=user) == error


# --- sched_setscheduler ----------------------------------------------------------------------------------------------
def test_realtime_scheduling_is_given_to_processes_of_the_guest_only(guest):
    guest.start(sched_setscheduler="true")
    rr = os.SCHED_RR
    own = guest.call("sched_setscheduler", 0, rr, 5)
    # On cgroup v1 a group without a share of realtime has none to give.
    limit = pathlib.Path("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
    assert own == ("EPERM" if limit.exists() else "ok")
    assert guest.call("sched_setscheduler", 0, os.SCHED_BATCH, 0) == "ok"
    assert guest.shell(f"sleep 60 & /call sched_setscheduler $! {os.SCHED_BATCH} 0; kill $!") == "ok"
    assert guest.call("sched_setscheduler", 99999, os.SCHED_BATCH, 0) == "ESRCH"
    assert guest.call("sched_setscheduler", 0, 99, 0) == "EINVAL"
    assert guest.call("sched_setscheduler", 1, rr, 5, user=1000, group=1000) == "EPERM"


# --- mount -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def disk(tmp_path, guest, api):
    """A block device with ext4 that the guest's root may use, and on it a device node of the guest's root."""
    image = tmp_path / "disk.img"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("hello\n")
    run("mkfs.ext4", "-q", "-d", str(tree), str(image))
    loop = run("losetup", "--show", "-f", str(image)).stdout.strip()
    api.run("PATCH", f"/1.0/instances/{guest.name}", {"devices": {"disk": {"type": "disk", "source": loop, "path": "/dev/disk"}}})
    before = os.stat(loop)
    try:
        yield loop
    finally:
        api.run("PUT", f"/1.0/instances/{guest.name}/state", {"action": "stop", "force": True}, ok=False)
        os.chown(loop, before.st_uid, before.st_gid)
        run("losetup", "-d", loop)


def root_uid(api, name):
    import json
    idmap = json.loads(api.get(f"/1.0/instances/{name}").metadata["config"]["volatile.idmap.current"])
    return next(entry["Hostid"] for entry in idmap if entry["Isuid"])


def test_allowed_filesystems_can_be_mounted(guest, disk, api):
    guest.start(mount="true", mount__allowed="ext4")
    os.chown(disk, root_uid(api, guest.name), -1)
    guest.shell("mkdir /mnt/d")
    assert guest.call("mount", "/dev/disk", "/mnt/d", "ext4", 0, "errors=remount-ro") == "ok"
    assert guest.shell("cat /mnt/d/file") == "hello"
    options = guest.shell("grep ' /mnt/d ' /proc/mounts").split()[3].split(",")
    assert "nodev" in options and "rw" in options  # an image may hold nodes of the host's disks
    assert guest.shell("umount /mnt/d && echo gone") == "gone"
    assert guest.call("mount", "/dev/disk", "/mnt/d", "ext4", 1, "") == "ok"
    assert guest.shell("grep ' /mnt/d ' /proc/mounts").split()[3].split(",")[0] == "ro"


@pytest.mark.parametrize("options", ["source=/dev/vda", "device=/dev/vda", "journal_path=/dev/vda", "journal_dev=0xfe00", "logdev=/dev/vda",
                                     "rtdev=vda", "errors=continue,journal_path=/dev/vda"])
def test_options_lead_to_no_other_device(guest, disk, api, options):
    guest.start(mount="true", mount__allowed="ext4")
    os.chown(disk, root_uid(api, guest.name), -1)
    assert guest.call("mount", "/dev/disk", "/mnt", "ext4", 0, options) == "EPERM"


def test_devices_on_mounted_filesystems_stay_closed(guest, disk, api):
    with tempfile.TemporaryDirectory() as top:
        run("mount", disk, top)
        try:
            os.mknod(f"{top}/node", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        finally:
            run("umount", top)
    guest.start(mount="true", mount__allowed="ext4")
    os.chown(disk, root_uid(api, guest.name), -1)
    assert guest.call("mount", "/dev/disk", "/mnt", "ext4", 0, "") == "ok"
    closed = "head -c 1 /mnt/node > /dev/null && echo open"
    assert "ermission denied" in guest.shell(closed)
    remount, bind, nodev = 32, 4096, 4
    assert guest.call("mount", "none", "/mnt", "none", remount | bind, "") == "EPERM"
    assert guest.call("mount", "none", "/mnt", "none", remount, "") == "EPERM"
    assert guest.call("mount_setattr", "/mnt", nodev) == "ENOSYS"
    assert guest.shell("mkdir /tmp/again; mount -o bind /mnt /tmp/again && mount -o remount,bind,dev /tmp/again && echo done") != "done"
    assert "ermission denied" in guest.shell(closed.replace("/mnt", "/tmp/again"))
    assert "ermission denied" in guest.shell(closed)


def test_what_the_guest_mounts_itself_it_remounts_as_elsewhere(guest, disk, api):
    """Only what was mounted for it keeps its nodev."""
    guest.start(mount="true", mount__allowed="ext4")
    os.chown(disk, root_uid(api, guest.name), -1)
    remount, bind, ro, nosuid, nodev, noexec = 32, 4096, 1, 2, 4, 8

    def options(path):
        return set(guest.shell(f"grep ' {path} ' /proc/mounts").split()[3].split(","))

    guest.shell("mkdir /tmp/own /tmp/d")
    assert guest.call("mount", "tmpfs", "/tmp/own", "tmpfs", nodev | nosuid, "size=1m") == "ok"
    assert {"nodev", "nosuid"} <= options("/tmp/own")
    assert guest.call("mount", "none", "/tmp/own", "none", remount | bind, "") == "ok"
    assert not {"nodev", "nosuid"} & options("/tmp/own")
    assert guest.call("mount", "none", "/tmp/own", "none", remount, "size=2m") == "ok"
    assert guest.shell("mount -o remount,ro,dev /tmp/own && echo done") == "done" and "ro" in options("/tmp/own")
    assert guest.call("mount", "/dev/disk", "/tmp/d", "ext4", nosuid | noexec, "") == "ok"
    assert {"nodev", "nosuid", "noexec", "rw"} <= options("/tmp/d")
    assert guest.call("mount", "none", "/tmp/d", "none", remount | bind | nodev | ro, "") == "ok"
    assert options("/tmp/d") >= {"nodev", "ro"} and not {"nosuid", "noexec"} & options("/tmp/d")
    assert guest.call("mount", "none", "/tmp/d", "none", remount | bind | nodev, "") == "ok" and "rw" in options("/tmp/d")
    assert guest.call("mount", "none", "/tmp/d", "none", remount | bind, "") == "EPERM" and "nodev" in options("/tmp/d")
    assert guest.shell("umount /tmp/d && echo gone") == "gone"


def test_shifted_mounts_show_the_ids_of_the_guest(guest, disk, api):
    guest.start(mount="true", mount__allowed="ext4", mount__shift="true")
    os.chown(disk, root_uid(api, guest.name), -1)
    assert guest.call("mount", "/dev/disk", "/mnt", "ext4", 0, "") == "ok"
    assert guest.shell("stat -c '%u %g' /mnt/file") == "0 0"
    assert guest.shell("echo more >> /mnt/file && tail -n 1 /mnt/file") == "more"


def test_nothing_else_can_be_mounted(guest, disk, api):
    guest.start(mount="true", mount__allowed="ext4")
    guest.shell("mkdir /mnt/d; ln -s /dev/null /mnt/not; touch /mnt/plain")
    assert guest.call("mount", "/dev/disk", "/mnt/d", "ext4", 0, "") == "EACCES"  # the device is not the guest's
    os.chown(disk, root_uid(api, guest.name), -1)
    assert guest.call("mount", "/dev/disk", "/mnt/d", "xfs", 0, "") == "EPERM"
    assert guest.call("mount", "/dev/disk", "/nowhere", "ext4", 0, "") == "ENOENT"
    assert guest.call("mount", "/dev/disk", "/mnt/plain", "ext4", 0, "") == "ENOTDIR"
    assert guest.call("mount", "/mnt/not", "/mnt/d", "ext4", 0, "") == "ENOTBLK"
    assert guest.call("mount", "/dev/disk", "/mnt/d", "ext4", 0, "bogus=1") == "EINVAL"
    assert guest.call("mount", "/dev/disk", "/mnt/d", "ext4", 0, "", user=1000, group=1000) == "EPERM"
    assert guest.call("mount", "tmpfs", "/mnt/d", "tmpfs", 0, "size=1m") == "ok"  # the kernel's own business
    api.run("PATCH", f"/1.0/instances/{guest.name}", {"config": {"security.syscalls.intercept.mount.allowed": "xfs"}})
    assert guest.call("mount", "/dev/disk", "/mnt/d", "ext4", 0, "") == "EPERM"  # the list is live


@pytest.fixture
def huge_pages():
    """The size of a huge page, of which two are free."""
    counter, free = pathlib.Path("/proc/sys/vm/nr_hugepages"), "HugePages_Free:"

    def number(key):
        return int(next(line for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith(key)).split()[1])

    before = int(counter.read_text())
    counter.write_text(str(before + 2))
    try:
        assert number(free) >= 2
        yield number("Hugepagesize:") * 1024
    finally:
        counter.write_text(str(before))


def test_huge_pages_can_be_mounted_and_belong_to_the_guest(guest, huge_pages):
    guest.start(mount="true", mount__allowed="hugetlbfs", mount__shift="true")
    guest.shell("mkdir /tmp/h /tmp/other")
    assert guest.call("mount", "none", "/tmp/h", "hugetlbfs", 0, f"size={huge_pages},mode=0700") == "ok"
    assert guest.shell("stat -c '%u %g %a' /tmp/h") == "0 0 700"
    options = guest.shell("grep ' /tmp/h ' /proc/mounts").split()
    assert options[2] == "hugetlbfs" and "nodev" in options[3].split(",")
    assert guest.shell(f"fallocate -l {huge_pages} /tmp/h/page && stat -c '%s %u' /tmp/h/page") == f"{huge_pages} 0"
    assert "No space" in guest.shell(f"fallocate -l {huge_pages} /tmp/h/more")
    assert guest.shell("umount /tmp/h && echo gone") == "gone"
    assert guest.call("mount", "none", "/tmp/other", "hugetlbfs", 1, "uid=1000,gid=100") == "ok"
    assert guest.shell("stat -c '%u %g' /tmp/other") == "1000 100"
    assert guest.shell("grep ' /tmp/other ' /proc/mounts").split()[3].split(",")[0] == "ro"


@pytest.mark.parametrize("options", ["uid=4294967294", "uid=-1", "gid=x", "uid", "source=x", "size=1,ro", "nosuch=1"])
def test_huge_pages_take_their_own_options_only(guest, options):
    guest.start(mount="true", mount__allowed="hugetlbfs")
    assert guest.call("mount", "none", "/mnt", "hugetlbfs", 0, options) == "EINVAL"
    assert guest.call("mount", "none", "/nowhere", "hugetlbfs", 0, "") == "ENOENT"
    assert guest.call("mount", "none", "/mnt", "hugetlbfs", 0, "", user=1000, group=1000) == "EPERM"


def test_huge_pages_that_are_not_allowed_are_refused(guest):
    guest.start(mount="true", mount__allowed="ext4")
    assert guest.call("mount", "none", "/mnt", "hugetlbfs", 0, "") == "EPERM"


FUSE = """#!/bin/sh
echo "$@" > /root/asked.txt
[ "$1" != /dev/bad ]
"""


def test_a_program_of_the_guest_can_mount_in_the_place_of_the_kernel(guest, api):
    push(api, guest.name, "/bin/fuse-fs", FUSE.encode())
    guest.start(mount="true", mount__fuse="ext4=fuse-fs,xfs=nothing-there")
    assert guest.call("mount", "/dev/disk", "/mnt", "ext4", 1, "allow_other") == "ok"
    assert guest.shell("cat /root/asked.txt") == "/dev/disk /mnt -o allow_other,ro"
    assert guest.call("mount", "/dev/bad", "/mnt", "ext4", 0, "") == "EPERM"
    assert guest.shell("cat /root/asked.txt") == "/dev/bad /mnt"
    assert guest.call("mount", "/dev/disk", "/mnt", "xfs", 0, "") == "EPERM"
    for source, target in [("--help", "/mnt"), ("/dev/disk", "mnt")]:  # never an option, never relative to elsewhere
        guest.shell("rm -f /root/asked.txt")
        assert guest.call("mount", source, target, "ext4", 0, "") != "ok"
        assert guest.shell("cat /root/asked.txt").startswith("1:")


def test_user_namespaces_that_guests_make_are_not_served(guest):
    guest.start(mknod="true", setxattr="true")
    assert guest.shell(f"unshare -r /call mknod /tmp/n {CHARACTER | 0o666} 1 3; true") == "EPERM"
    assert guest.shell("unshare -r /call setxattr /tmp trusted.overlay.opaque y; true") == "EPERM"


# --- bpf -------------------------------------------------------------------------------------------------------------
UNIFIED = "mkdir -p /tmp/cg; mount -t cgroup2 none /tmp/cg; echo /tmp/cg"


def test_device_programs_can_be_attached_to_cgroups_of_the_guest(guest):
    guest.start(bpf="true", bpf__devices="true")
    top = guest.shell(UNIFIED)
    assert guest.call("bpf", top, 1) == "ok"
    guest.shell(f"mkdir {top}/none")
    assert guest.call("bpf", f"{top}/none", 0) == "ok"
    assert guest.shell(f"echo $$ > {top}/none/cgroup.procs; cat /dev/null") .endswith("Operation not permitted")
    assert guest.shell("cat /dev/null") == ""
    assert guest.call("bpf", "/etc", 1) == "EPERM"
    assert guest.call("bpf", "/nowhere", 1) == "EBADF"
    assert guest.call("bpf", top, 1, user=1000, group=1000) == "EPERM"


@pytest.mark.parametrize("keys", [{}, {"bpf": "true"}, {"bpf__devices": "true"}])
def test_without_both_keys_there_are_no_device_programs(guest, keys):
    guest.start(**keys)
    assert guest.call("bpf", guest.shell(UNIFIED), 1) == "EPERM"
