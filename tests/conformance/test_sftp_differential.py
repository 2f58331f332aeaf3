# SPDX-License-Identifier: Apache-2.0
"""SFTP as a real LXD speaks it: one script of requests, whose answers were recorded from it, on a running and on a
stopped instance. LXDCORE_TEST_DAEMON=lxd LXDCORE_TEST_ACCEPT=1 records them anew."""
import json
import os
import pathlib
import stat

import pytest

from sftp_client import F_APPEND, F_CREAT, F_EXCL, F_READ, F_TRUNC, F_WRITE, Attributes, Sftp, SftpError

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "data/differential/sftp.json"
# What differs on purpose: step to the reason.
MEANT = {}


def shown(value):
    """Without what another run has otherwise: times, the order of a directory, sizes of directories."""
    if isinstance(value, Attributes):
        kind = stat.S_IFMT(value.mode or 0)
        return {"mode": oct(value.mode) if value.mode is not None else None, "uid": value.uid, "gid": value.gid,
                "size": None if stat.S_ISDIR(kind) else value.size, "times": value.mtime is not None}
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict):
        return sorted(shown(name) for name in value)
    return value


class Script:
    def __init__(self, session):
        self.session, self.answers = session, []

    def __call__(self, name, *args, **fields):
        """One request, and what came of it under a name that is that of no other."""
        try:
            answer = shown(getattr(self.session, name)(*args, **fields))
        except SftpError as error:
            answer = {"error": error.code}
        words = " ".join([name, *(shown(a)[:40] if isinstance(a, (bytes, str)) else str(a) for a in args), *(f"{k}={v}" for k, v in fields.items())])
        self.answers.append([words.replace(self.handle, "<handle>") if self.handle else words, answer])
        return answer

    handle = ""

    def opened(self, path, flags, *requests):
        """A file opened with `flags`, requests on it, and its end."""
        try:
            handle = self.session.open(path, flags)
        except SftpError as error:
            self.answers.append([f"open {path} {flags}", {"error": error.code}])
            return
        self.answers.append([f"open {path} {flags}", "opened"])
        self.handle = handle.decode()
        for name, *args in requests:
            self(name, handle, *args)
        self("close_handle", handle)
        self("close_handle", handle)
        self.handle = ""


