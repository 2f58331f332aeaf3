# SPDX-License-Identifier: Apache-2.0
"""Files of instances over SFTP: the endpoint itself, and the stock client's `lxc file mount --listen` with OpenSSH's
sftp behind it."""
import contextlib
import os
import pathlib
import re
import struct
import subprocess
import threading
import time

import pytest

from daemons import free_port, run, wait_until
from sftp_client import (ATTRS, EOF, EXTENDED, FAILURE, F_APPEND, F_CREAT, F_EXCL, F_READ, F_TRUNC, F_WRITE, INIT, LARGEST,
                         NO_SUCH_FILE, OPEN, READ, STAT, STATUS, UNSUPPORTED, VERSION, Attributes, Sftp, SftpError, text)


@pytest.fixture(params=["running", "stopped"])
def instance(request, daemon, container):
    if request.param == "running":
        daemon.api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    return container


@pytest.fixture
def sftp(api, instance):
    with Sftp(api, instance) as session:
        yield session


def refused(code, call, *args, **fields):
    with pytest.raises(SftpError) as error:
        call(*args, **fields)
    assert error.value.code == code, error.value
    return error.value.text


def helpers(daemon):
    """Process ids of the SFTP helpers below the daemon."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if folder.name.isdigit() and (folder / "cmdline").read_bytes().startswith(b"lxdcore-helper\0sftp\0"):
                parent = int(re.search(r"PPid:\s+(\d+)", (folder / "status").read_text()).group(1))
                if parent == daemon.pid:
                    found.append(int(folder.name))
    return found


# -- the protocol -----------------------------------------------------------------------------------------------------
def test_the_change_of_protocol_and_the_greeting(api, instance):
    with Sftp(api, instance) as session:
        assert session.head == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: sftp\r\nConnection: Upgrade\r\n\r\n"
        assert session.version == 3
        assert session.extensions == {"hardlink@openssh.com": "1", "posix-rename@openssh.com": "1", "statvfs@openssh.com": "2"}


def test_what_is_no_change_of_protocol_is_refused(api, container):
    path = f"/1.0/instances/{container}/sftp"
    for headers in ({}, {"Upgrade": "websocket", "Connection": "Upgrade"}):
        reply = api.get(path, headers=headers)
        assert (reply.status, reply.error) == (400, "Missing or invalid upgrade header")
    with pytest.raises(SftpError) as error:
        Sftp(api, "nosuch")
    assert error.value.code == -404
    assert api.post(path, {}).status == 501


def test_files_are_written_read_and_described(sftp):
    data = os.urandom(200_001)
    sftp.put("/root/f", data)
    assert sftp.get("/root/f") == data
    about = sftp.stat("/root/f")
    assert (about.size, about.uid, about.gid, about.mode) == (len(data), 0, 0, 0o100644)
    handle = sftp.open("/root/f", F_READ | F_WRITE)
    sftp.write(handle, 5, b"HELLO")
    assert sftp.read(handle, 4, 7) == data[4:5] + b"HELLO" + data[10:11]
    assert sftp.fstat(handle) == sftp.stat("/root/f")
    assert refused(EOF, sftp.read, handle, 1 << 40, 1) == "EOF"
    sftp.close_handle(handle)
    assert refused(FAILURE, sftp.read, handle, 0, 1) == "bad file descriptor"
    sftp.put("/root/f", b"short")
    assert sftp.get("/root/f") == b"short"
    assert refused(NO_SUCH_FILE, sftp.open, "/root/g", F_READ) == "open /root/g: no such file or directory"
    assert refused(FAILURE, sftp.open, "/root/f", F_WRITE | F_CREAT | F_EXCL) == "open /root/f: file exists"
    assert refused(FAILURE, sftp.open, "/root", F_WRITE) == "open /root: is a directory"
    refused(FAILURE, sftp.open, "/root/f", 0)


def test_a_sparse_file_beyond_four_gibibytes(sftp):
    handle = sftp.open("/root/sparse", F_READ | F_WRITE | F_CREAT)
    sftp.write(handle, (5 << 30) - 4, b"tail")
    assert sftp.fstat(handle).size == 5 << 30
    assert sftp.read(handle, (5 << 30) - 6, 100) == b"\0\0tail"
    sftp.fsetstat(handle, size=(4 << 30) + 1)
    assert sftp.stat("/root/sparse").size == (4 << 30) + 1
    sftp.close_handle(handle)
    sftp.remove("/root/sparse")


def test_directories_are_made_listed_and_removed(sftp):
    sftp.mkdir("/root/d")
    assert refused(FAILURE, sftp.mkdir, "/root/d") == "mkdir /root/d: file exists"
    assert sftp.stat("/root/d").mode == 0o40755
    for i in range(300):
        sftp.close_handle(sftp.open(f"/root/d/n{i}", F_WRITE | F_CREAT))
    listed = sftp.list("/root/d")
    assert sorted(listed) == sorted(f"n{i}".encode() for i in range(300))
    words, about = listed[b"n7"]
    assert re.fullmatch(rb"-rw-r--r--    1 root     root            0 \w{3} [ \d]\d \d\d:\d\d n7", words), words
    assert about.size == 0
    assert refused(FAILURE, sftp.rmdir, "/root/d") == "remove /root/d: directory not empty"
    for name in listed:
        sftp.remove(b"/root/d/" + name)
    sftp.rmdir("/root/d")
    assert refused(NO_SUCH_FILE, sftp.rmdir, "/root/d") == "remove /root/d: no such file or directory"
    assert refused(FAILURE, sftp.opendir, "/etc/passwd") == " /etc/passwd: not a directory"


def test_owners_modes_times_and_sizes(sftp):
    sftp.put("/root/f", b"0123456789")
    sftp.setstat("/root/f", mode=0o104751)
    assert sftp.stat("/root/f").mode == 0o100751
    sftp.setstat("/root/f", uid=1000, gid=1001)
    sftp.setstat("/root/f", atime=11, mtime=1_600_000_000)
    sftp.setstat("/root/f", size=3)
    about = sftp.stat("/root/f")
    assert (about.uid, about.gid, about.size) == (1000, 1001, 3)
    sftp.setstat("/root/f", mtime=1_600_000_000, atime=0)
    assert sftp.stat("/root/f").mtime == 1_600_000_000
    handle = sftp.open("/root/f", F_READ | F_WRITE)
    for change in ({"mode": 0o600}, {"uid": 7, "gid": 8}, {"size": 20}):
        sftp.fsetstat(handle, **change)
    about = sftp.fstat(handle)
    assert (about.uid, about.gid, about.mode, about.size) == (7, 8, 0o100600, 20)
    assert refused(NO_SUCH_FILE, sftp.setstat, "/root/g", mode=0o600) == "chmod /root/g: no such file or directory"


@pytest.mark.ours  # LXD mixes the fields of one request up
def test_one_request_changes_all_at_once(sftp):
    sftp.put("/root/f", b"0123456789")
    sftp.setstat("/root/f", mode=0o600, uid=7, gid=8, size=20, atime=5, mtime=6)
    about = sftp.stat("/root/f")
    assert (about.uid, about.gid, about.mode, about.size, about.mtime) == (7, 8, 0o100600, 20, 6)


def test_an_id_that_the_instance_does_not_have_is_refused(api, running):
    with Sftp(api, running) as session:
        session.put("/root/f", b"")
        assert refused(FAILURE, session.setstat, "/root/f", uid=4_000_000_000, gid=0) == "chown /root/f: invalid argument"


def test_owners_are_the_same_whether_it_runs_or_not(api, container):
    with Sftp(api, container) as session:
        session.put("/root/mine", b"x")
        session.setstat("/root/mine", uid=1000, gid=1001)
        session.mkdir("/root/made")
        session.symlink("mine", "/root/link")
    api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    assert api.exec(container, ["stat", "-c", "%u %g", "/root/mine", "/root/made", "/root/link"])[1] == "1000 1001\n0 0\n0 0\n"
    with Sftp(api, container) as session:
        assert session.stat("/root/mine").uid == 1000


def test_names_links_and_paths(sftp):
    sftp.put("/root/f", b"one")
    sftp.put("/root/g", b"two")
    sftp.symlink("f", "/root/l")
    assert sftp.readlink("/root/l") == b"f"
    assert sftp.get("/root/l") == b"one"
    assert sftp.lstat("/root/l").mode == 0o120777
    assert refused(FAILURE, sftp.symlink, "g", "/root/l") == "symlink g /root/l: file exists"
    assert refused(FAILURE, sftp.readlink, "/root/f") == "readlink /root/f: invalid argument"
    sftp.hardlink("/root/f", "/root/h")
    sftp.rename("/root/f", "/root/g")
    assert sftp.get("/root/g") == b"one"
    sftp.posix_rename("/root/g", "/root/i")
    refused(NO_SUCH_FILE, sftp.stat, "/root/g")
    sftp.mkdir("/root/d")
    assert refused(FAILURE, sftp.rename, "/root/i", "/root/d") == "rename /root/i /root/d: file exists"
    sftp.close_handle(sftp.open(b"/root/\xff odd\nname", F_WRITE | F_CREAT))
    assert b"\xff odd\nname" in sftp.list("/root")
    assert sftp.realpath("a/./b/../c//") == b"/a/c"
    assert sftp.realpath("../..") == b"/"
    assert len(sftp.statvfs("/")) == 11
    assert refused(FAILURE, sftp.stat, b"/etc\0/passwd").endswith("invalid argument")
    assert sftp.get("/../../etc/passwd") == sftp.get("/etc/passwd")


@pytest.mark.ours  # an unknown request ends LXD's server for everybody
def test_what_is_unknown_is_said_to_be(sftp):
    for kind, body in ((77, b""), (EXTENDED, text("nosuch@example.org"))):
        answer, reader = sftp.ask(kind, body)
        assert (answer, reader.u32()) == (STATUS, UNSUPPORTED)
    assert sftp.stat("/").mode & 0o170000 == 0o40000


@pytest.mark.parametrize("raw", [
    struct.pack(">I", 0), struct.pack(">IB", LARGEST + 1, STAT), struct.pack(">IB", 0xffffffff, STAT),
    struct.pack(">IBII", 9, STAT, 1, 1000), struct.pack(">IBI", 5, OPEN, 1), struct.pack(">IBIII", 13, READ, 1, 4, 0),
    struct.pack(">IB", 1, STAT)], ids=["empty", "large", "huge", "text-beyond", "no-path", "no-offset", "no-number"])
def test_r52_a_malformed_packet_ends_its_session_and_no_other(api, daemon, running, raw):
    with Sftp(api, running) as other, Sftp(api, running) as session:
        session.sock.sendall(raw + bytes(100))
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                session.receive()
        assert other.stat("/").mode & 0o170000 == 0o40000


def test_a_packet_of_the_largest_size_is_taken(sftp):
    body = struct.pack(">I", 1) + text(b"/" + b"x" * (LARGEST - 10))
    assert len(body) + 1 == LARGEST
    sftp.send(STAT, body)
    kind, _ = sftp.receive()
    assert kind == STATUS


def test_requests_in_one_go_are_answered_in_their_order(sftp):
    data = os.urandom(64 * 4096)
    sftp.put("/root/f", data)
    handle = sftp.open("/root/f", F_READ)
    asked = b"".join(struct.pack(">IBI", 21 + len(handle), READ, 1000 + i) + text(handle) + struct.pack(">QI", i * 4096, 4096)
                     for i in range(64))
    sender = threading.Thread(target=sftp.sock.sendall, args=(asked,))
    sender.start()
    for i in range(64):
        kind, body = sftp.receive()
        assert body[:4] == struct.pack(">I", 1000 + i), kind
        assert body[8:] == data[i * 4096:(i + 1) * 4096]
    sender.join()


@pytest.mark.ours  # LXD has no bound
def test_handles_are_bounded(sftp):
    handles = []
    text_of_error = None
    for _ in range(2000):
        try:
            handles.append(sftp.open("/etc/passwd", F_READ))
        except SftpError as error:
            text_of_error = error.text
            break
    assert text_of_error and "too many open files" in text_of_error
    sftp.close_handle(handles.pop())
    sftp.open("/etc/passwd", F_READ)


@pytest.mark.ours  # LXD loses such bytes
def test_early_bytes_and_a_client_that_ends_its_side(api, running):
    """A greeting that is sent together with the request, and answers that come after the client's end."""
    sock = api.raw_socket(30)
    sock.sendall(f"GET /1.0/instances/{running}/sftp HTTP/1.1\r\nHost: lxd\r\nUpgrade: sftp\r\n\r\n".encode()
                 + struct.pack(">IBI", 5, INIT, 3) + struct.pack(">IBI", 10, STAT, 1) + text("/"))
    sock.shutdown(1)
    got = b""
    while piece := sock.recv(65536):
        got += piece
    body = got[got.index(b"\r\n\r\n") + 4:]
    assert body[4] == VERSION
    size = struct.unpack(">I", body[:4])[0]
    assert body[4 + size + 4] == ATTRS


