# SPDX-License-Identifier: Apache-2.0
"""Large files and streams through the stock client, and what they cost the daemon in memory."""
import os
import pathlib
import re
import subprocess
import threading
import time


def peak(daemon, stop, found):
    """The largest resident size while it lasts, MiB."""
    while not stop.is_set():
        text = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
        found[0] = max(found[0], int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024)
        time.sleep(0.02)


def timed(daemon, args, source=None):
    """(milliseconds, peak MiB) of one client; `source` is its standard input."""
    found, stop = [0.0], threading.Event()
    watcher = threading.Thread(target=peak, args=(daemon, stop, found))
    watcher.start()
    started = time.perf_counter()
    with open(source or os.devnull, "rb") as data:
        code = subprocess.run(args, env=daemon.env, stdin=data, stdout=subprocess.DEVNULL, check=False, timeout=600).returncode
    taken = (time.perf_counter() - started) * 1000
    stop.set()
    watcher.join()
    if code != 0:
        raise RuntimeError(f"{args}: exit {code}")
    return taken, found[0]


def streams(rests, tables, folder, runs, megabytes):
    content = folder / "stream"
    with open(content, "wb") as out:
        for _ in range(megabytes):
            out.write(os.urandom(1 << 20))
    size = f"{megabytes} MiB"
    # Not head: that of busybox takes six seconds for 1 GiB by itself.
    source_of_zeros = f"dd if=/dev/zero bs=64k count={megabytes * 16} 2> /dev/null"
    for kind, rest in rests.items():
        rest.time("POST", "/1.0/instances", {"name": f"stream-{kind}", "source": {"type": "image", "alias": "bb"}})
        rest.time("PUT", f"/1.0/instances/stream-{kind}/state", {"action": "start"})
    for _ in range(runs):
        for kind, rest in rests.items():
            name = f"stream-{kind}"
            for what, args, source in (
                    ("exec, stdin", ["lxc", "exec", name, "--", "sh", "-c", "cat > /dev/null"], content),
                    ("exec, stdout", ["lxc", "exec", name, "--", "sh", "-c", source_of_zeros], None),
                    ("file push", ["lxc", "file", "push", "-q", str(content), f"{name}/root/f"], None),
                    ("file pull", ["lxc", "file", "pull", "-q", f"{name}/root/f", str(folder / f"back-{kind}")], None)):
                taken, most = timed(rest.daemon, args, source)
                tables[kind].setdefault(f"{what} of {size}", []).append(taken)
                tables[kind].setdefault(f"daemon's peak in {what}, MiB", []).append(most)
            (folder / f"back-{kind}").unlink()
    for kind, rest in rests.items():
        rest.time("PUT", f"/1.0/instances/stream-{kind}/state", {"action": "stop", "force": True})
        rest.time("DELETE", f"/1.0/instances/stream-{kind}")
    content.unlink()
