# SPDX-License-Identifier: Apache-2.0
"""Where the time of a create, a start and a stop goes: the daemon's own steps, and the system calls."""
import re
import statistics
import subprocess
import tempfile
import time

# Not those that only wait for others.
CALLS = "execve,clone3,clone,vfork,mount,move_mount,mount_setattr,fsetxattr,fsync,fdatasync,unlinkat,rmdir,sendmsg,setns,openat,openat2,read,write"


def life(rest, name):
    """One life; gives the time of each of its actions as the client sees it."""
    path = f"/1.0/instances/{name}"
    taken = {"create": rest.time("POST", "/1.0/instances", {"name": name, "source": {"type": "image", "alias": "bb"}})}
    taken["start"] = rest.time("PUT", path + "/state", {"action": "start"})
    taken["stop --force"] = rest.time("PUT", path + "/state", {"action": "stop", "force": True})
    rest.time("DELETE", path)
    return taken


def logged(text):
    """Action -> step -> milliseconds of each life, from the records of util/steps."""
    actions = {}
    for record in re.finditer(r'Time of (?P<action>[^"]+)".* steps="(?P<steps>[^"]+)"', text):
        steps = actions.setdefault(record["action"], {})
        for step in record["steps"].split(", "):
            name, _, milliseconds = step.rpartition(" ")
            steps.setdefault(name, []).append(float(milliseconds))
    return actions


def by_step(rest, runs):
    """The daemon must run with --debug."""
    daemon = rest.daemon
    life(rest, "steps-warm")
    logs = [log for log in (daemon.base / "file.log", daemon.log) if log.exists()]
    before = [log.stat().st_size for log in logs]
    lives = [life(rest, f"steps{i}") for i in range(runs)]
    time.sleep(0.5)
    actions = {}
    for log, size in zip(logs, before):
        actions = actions or logged(log.read_bytes()[size:].decode(errors="replace"))
    print(f"\nas the client sees it, median of {runs} (ms): " +
          ", ".join(f"{what} {statistics.median(l[what] for l in lives):.1f}" for what in lives[0]))
    for action, steps in actions.items():
        middles = {name: statistics.median(values) for name, values in steps.items()}
        print(f"{action}: {sum(middles.values()):.2f} ms in the daemon")
        for name, value in middles.items():
            print(f"    {name:34} {value:8.2f}")


def by_call(rest, verb):
    """System calls of one action under strace, which makes all of them slower: for the counts, and for the order of size."""
    path = "/1.0/instances/calls"
    rest.time("POST", "/1.0/instances", {"name": "calls", "source": {"type": "image", "alias": "bb"}})
    if verb == "stop":
        rest.time("PUT", path + "/state", {"action": "start"})
    with tempfile.NamedTemporaryFile("r", suffix=".trace") as trace:
        tracer = subprocess.Popen(["strace", "-f", "-T", "-qq", "-e", f"trace={CALLS}", "-o", trace.name, "-p", str(rest.daemon.pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        total = rest.time("PUT", path + "/state", {"action": verb, "force": True})
        tracer.terminate()
        tracer.wait()
        spent, count = {}, {}
        for line in trace.read().splitlines():
            if match := re.match(r"\d+\s+(?:<\.\.\. )?(\w+).*<([\d.]+)>$", line):
                spent[match[1]] = spent.get(match[1], 0) + float(match[2]) * 1000
                count[match[1]] = count.get(match[1], 0) + 1
    if verb == "start":
        rest.time("PUT", path + "/state", {"action": "stop", "force": True})
    rest.time("DELETE", path)
    print(f"\n{verb} under strace: {total:.1f} ms; calls of the daemon and its helper, and the time inside them (they overlap)")
    for call, milliseconds in sorted(spent.items(), key=lambda item: -item[1])[:14]:
        print(f"    {call:14} {count[call]:5} calls {milliseconds:9.2f} ms")


def breakdown(rest, runs):
    by_step(rest, runs)
    for verb in ("start", "stop"):
        by_call(rest, verb)