# -- security ---------------------------------------------------------------------------------------------------------
@pytest.mark.ours  # LXD follows magic links of the guest's own /proc
def test_r10_links_never_lead_out(api, instance, canary):
    with Sftp(api, instance) as session:
        for target in (str(canary), "/../../../../../.." + str(canary), "/proc/self/root" + str(canary), "/proc/1/root" + str(canary)):
            session.symlink(target, "/root/out")
            for call in (lambda: session.get("/root/out/secret"), lambda: session.list("/root/out"),
                         lambda: session.put("/root/out/planted", b"x"), lambda: session.mkdir("/root/out/planted"),
                         lambda: session.remove("/root/out/secret"), lambda: session.setstat("/root/out/secret", mode=0o777),
                         lambda: session.setstat("/root/out/secret", size=0), lambda: session.rename("/root/out/secret", "/root/got"),
                         lambda: session.hardlink("/root/out/secret", "/root/got"), lambda: session.symlink("x", "/root/out/planted"),
                         lambda: session.statvfs("/root/out/secret"), lambda: session.readlink("/root/out/secret")):
                with pytest.raises(SftpError):
                    call()
            session.remove("/root/out")


def test_r10_links_that_are_swapped_meanwhile_never_lead_out(api, running, canary):
    api.run("POST", f"/1.0/instances/{running}/exec", {
        "command": ["sh", "-c", f"mkdir /root/real; ln -s {canary} /root/link; (while [ ! -e /stop ]; do mv -T /root/real /root/x 2>/dev/null; "
                    "mv -T /root/link /root/real 2>/dev/null; mv -T /root/real /root/link 2>/dev/null; mv -T /root/x /root/real 2>/dev/null; done) "
                    ">/dev/null 2>&1 &"], "wait-for-websocket": False, "record-output": False})

    def client(number):
        with Sftp(api, running) as session:
            for i in range(150):
                for call in (lambda: session.put(f"/root/real/f{number}-{i}", b"x"), lambda: session.remove("/root/real/secret"),
                             lambda: session.rename("/root/real/secret", "/root/real/gone"), lambda: session.setstat("/root/real", mode=0o777)):
                    with contextlib.suppress(SftpError):
                        call()

    clients = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    api.exec(running, ["touch", "/stop"])
    assert canary.stat().st_mode & 0o777 == 0o700


