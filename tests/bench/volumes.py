# SPDX-License-Identifier: Apache-2.0
"""Custom volumes with many small files and with one large one, on each filesystem that pools stand on."""
import pathlib

from daemons import run

MIB = 1 << 20
FILESYSTEMS = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": None}


def fill(folder, quick):
    """{name: function that fills a directory}."""
    def small(into):
        for i in range(1000 if quick else 10_000):
            if i % 100 == 0:
                (into / f"d{i // 100}").mkdir()
            (into / f"d{i // 100}/f{i}").write_bytes(b"x" * (i % 4096))

    def large(into):
        size = (64 if quick else 2048) * MIB
        with open(into / "file", "wb") as file, open("/dev/urandom", "rb") as random:
            block = random.read(MIB)
            for _ in range(size // MIB):
                file.write(block)

    return {"small files": small, "large file": large}


def one_pool(rest, kind, filesystem, folder, tables, quick, runs):
    pools, pool = "/1.0/storage-pools", f"bench{filesystem}"
    volumes = f"{pools}/{pool}/volumes/custom"
    size = "2GiB" if quick else "16GiB"
    mount = folder / f"{kind}-{filesystem}"
    if filesystem == "btrfs":
        rest.daemon.api.run("POST", pools, {"name": pool, "driver": "btrfs", "config": {"size": size}})
    else:
        image = folder / f"{kind}-{filesystem}.img"
        run("truncate", "-s", size.removesuffix("iB"), image)
        run(*FILESYSTEMS[filesystem], image)
        mount.mkdir()
        run("mount", "-o", "loop", image, mount)
        (mount / "pool").mkdir()
        rest.daemon.api.run("POST", pools, {"name": pool, "driver": "dir", "config": {"source": str(mount / "pool")}})
    try:
        for what, make in fill(folder, quick).items():
            rest.daemon.api.run("POST", volumes, {"name": "source"})
            make(pathlib.Path(rest.daemon.dir) / "storage-pools" / pool / "custom/default_source")
            run("sync")

            def step(verb, *call):
                tables.setdefault(f"volume {verb}, {what}, {filesystem}", []).append(rest.time(*call))

            for _ in range(runs):
                run("sync")  # what was copied before is not written on this one's time
                step("create", "POST", volumes, {"name": "empty"})
                step("copy", "POST", volumes, {"name": "copy", "source": {"type": "copy", "pool": pool, "name": "source"}})
                step("snapshot", "POST", volumes + "/source/snapshots", {"name": "s"})
                step("delete snapshot", "DELETE", volumes + "/source/snapshots/s")
                step("delete", "DELETE", volumes + "/copy")
                rest.time("DELETE", volumes + "/empty")
            rest.time("DELETE", volumes + "/source")
    finally:
        rest.daemon.api.run("DELETE", f"{pools}/{pool}", ok=False)
        if filesystem != "btrfs":
            run("umount", "--lazy", mount, check=False)


def volumes(rests, tables, folder, quick, runs):
    for filesystem in FILESYSTEMS:
        for kind, rest in rests.items():
            try:
                one_pool(rest, kind, filesystem, folder, tables[kind], quick, runs)
            except Exception as error:  # what cannot be measured here is left out
                print(f"bench: volumes on {filesystem}, {kind}: {error}")