def play(session):
    do = Script(session)
    do("realpath", "."), do("realpath", ""), do("realpath", "/root/../etc/./x"), do("realpath", "/../.."), do("realpath", "root")
    for path in ("/", "/root", "/nosuch", "/nosuch/x", "/etc/hostname/x", "/dev/null", "", "."):
        do("stat", path), do("lstat", path)
    do("mkdir", "/root/d"), do("mkdir", "/root/d"), do("mkdir", "/nosuch/d"), do("mkdir", "/root/m", mode=0o711), do("stat", "/root/d"), do("stat", "/root/m")
    do("put", "/root/d/f", b"one two three"), do("stat", "/root/d/f"), do("get", "/root/d/f"), do("list", "/root/d"), do("get", "/root/d"), do("get", "/nosuch")
    do("put", "/root/d/g", b"x" * 70000), do("lstat", "/root/d/g"), do("put", "/root/d/moded", b"", mode=0o600), do("stat", "/root/d/moded")
    for flags in (F_READ, F_WRITE, F_READ | F_WRITE, F_WRITE | F_APPEND, F_WRITE | F_CREAT | F_EXCL, F_WRITE | F_TRUNC, 0, F_APPEND, F_CREAT):
        do.opened("/root/d/f", flags, ("fstat",), ("read", 0, 100), ("read", 3, 2), ("read", 1000, 5), ("write", 0, b"ABC"), ("write", 20, b"Z"), ("fstat",))
        do("get", "/root/d/f")
    do.opened("/root/d/new", F_WRITE | F_CREAT | F_EXCL, ("write", 0, b"fresh")), do("get", "/root/d/new")
    do.opened("/root/d", F_READ, ("read", 0, 10)), do.opened("/root/d", F_WRITE), do.opened("/root/none/x", F_WRITE | F_CREAT)
    for fields in ({"size": 4}, {"size": 100}, {"mode": 0o640}, {"mode": 0o4755}, {"uid": 1000, "gid": 1001}, {"atime": 1000000000, "mtime": 1000000001},
                   {"mode": 0o100644}):
        do("setstat", "/root/d/f", **fields), do("stat", "/root/d/f")
    do("setstat", "/nosuch", mode=0o600), do("setstat", "/root/d", mode=0o700), do("stat", "/root/d")
    do("symlink", "f", "/root/d/l"), do("symlink", "/nosuch", "/root/d/broken"), do("symlink", "f", "/root/d/l"), do("readlink", "/root/d/l")
    do("readlink", "/root/d/broken"), do("readlink", "/root/d/f"), do("readlink", "/nosuch"), do("stat", "/root/d/l"), do("lstat", "/root/d/l")
    do("stat", "/root/d/broken"), do("lstat", "/root/d/broken"), do("get", "/root/d/l"), do("get", "/root/d/broken"), do("setstat", "/root/d/l", mode=0o600)
    do("stat", "/root/d/f"), do("symlink", "/", "/root/d/root"), do("list", "/root/d/root/root/d"), do("realpath", "/root/d/root")
    do("rename", "/root/d/g", "/root/d/h"), do("rename", "/root/d/g", "/root/d/i"), do("rename", "/root/d/h", "/root/d/f"), do("rename", "/root/d/h", "/nosuch/h")
    do("posix_rename", "/root/d/new", "/root/d/f"), do("get", "/root/d/f"), do("hardlink", "/root/d/f", "/root/d/hard"), do("hardlink", "/nosuch", "/root/d/x")
    do("stat", "/root/d/hard"), do("list", "/root/d")
    do("rmdir", "/root/d"), do("rmdir", "/root/d/f"), do("rmdir", "/nosuch"), do("remove", "/root/d/m"), do("remove", "/root/d"), do("remove", "/nosuch")
    do("remove", "/root/m"), do("mkdir", "/root/m"), do("rmdir", "/root/m"), do("remove", "/root/d/l"), do("remove", "/root/d/broken"), do("list", "/root/d")
    do("list", "/nosuch"), do("list", "/root/d/f"), do("opendir", "/nosuch"), do("close_handle", b"nosuch"), do("fstat", b"nosuch"), do("read", b"9999", 0, 1)
    do("put", b"/root/d/\xff\xfe", b"bytes"), do("get", b"/root/d/\xff\xfe"), do("list", "/root/d"), do("put", "/root/d/a\nb", b""), do("stat", "/root/d/a\nb")
    do("put", "/root/d/" + "x" * 255, b""), do("put", "/root/d/" + "x" * 256, b""), do("extended", "nosuch@lxd", b"")
    return do.answers


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_sftp_answers_are_those_of_a_real_lxd(daemon, api, container, state):
    if state == "running":
        api.run("PUT", f"/1.0/instances/{container}/state", {"action": "start"})
    with Sftp(api, container) as session:
        answers = json.loads(json.dumps(play(session)))
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if daemon.kind == "lxd" and os.environ.get("LXDCORE_TEST_ACCEPT"):
        recorded[state] = answers
        lines = ",\n".join(f"  {json.dumps(key)}: [\n" + ",\n".join("    " + json.dumps(a) for a in value) + "\n  ]" for key, value in sorted(recorded.items()))
        RECORDED.write_text("{\n" + lines + "\n}\n")
    expected = recorded[state]
    assert [step for step, _ in answers] == [step for step, _ in expected]
    different = [(step, f"here {ours}", f"LXD {theirs}") for (step, ours), (_, theirs) in zip(answers, expected) if ours != theirs and step not in MEANT]
    assert not different, "\n".join(map(str, different))