@pytest.mark.ours  # LXD opens them
def test_devices_and_pipes_are_not_opened(api, running):
    api.exec(running, ["mkfifo", "/root/pipe"])
    with Sftp(api, running) as session:
        for path in ("/dev/null", "/dev/zero", "/root/pipe", "/dev/console"):
            refused(FAILURE, session.open, path, F_READ)
            refused(FAILURE, session.open, path, F_WRITE | F_CREAT | F_TRUNC)
            refused(FAILURE, session.setstat, path, size=0)
            session.lstat(path)


@pytest.mark.ours
def test_r10_r11_the_helper_is_inside_without_rights_outside(api, daemon, running):
    with Sftp(api, running) as session:
        session.stat("/")
        helper = helpers(daemon)[0]
        child = int(pathlib.Path(f"/proc/{helper}/task/{helper}/children").read_text().split()[0])
        init = api.get(f"/1.0/instances/{running}/state").metadata["pid"]
        for space in ("user", "mnt"):
            assert os.readlink(f"/proc/{child}/ns/{space}") == os.readlink(f"/proc/{init}/ns/{space}")
        status = pathlib.Path(f"/proc/{child}/status").read_text()
        assert re.search(r"Uid:\s+(\d+)", status).group(1) != "0"
        assert re.search(r"Groups:\s*\n", status)
        trace = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/stdout", "-p", str(child)], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True)
        time.sleep(0.5)
        session.put("/root/f", b"x" * 100_000)
        session.list("/etc")
        session.statvfs("/")
        trace.terminate()
        calls = trace.communicate(timeout=20)[0]
    assert "openat2" in calls
    assert not re.search(r"execve|openat\([^)]*(\"/|lib|nsswitch|gconv|locale|localtime)", calls), calls


