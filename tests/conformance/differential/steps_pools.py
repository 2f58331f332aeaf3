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


def server_volumes():
    """Volumes that the server itself uses: for images and for backups."""
    c = P + "/default/volumes/custom"

    def use(volume, key="storage.images_volume"):
        return S("PATCH", "/1.0", {"config": {key: volume}})

    return [
        S("POST", c, {"name": "img"}), S("POST", c, {"name": "other"}),
        S("POST", c, {"name": "blk", "content_type": "block", "config": {"size": "1MiB"}}),
        use("default"), use("/"), use("default/img/x"), use("nosuch/img"), use("default/nosuch"), use("default/blk"),
        S("POST", c + "/other/snapshots", {"name": "s"}), use("default/other"), S("DELETE", c + "/other/snapshots/s"),
        use("default/img"), S("GET", c + "/img", etag=True), S("GET", c + "?recursion=1"), S("GET", P + "/default"),
        S("DELETE", c + "/img"), S("POST", c + "/img", {"name": "x"}), S("POST", c + "/img/snapshots", {"name": "s"}),
        S("POST", c + "/img", {"name": "img", "pool": "default"}),
        S("PATCH", c + "/img", {"config": {"user.x": "y"}}), S("GET", c + "/img"),
        use("default/other"), S("GET", c + "/img"), S("GET", c + "/other"), S("DELETE", c + "/img"),
        use(""), S("GET", c + "/other"), S("DELETE", c + "/other"), S("DELETE", c + "/blk"),
    ]
