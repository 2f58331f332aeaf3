# SPDX-License-Identifier: Apache-2.0
"""kill -9 at named points: `fault_point("area-action:what")` in lib/, found in the sources.

A test file of an area lists scenarios:

    SCENARIOS = [Scenario("instance-rename:*", before=make_c1, action=rename_c1)]

    @pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
    def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
        faults.check(fault_daemon, case)

For each point that a scenario claims, check() makes the state before, lets the daemon die in the action, starts it again
and compares: everything must be as before the action or as after it, and the action can be done (again).
Needs a build with -Dfault_points=true.
"""
import contextlib
import dataclasses
import fnmatch
import hashlib
import http.client
import os
import pathlib
import re
import sqlite3
import subprocess
import time
from typing import Callable

from daemons import run
from tested_build import BUILD, PATIENCE, SOURCE

DEPTH = 9  # of the files that are compared, from $LXD_DIR
# Rows that a restart changes, or that say nothing about what a client sees.
TABLES_LEFT_OUT = {"operations", "warnings", "sqlite_sequence", "schema", "patches", "raft_nodes", "lxdcore_intents"}
# Trees of which only the name is compared.
FOLDED = ("database", "devlxd")
LEFT_OUT = re.compile(r"\.(sock(et)?|log|pid|leases|hosts|raw)$|^(server\.|boot_id|unix\.socket|lxdcored\.lock|.*/dnsmasq\.|logs/[^/]+/)")
STAGED = re.compile(r"/\.(old|new)-[0-9a-f]+")
# Unpacked images are a cache, made when there is time.
CACHE = re.compile(r"^storage-pools/[^/]+/images/[0-9a-f<]")
RANDOM = [(re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
          (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
          (re.compile(r"\b00:16:3e(:[0-9a-f]{2}){3}\b"), "<mac>"),
          (re.compile(r"\b(veth|tap|phys)[0-9a-f]{8}\b"), "<link>"),
          (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+ ][-+0-9: ]*(UTC)?)?"), "<time>")]


def compiled_in():
    config = BUILD / "lib/util/fault_config.hpp"
    return config.exists() and re.search(r"^#define LXDCORE_FAULT_POINTS", config.read_text(), re.M) is not None


def points():
    """All points of the sources, in the order of the files."""
    found = []
    for path in sorted((SOURCE / "lib").rglob("*.cpp")):
        found += re.findall(r"\bfault_point\(\"([^\"]+)\"\)", path.read_text())
    assert len(found) == len(set(found)), f"a point is there twice: {sorted(p for p in found if found.count(p) > 1)}"
    return found


@dataclasses.dataclass
class Scenario:
    """`points` are patterns of fnmatch, separated by spaces. before(daemon) makes what the action needs, action(daemon)
    is what dies; after it has failed, whatever it raised is ignored. clean(daemon) removes what clean_all() does not
    know. `times` are the passages at which to die ("name:2": the second time)."""
    points: str
    action: Callable
    before: Callable = lambda daemon: None
    clean: Callable = lambda daemon: None
    times: tuple = (1,)
    name: str = ""
    repeat: bool = True  # whether the action can be done again when it has not happened

    def claims(self, point):
        return any(fnmatch.fnmatchcase(point, pattern) for pattern in self.points.split())


@dataclasses.dataclass
class Case:
    scenario: Scenario
    point: str

    def __str__(self):
        return f"{self.point}{'-' + self.scenario.name if self.scenario.name else ''}"


def cases(scenarios):
    found = []
    for scenario in scenarios:
        for point in points():
            if scenario.claims(point):
                found += [Case(scenario, point if n == 1 else f"{point}:{n}") for n in scenario.times]
    return found


def unclaimed(scenarios):
    """Those that need a kernel of their own are named in tests/guest, in full."""
    guest = "".join(path.read_text() for path in sorted((SOURCE / "tests/guest").iterdir()))
    return [point for point in points() if point not in guest and not any(s.claims(point) for s in scenarios)]


# -- the state ---------------------------------------------------------------------------------------------------------
def _plain(text):
    for pattern, word in RANDOM:
        text = pattern.sub(word, text)
    return text


def _api(api):
    lines = []
    for path in ("/1.0/instances?recursion=2", "/1.0/images?recursion=1", "/1.0/images/aliases?recursion=1",
                 "/1.0/profiles?recursion=1", "/1.0/networks?recursion=1"):
        lines += [f"{path} {_flat(item)}" for item in api.get(path).metadata or [] if item.get("managed", True)]
    for pool in api.get("/1.0/storage-pools?recursion=1").metadata or []:
        lines.append(f"pool {_flat(pool)}")
        for volume in api.get(f"/1.0/storage-pools/{pool['name']}/volumes?recursion=1").metadata or []:
            lines.append(f"volume {pool['name']} {_flat(volume)}")
    return sorted(map(_plain, lines))


def _flat(value):
    """One line; what a running container changes by itself is left out."""
    if isinstance(value, dict):
        drop = {"state", "created_at", "last_used_at", "uploaded_at", "used_by", "size", "cached"}
        return "{" + ", ".join(f"{k}: {_flat(v)}" for k, v in sorted(value.items()) if k not in drop) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(v) for v in value) + "]"
    return repr(value)


def _rows(path):
    lines = []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        tables = [t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table in TABLES_LEFT_OUT:
                continue
            cursor = db.execute(f'SELECT * FROM "{table}"')
            names = [c[0] for c in cursor.description]
            keep = [i for i, n in enumerate(names) if n != "id" and not n.endswith("_id") and "date" not in n]
            lines += [f"{table} " + "|".join(f"{names[i]}={row[i]}" for i in keep) for row in cursor]
    return sorted(map(_plain, lines))


def _intents(path):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'lxdcore_intents'").fetchone():
            return []
        return [" ".join(map(str, row)) for row in db.execute("SELECT * FROM lxdcore_intents")]


def _files(top):
    lines = []

    def walk(folder, depth):
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            path = os.path.relpath(entry.path, top)
            if LEFT_OUT.search(path) or CACHE.search(path):
                continue
            info = entry.stat(follow_symlinks=False)
            line = f"{path} {info.st_mode:o} {info.st_uid}:{info.st_gid}"
            if entry.is_symlink():
                line += " -> " + os.readlink(entry.path)
            elif entry.is_file() and not path.endswith(("backup.yaml", ".tar", "lxc.conf")) and "/backups/" not in path:
                line += f" {info.st_size}"
            lines.append(_plain(line))
            if entry.is_dir(follow_symlinks=False) and depth < DEPTH and path not in FOLDED:
                inner = len(lines)
                with contextlib.suppress(FileNotFoundError):
                    walk(entry.path, depth + 1)
                if entry.name == "rootfs":  # a whole tree is one line
                    tree = "\n".join(line.removeprefix(path) for line in lines[inner:])
                    lines[inner:] = [f"{path}/ {len(lines) - inner} files {hashlib.sha256(tree.encode()).hexdigest()[:12]}"]

    walk(top, 1)
    return sorted(lines)


def _busy(now):
    """Whether work that nobody waits for is still to come."""
    return bool(now["intents"]) or any(STAGED.search(line) for line in now["files"])


def _subvolumes(daemon):
    lines = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split(" ")
        if words[4].startswith(str(daemon.base) + "/") and words[words.index("-") + 1] == "btrfs":
            listed = run("btrfs", "subvolume", "list", words[4], check=False).stdout.splitlines()
            lines += [f"{words[4]} {text.split(' path ')[-1]}" for text in listed]
    return sorted(set(lines))


def _host(daemon):
    """Mounts, loop devices and processes beside the daemon itself."""
    lines = [f"mount {m}" for m in daemon.mounts()]
    loops = run("losetup", "-a", check=False).stdout.splitlines()
    lines += ["loop " + line.split(": ", 1)[1] for line in loops if str(daemon.base) in line]
    lines += [f"subvolume {line}" for line in _subvolumes(daemon)]
    for pid in daemon.processes():
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if pid != daemon.pid:
                lines.append(f"process {words[0].decode(errors='replace')}")
    return sorted(re.sub(r"\[\d+\]:\d+ ", "", line) for line in lines)


def state(daemon):
    """What is there: section to lines."""
    top = daemon.dir
    return {"api": _api(daemon.api), "rows of global": _rows(top / "database/global/db.bin"),
            "rows of local": _rows(top / "database/local.db"), "intents": _intents(top / "database/local.db"),
            "files": _files(top), "host": _host(daemon)}


def differences(a, b, limit=15):
    lines = []
    for section, before in a.items():
        now = b[section]
        lines += [f"{section}: - {line}" for line in before if line not in now][:limit]
        lines += [f"{section}: + {line}" for line in now if line not in before][:limit]
        if not lines and before != now:
            lines.append(f"{section}: same lines, other numbers")
    return [line[:400] for line in lines]


def settled(daemon, wanted=None, timeout=20):
    """The state when background work is done: equal to one of `wanted`, or twice the same."""
    end = time.monotonic() + timeout * PATIENCE
    last = None
    while True:
        now = None
        with contextlib.suppress(FileNotFoundError):  # it moves while it is looked at
            now = state(daemon)
        if now is not None:
            if wanted is not None and any(now == w for w in wanted):
                return now
            if wanted is None and now == last and not _busy(now):
                return now
        last = now or last
        if time.monotonic() > end:
            assert last is not None
            return last
        time.sleep(0.15)


# -- one case ----------------------------------------------------------------------------------------------------------
def clean_all(daemon, keep_images=("bb",)):
    """Removes instances, and images without one of the kept aliases."""
    api = daemon.api
    daemon.remove_instances()
    for image in api.get("/1.0/images?recursion=1").metadata:
        if not {alias["name"] for alias in image["aliases"]} & set(keep_images):
            api.run("DELETE", f"/1.0/images/{image['fingerprint']}", ok=False)


def _restart(daemon, env):
    daemon.signal(15)
    daemon.extra_env.update(env)
    for key in [k for k, v in daemon.extra_env.items() if v is None]:
        del daemon.extra_env[key]
    daemon.start()


def _make_states(daemon, scenario):
    """Before and after, from an action that nothing interrupts."""
    known = daemon.__dict__.setdefault("fault_states", {})
    if id(scenario) not in known:
        clean_all(daemon)
        scenario.clean(daemon)
        # twice: what the first one leaves for good (an unpacked image) is there before the second
        for _ in range(2):
            empty = settled(daemon)
            scenario.before(daemon)
            before = settled(daemon)
            scenario.action(daemon)
            after = settled(daemon)
            clean_all(daemon)
            scenario.clean(daemon)
        assert before != after, "the action changes nothing that is looked at"
        known[id(scenario)] = (settled(daemon, [empty]), before, after)
    return known[id(scenario)]


def die_at(daemon, point, action):
    """The daemon dies at the point while it does the action, and is started again."""
    _restart(daemon, {"LXDCORE_FAULT_POINT": point})
    with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, ValueError, KeyError):
        action(daemon)
    try:
        daemon.process.wait(20 * PATIENCE)
        assert daemon.process.returncode == -9, daemon.log_tail()
    finally:
        daemon.extra_env.pop("LXDCORE_FAULT_POINT")
        if daemon.process.poll() is None:
            daemon.signal(9)
        daemon.start()


OUTCOMES = []


def _note(case, outcome):
    OUTCOMES.append((str(case), outcome))
    folder = BUILD / "test-logs"
    folder.mkdir(exist_ok=True)
    table = folder / "fault-points.txt"
    lines = dict(line.rsplit(None, 1) for line in table.read_text().splitlines()) if table.exists() else {}
    lines[str(case)] = outcome
    table.write_text("".join(f"{key:60} {lines[key]}\n" for key in sorted(lines)))


def check(daemon, case):
    scenario = case.scenario
    empty, before, after = _make_states(daemon, scenario)
    outcome = "FAILED"
    try:
        scenario.before(daemon)
        start = settled(daemon, [before])
        assert start == before, "not the usual start:\n" + "\n".join(differences(before, start))
        _restart(daemon, {"LXDCORE_FAULT_POINT": case.point})
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, ValueError, KeyError):
            scenario.action(daemon)
        try:
            daemon.process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            outcome = "UNREACHED"
            raise AssertionError(f"{case.point}: the scenario does not come there") from None
        assert daemon.process.returncode == -9, f"the daemon ended with {daemon.process.returncode}\n{daemon.log_tail()}"
        daemon.extra_env.pop("LXDCORE_FAULT_POINT")
        daemon.start()
        now = settled(daemon, [before, after])
        assert now in (before, after), "neither as before:\n" + "\n".join(differences(before, now)) + \
            "\nnor as after:\n" + "\n".join(differences(after, now))
        outcome = "before" if now == before else "after"
        if now == before and scenario.repeat:
            scenario.action(daemon)
            now = settled(daemon, [after])
            assert now == after, "done again it is not as after:\n" + "\n".join(differences(after, now))
    except BaseException:
        if outcome in ("before", "after"):
            outcome = "FAILED"
        raise
    finally:
        _note(case, outcome)
        if daemon.process.poll() is not None or "LXDCORE_FAULT_POINT" in daemon.extra_env:
            daemon.signal(9) if daemon.process.poll() is None else None
            daemon.extra_env.pop("LXDCORE_FAULT_POINT", None)
            daemon.start()
        clean_all(daemon)
        scenario.clean(daemon)
    end = settled(daemon, [empty])
    assert end == empty, "something stays after all was removed:\n" + "\n".join(differences(empty, end))


def table():
    return [f"{point:60} {outcome}" for point, outcome in sorted(OUTCOMES)]