@pytest.mark.ours
def test_r28_r29_strangers_and_pages_get_no_session(api, untrusted, stranger, trusted, running):
    for client in (untrusted, stranger):
        with pytest.raises(SftpError) as error:
            Sftp(client, running)
        assert error.value.code == -403
    with Sftp(trusted, running) as session:
        assert session.get("/etc/passwd")
    reply = api.get(f"/1.0/instances/{running}/sftp", headers={"Upgrade": "sftp", "Connection": "Upgrade", "Origin": "https://evil.example"})
    assert reply.status == 403


@pytest.mark.ours
def test_a_session_of_another_project_is_refused(restricted, running):
    with pytest.raises(SftpError) as error:
        Sftp(restricted, running, project="nosuch")
    assert error.value.code in (-403, -404)


# -- life of a session ------------------------------------------------------------------------------------------------
def ended(session):
    try:
        session.stat("/")
        return False
    except (EOFError, ConnectionError):
        return True


@pytest.mark.ours  # by the helper's name
def test_the_helper_ends_with_its_connection(api, daemon, instance):
    before = helpers(daemon)
    sessions = [Sftp(api, instance) for _ in range(5)]
    assert len(helpers(daemon)) == len(before) + 5
    for session in sessions:
        session.close()
    wait_until(lambda: helpers(daemon) == before, what="helpers gone")


