# SPDX-License-Identifier: Apache-2.0
"""What is done to the data of a whole distribution: Debian 12, on `dir` and on `btrfs`."""
import os
import time

INSTANCES, IMAGES = "/1.0/instances", "/1.0/images"


def root_on(pool):
    return {"devices": {"root": {"type": "disk", "path": "/", "pool": pool}}} if pool else {}


def content_changes(rest, table, number, pool=None):
    """Snapshot, restore, copy and publish of the stopped deb0. What the others have left to be written is not timed."""
    os.sync()
    path, copy = INSTANCES + "/deb0", f"debcopy{number}"
    where = f", {pool}" if pool else ""

    def step(what, *call):
        table.setdefault(f"Debian {what}{where}", []).append(rest.time(*call))

    step("snapshot", "POST", path + "/snapshots", {"name": f"s{number}"})
    step("restore", "PUT", path, {"restore": f"s{number}"})
    rest.time("DELETE", f"{path}/snapshots/s{number}")
    request = {"name": copy, "profiles": ["default"], "source": {"type": "copy", "source": "deb0"}, **root_on(pool)}
    step("copy", "POST", INSTANCES, request)
    step("copy --refresh", "POST", INSTANCES, {**request, "source": {**request["source"], "refresh": True}})
    step("publish", "POST", IMAGES, {"source": {"type": "instance", "name": copy}, "aliases": [{"name": copy}]})
    rest.daemon.lxc("image", "delete", copy)
    step("delete", "DELETE", f"{INSTANCES}/{copy}")


def create(rest, table, what, number, pool=None):
    os.sync()
    taken = rest.time("POST", INSTANCES,
                      {"name": f"deb{number}", "source": {"type": "image", "alias": "deb"}, **root_on(pool)})
    table.setdefault(f"Debian image -> instance, {what}", []).append(taken)
    return taken


def debian(rests, tables, folder, runs):
    """The first instance unpacks, or waits for what goes on since the import; the others do not (a real LXD unpacks
    each time on `dir`). One daemon after the other: neither has the processors of the other's unpacking."""
    for kind, rest in rests.items():
        started = time.perf_counter()
        rest.daemon.lxc("image", "import", folder / "debian.tar.xz", "--alias", "deb", timeout=600)
        imported = (time.perf_counter() - started) * 1000
        tables[kind]["Debian image import"] = [imported]
        tables[kind]["Debian image import and first instance"] = [imported + create(rest, tables[kind], "first", 0)]
    for i in range(runs):
        for kind, rest in rests.items():
            create(rest, tables[kind], "cached", i + 1)
    for i in range(runs):
        for kind, rest in rests.items():
            content_changes(rest, tables[kind], i)
    for rest in rests.values():
        for i in range(runs + 1):
            rest.time("DELETE", f"{INSTANCES}/deb{i}")
        rest.daemon.lxc("image", "delete", "deb")


def on_btrfs(rests, tables, folder, runs):
    """The same on a pool in a loop file; then its backups, optimised and not."""
    pool = "btrfs"
    for kind, rest in rests.items():
        rest.daemon.api.run("POST", "/1.0/storage-pools", {"name": pool, "driver": "btrfs", "config": {"size": "12GiB"}})
        rest.daemon.lxc("image", "import", folder / "debian.tar.xz", "--alias", "deb", timeout=600)
        create(rest, tables[kind], "first, btrfs", 0, pool)
    try:
        for i in range(runs):
            for kind, rest in rests.items():
                create(rest, tables[kind], "cached, btrfs", i + 1, pool)
        for i in range(runs):
            for kind, rest in rests.items():
                content_changes(rest, tables[kind], i, pool)
        for i in range(runs):
            for kind, rest in rests.items():
                export_and_import(rest, tables[kind], folder / f"backup-{kind}", "deb0", "Debian, btrfs, optimised",
                                  "--optimized-storage", "--compression", "none")
    finally:
        for rest in rests.values():
            for i in range(runs + 1):
                rest.time("DELETE", f"{INSTANCES}/deb{i}")
            rest.daemon.lxc("image", "delete", "deb")
            rest.daemon.api.run("DELETE", f"/1.0/storage-pools/{pool}", ok=False)


def export_and_import(rest, table, archive, name, what, *options):
    """With the stock client; each daemon imports its own archive."""
    def clock(verb, *args):
        os.sync()
        started = time.perf_counter()
        rest.daemon.lxc(*args, timeout=600)
        table.setdefault(f"{verb} of {what}", []).append((time.perf_counter() - started) * 1000)

    clock("export", "export", name, archive, *options)
    table[f"archive of {what}, MiB"] = [archive.stat().st_size / 2**20]
    clock("import", "import", archive, "again")
    rest.daemon.lxc("delete", "again")


def backups(rests, tables, folder, runs):
    for rest in rests.values():
        rest.daemon.lxc("image", "import", folder / "debian.tar.xz", "--alias", "deb", timeout=600)
        rest.daemon.lxc("init", "deb", "deb", timeout=600)
    for _ in range(runs):
        for kind, rest in rests.items():
            archive = folder / f"backup-{kind}"
            export_and_import(rest, tables[kind], archive, "deb", "Debian")
            export_and_import(rest, tables[kind], archive, "deb", "Debian, not compressed", "--compression", "none")
    for kind, rest in rests.items():
        tables[kind]["memory after backups, MiB"] = [rest.memory()]
        rest.daemon.lxc("delete", "deb")
        rest.daemon.lxc("image", "delete", "deb")
