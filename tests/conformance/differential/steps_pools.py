# SPDX-License-Identifier: Apache-2.0
"""Pools of the btrfs driver, and containers on one."""
from engine import Step as S

P = "/1.0/storage-pools"


def pool(name="b1", driver="btrfs", size="256MiB", **config):
    config = {key.replace("__", "."): value for key, value in config.items()}
    return {"name": name, "driver": driver, "config": {**({"size": size} if size else {}), **config}}


def bad(**config):
    return S("POST", P, pool("bad", **config))


def pools():
    instance = {"name": "onb1", "source": {"type": "image", "alias": "bb"},
                "devices": {"root": {"type": "disk", "path": "/", "pool": "b1"}}}
    return [
        S("POST", P, {**pool(), "description": "one"}), S("GET", P + "/b1", etag=False), S("GET", P + "?recursion=1"),
        S("POST", P, pool(), note="twice"), S("GET", P + "/b1/resources", shape=("metadata",)),
        S("PATCH", P + "/b1", {"config": {"user.x": "y"}}), S("GET", P + "/b1"),
        S("PATCH", P + "/b1", {"config": {"btrfs.mount_options": "user_subvol_rm_allowed,noatime"}}),
        S("PATCH", P + "/b1", {"config": {"rsync.bwlimit": "10MB", "rsync.compression": "false"}}),
        S("PATCH", P + "/b1", {"config": {"volume.size": "1GiB", "volume.snapshots.schedule": "@daily",
                                          "volume.snapshots.expiry": "1w", "volume.snapshots.pattern": "s%d",
                                          "volume.security.shifted": "true", "volume.security.unmapped": "false"}}),
        S("GET", P + "/b1"),
        S("PATCH", P + "/b1", {"config": {"size": "200MiB"}}), S("GET", P + "/b1"),
        S("PATCH", P + "/b1", {"config": {"size": "big"}}), S("PATCH", P + "/b1", {"config": {"source": "/tmp/x"}}),
        S("PATCH", P + "/b1", {"config": {"nosuch": "1"}}), S("PATCH", P + "/b1", {"config": {"source.wipe": "true"}}),
        S("PATCH", P + "/b1", {"config": {"volume.block.filesystem": "ext4"}}),
        S("PATCH", P + "/b1", {"config": {"volume.size": "", "volume.snapshots.schedule": ""}}), S("GET", P + "/b1"),
        S("PUT", P + "/b1", {"config": {}}), S("GET", P + "/b1/volumes"),
        S("POST", "/1.0/instances", instance), S("GET", P + "/b1"), S("GET", P + "/b1/volumes?recursion=1"),
        S("GET", P + "/b1/volumes/container/onb1"), S("GET", P + "/b1/volumes/image"), S("DELETE", P + "/b1"),
        S("DELETE", "/1.0/instances/onb1"), S("GET", P + "/b1/volumes/image"), S("GET", P + "/b1"),
        S("DELETE", P + "/b1"), S("GET", P + "/b1"),
        bad(nosuch="1"), bad(size="big"), bad(rsync__bwlimit="fast"), bad(rsync__compression="perhaps"),
        bad(volume__size="big"), bad(volume__zfs__x="1"), bad(volume__block__filesystem="ext4"),
        bad(volume__security__shifted="maybe"), bad(volume__security__unmapped="maybe"),
        bad(volume__snapshots__expiry="soon"), bad(volume__snapshots__schedule="often"), bad(zfs__pool_name="x"),
        bad(lvm__vg_name="x"), bad(source="/nosuch/device"), bad(source="/usr"), bad(source__wipe="true"),
        S("POST", P, pool("bad", "dir", "1GiB")), S("POST", P, pool("bad", "dir", None, btrfs__mount_options="noatime")),
        S("POST", P, pool("d1", "dir", None, volume__size="1GiB", user__x="y", rsync__compression="false")),
        S("GET", P + "/d1"), S("PUT", P + "/d1", {"config": {"user.z": "1"}}),
        S("PATCH", P + "/d1", {"config": {"size": "1GiB"}}), S("DELETE", P + "/d1"), S("GET", P),
    ]