@pytest.mark.ours  # LXD waits for the client
def test_a_session_ends_when_the_instance_stops(api, running):
    with Sftp(api, running) as session:
        api.run("PUT", f"/1.0/instances/{running}/state", {"action": "stop", "force": True})
        wait_until(lambda: ended(session), what="end of the session")


@pytest.mark.ours
def test_a_session_ends_when_the_instance_starts(api, daemon, container):
    with Sftp(api, container) as session:
        session.stat("/")
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
        assert ended(session)
    assert not helpers(daemon)


@pytest.mark.ours  # LXD waits for the client
def test_a_session_ends_when_the_instance_is_deleted(api, container):
    with Sftp(api, container) as session:
        session.stat("/")
        api.run("DELETE", f"/1.0/instances/{container}")
        wait_until(lambda: ended(session), what="end of the session")


@pytest.mark.ours
def test_sessions_end_with_a_killed_daemon(own_daemon):
    api = own_daemon.api
    api.run("POST", "/1.0/instances", {"name": "c1", "source": {"type": "image", "alias": "bb"}})
    with Sftp(api, "c1") as session:
        session.stat("/")
        before = helpers(own_daemon)
        assert before
        own_daemon.kill()
        wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in before), what="helpers gone")
    own_daemon.start()
    with Sftp(own_daemon.api, "c1") as session:
        session.stat("/")


# -- the stock client -------------------------------------------------------------------------------------------------
@pytest.fixture
def mounted(daemon, instance):
    """OpenSSH's sftp on the listener of `lxc file mount`: give it lines, get its output."""
    port = free_port()
    with subprocess.Popen(["lxc", "file", "mount", instance, "--listen", f"127.0.0.1:{port}", "--no-auth"], env=daemon.env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as listener:
        assert "listening" in listener.stdout.readline()

        def batch(*lines, options=(), ok=True):
            return run("sftp", "-q", "-P", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", *options, "-b", "-",
                       "x@127.0.0.1", input="\n".join(lines) + "\n", check=ok, timeout=300)

        yield batch
        listener.terminate()


def tree_of(folder):
    return {str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None
            for p in sorted(folder.rglob("*"))}


def test_openssh_copies_a_tree_there_and_back(mounted, tmp_path):
    tree = tmp_path / "tree"
    (tree / "sub/deeper").mkdir(parents=True)
    for i in range(40):
        (tree / f"sub/file{i}").write_bytes(os.urandom(i * 997))
    (tree / "sub/deeper/a b").write_bytes(os.urandom(400_000))
    (tree / "sub/file1").chmod(0o751)
    mounted(f"put -rp {tree} /root/")
    mounted(f"get -rp /root/tree {tmp_path}/back")
    assert tree_of(tmp_path / "back") == tree_of(tree)
    assert (tmp_path / "back/sub/file1").stat().st_mode & 0o777 == 0o751


def test_openssh_renames_links_and_resumes(mounted, tmp_path):
    (tmp_path / "whole").write_bytes(os.urandom(3_000_000))
    (tmp_path / "part").write_bytes((tmp_path / "whole").read_bytes()[:1_000_000])
    out = mounted(f"put {tmp_path}/part /root/f", f"reput {tmp_path}/whole /root/f", "rename /root/f /root/g", "ln -s g /root/l",
                  "ln /root/g /root/h", "chmod 640 /root/g", "chown 1000 /root/g", "mkdir /root/d", "rmdir /root/d", "ls -ln /root",
                  f"get /root/l {tmp_path}/back", "df /").stdout
    assert (tmp_path / "back").read_bytes() == (tmp_path / "whole").read_bytes()
    assert re.search(r"-rw-r-----\s+\S+ 1000\s+\S+\s+3000000 .* /root/g", out), out
    assert mounted("rename /root/nosuch /root/x", ok=False).returncode != 0
    assert mounted("get /nosuch", ok=False).returncode != 0


def test_openssh_with_large_buffers(mounted, tmp_path):
    (tmp_path / "f").write_bytes(os.urandom(20_000_000))
    mounted(f"put {tmp_path}/f /root/f", f"get /root/f {tmp_path}/back", options=("-B", "261120", "-R", "64"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "f").read_bytes()
