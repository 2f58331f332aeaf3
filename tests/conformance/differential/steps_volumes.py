# SPDX-License-Identifier: Apache-2.0
"""Custom volumes: records, options, copies, moves, snapshots, disks of instances on them."""
from engine import Step as S

P = "/1.0/storage-pools"
V = P + "/default/volumes"
C = V + "/custom"
SECOND = P + "/second/volumes/custom"
EXPIRES = ("metadata.expires_at",)


def volumes():
    def bad(config, **fields):
        return S("POST", C, {"name": "bad", "config": config, **fields})

    block = {"content_type": "block"}
    return [
        S("GET", C), S("POST", C, {"name": "a"}), S("POST", C, {"name": "a"}, note="twice"), S("GET", C + "/a", etag=True),
        S("POST", C, {"name": "b", "description": "second", "config": {"user.x": "y", "snapshots.expiry": "1d", "size": ""}}),
        S("GET", C + "/b", etag=True), S("GET", C), S("GET", C + "?recursion=1"), S("GET", V), S("GET", V + "?recursion=1"),
        S("GET", C + "?recursion=1&filter=name%20eq%20b"), S("GET", C + "?filter=name%20eq%20b"), S("GET", C + "?all-projects=true"),
        S("GET", C + "?all-projects=true&project=default"), S("GET", P + "/default", etag=True), S("GET", P + "/nosuch/volumes/custom"),
        S("POST", C, {}), S("POST", C, {"name": ""}), S("POST", C, {"name": "a/b"}), S("POST", C, {"name": 5}),
        S("POST", C, data=b"{", note="truncated"), S("POST", P + "/nosuch/volumes/custom", {"name": "x"}),
        S("POST", V, {"name": "x"}), S("POST", V, {"name": "x", "type": "nosuch"}), S("POST", V, {"name": "x", "type": "image"}),
        S("POST", V, {"name": "by-type", "type": "custom"}), S("DELETE", C + "/by-type"), S("POST", V + "/container", {"name": "x"}),
        S("POST", V + "/nosuch", {"name": "x"}), S("POST", C, {"name": "x", "content_type": "nosuch"}),
        bad({"nosuch": "1"}), bad({"size": "x"}), bad({"security.shifted": "x"}), bad({"security.unmapped": "7"}),
        bad({"snapshots.expiry": "x"}), bad({"snapshots.schedule": "x"}), bad({"snapshots.schedule": "@startup"}),
        bad({"snapshots.schedule": "@daily,@weekly"}), bad({"snapshots.schedule": "1-2-3 * * * *"}), bad({"block.filesystem": "ext4"}),
        bad({"volume.size": "1GiB"}), bad({"security.shifted": "true"}, **block), bad({"zfs.use_refquota": "true"}),
        S("GET", C + "/bad"), S("GET", V + "/nosuch/a"), S("GET", C + "/nosuch"), S("GET", C + "/nosuch/state"), S("GET", V + "/container/a"),
        S("GET", C + "/a/state"),
        S("PUT", C + "/a", {"description": "put", "config": {"user.a": "b", "snapshots.schedule": "@daily, @weekly"}}), S("GET", C + "/a", etag=True),
        S("PATCH", C + "/a", {"config": {"user.c": "d"}}), S("GET", C + "/a", etag=True), S("PATCH", C + "/a", {"config": {"user.c": ""}}),
        S("GET", C + "/a"), S("PATCH", C + "/a", {"description": "only"}), S("GET", C + "/a"), S("PUT", C + "/a", {"config": {"nosuch": "1"}}),
        S("PUT", C + "/a", {}, headers={"If-Match": "0" * 64}), S("PATCH", C + "/a", {}, headers={"If-Match": "0" * 64}),
        S("PUT", C + "/nosuch", {}), S("PATCH", C + "/nosuch", {}), S("PUT", V + "/nosuch/a", {}), S("PUT", C + "/a", {}), S("GET", C + "/a", etag=True),
        S("POST", C + "/a", {"name": "a2"}), S("GET", C + "/a2", etag=True), S("POST", C + "/a2", {"name": "b"}), S("POST", C + "/a2", {"name": "a2"}),
        S("POST", C + "/a2", {"name": ""}), S("POST", C + "/a2", {"name": "a/b"}), S("POST", C + "/nosuch", {"name": "x"}),
        S("POST", C + "/a2", {"name": "x", "pool": "nosuch"}), S("POST", V + "/container/a2", {"name": "x"}), S("POST", V + "/nosuch/a2", {"name": "x"}),
        S("POST", C + "/a2", {"name": "a", "pool": "default"}), S("DELETE", V + "/container/a"), S("DELETE", V + "/nosuch/a"), S("DELETE", C + "/nosuch"),
        S("POST", C, {"name": "blk", "config": {"size": "5MiB"}, **block}), S("GET", C + "/blk", etag=True), S("PUT", C + "/blk", {"config": {"size": "6MiB"}}),
        S("PUT", C + "/blk", {"config": {"size": "1MiB"}}), S("GET", C + "/blk"), S("GET", C + "/blk/state"), S("DELETE", C + "/blk"),
        S("DELETE", C + "/a"), S("DELETE", C + "/a", note="again"), S("DELETE", C + "/b"), S("GET", C),
    ]


def snapshots():
    s = C + "/v/snapshots"
    return [
        S("POST", C, {"name": "v", "description": "of v", "config": {"user.x": "y"}}), S("GET", s), S("GET", C + "/nosuch/snapshots"),
        S("POST", s, {}), S("POST", s, {"name": "s1", "expires_at": "2035-01-02T03:04:05Z"}), S("POST", s, {"name": "s1"}, note="twice"),
        S("POST", s, {"name": "a/b"}), S("POST", s, {"name": "a b"}), S("POST", s, {"name": 1}), S("POST", C + "/nosuch/snapshots", {}),
        S("POST", V + "/container/v/snapshots", {}), S("POST", V + "/nosuch/v/snapshots", {}),
        S("GET", s), S("GET", s + "?recursion=1"), S("GET", s + "/s1", etag=True), S("GET", s + "/snap0", etag=True), S("GET", s + "/nosuch"),
        S("GET", C), S("GET", C + "?recursion=1"), S("GET", V),
        S("PUT", s + "/s1", {"description": "changed"}), S("GET", s + "/s1", etag=True), S("PATCH", s + "/s1", {"expires_at": "2036-01-01T00:00:00Z"}),
        S("GET", s + "/s1", etag=True), S("PATCH", s + "/s1", {}), S("GET", s + "/s1", etag=True), S("PUT", s + "/nosuch", {}), S("PATCH", s + "/nosuch", {}),
        S("PUT", s + "/s1", {"description": "x"}, headers={"If-Match": "0" * 64}),
        S("POST", s + "/s1", {"name": "s2"}), S("POST", s + "/nosuch", {"name": "s3"}), S("POST", s + "/s2", {"name": ""}), S("POST", s + "/s2", {"name": "a/b"}),
        S("GET", s), S("PUT", C + "/v", {"restore": "nosuch"}), S("PUT", C + "/v", {"restore": "s2"}), S("GET", C + "/v", etag=True),
        S("PUT", C + "/v", {"restore": "snap0", "config": {"user.q": "r"}, "description": "both"}), S("GET", C + "/v", etag=True),
        S("POST", C + "/v", {"name": "w"}), S("GET", C + "/w/snapshots?recursion=1"), S("POST", C + "/w", {"name": "v"}),
        S("POST", C, {"name": "c1", "source": {"type": "copy", "pool": "default", "name": "v"}}), S("GET", C + "/c1", etag=True), S("GET", C + "/c1/snapshots?recursion=1"),
        S("POST", C, {"name": "c2", "source": {"type": "copy", "pool": "default", "name": "v", "volume_only": True}, "config": {"user.own": "1"}, "description": "own"}),
        S("GET", C + "/c2", etag=True), S("GET", C + "/c2/snapshots"), S("POST", C, {"name": "c3", "source": {"type": "copy", "pool": "default", "name": "v/s2"}}),
        S("GET", C + "/c3", etag=True), S("GET", C + "/c3/snapshots"),
        S("POST", C + "/c2/snapshots", {"name": "extra"}), S("POST", C, {"name": "c2", "source": {"type": "copy", "pool": "default", "name": "v", "refresh": True}}),
        S("GET", C + "/c2", etag=True), S("GET", C + "/c2/snapshots"), S("POST", C, {"name": "c2", "source": {"type": "copy", "pool": "default", "name": "v"}}),
        S("POST", C, {"name": "x", "source": {"type": "copy", "pool": "default", "name": "nosuch"}}),
        S("POST", C, {"name": "x", "source": {"type": "copy", "pool": "nosuch", "name": "v"}}), S("POST", C, {"name": "x", "source": {"type": "copy", "name": "v"}}),
        S("POST", C, {"name": "x", "source": {"type": "nosuch", "name": "v"}}),
        S("POST", C, {"name": "c2", "source": {"type": "copy", "pool": "default", "name": "nosuch", "refresh": True}}),
        S("POST", P, {"name": "second", "driver": "dir", "config": {"volume.size": "30MiB", "volume.snapshots.expiry": "2d"}}),
        S("POST", SECOND, {"name": "n"}), S("GET", SECOND + "/n", etag=True), S("PUT", SECOND + "/n", {}), S("GET", SECOND + "/n"),
        S("POST", SECOND, {"name": "c4", "source": {"type": "copy", "pool": "default", "name": "v"}}), S("GET", SECOND + "/c4", etag=True),
        S("GET", SECOND + "/c4/snapshots"), S("POST", C + "/c3", {"name": "c5", "pool": "second"}), S("GET", SECOND + "/c5"), S("GET", C + "/c3"),
        S("POST", SECOND + "/c5", {"name": "v", "pool": "default"}), S("GET", P + "/second"), S("DELETE", P + "/second"),
        S("DELETE", SECOND + "/n"), S("DELETE", SECOND + "/c4"), S("DELETE", SECOND + "/c5"), S("DELETE", P + "/second"),
        S("DELETE", s + "/nosuch"), S("DELETE", s + "/s2"), S("DELETE", s + "/s2", note="again"), S("DELETE", V + "/container/v/snapshots/s2"),
        S("DELETE", C + "/v"), S("GET", s), S("DELETE", C + "/c1"), S("DELETE", C + "/c2"), S("GET", C),
    ]


def volume_disks():
    i = "/1.0/instances/d1"

    def disk(**fields):
        return {"devices": {"data": {"type": "disk", "pool": "default", **fields}}}

    return [
        S("POST", "/1.0/instances", {"name": "d1", "source": {"type": "none"}}), S("POST", C, {"name": "v"}),
        S("POST", C, {"name": "blk", "content_type": "block", "config": {"size": "1MiB"}}),
        S("PATCH", i, disk(source="nosuch", path="/d")), S("PATCH", i, disk(source="/v", path="/d")), S("PATCH", i, disk(source="v")),
        S("PATCH", i, disk(source="v", path="/d", shift="true")), S("PATCH", i, disk(source="v", path="/d", size="1MiB")),
        S("PATCH", i, disk(source="v", path="/d", recursive="true")), S("PATCH", i, disk(source="blk", path="/d")),
        S("PATCH", i, {"devices": {"data": {"type": "disk", "pool": "nosuch", "source": "v", "path": "/d"}}}),
        S("PATCH", i, disk(source="v", path="/d")), S("GET", C + "/v", etag=True), S("GET", V + "?recursion=1"), S("DELETE", C + "/v"),
        S("POST", "/1.0/profiles", {"name": "vp", "devices": {"data": {"type": "disk", "pool": "default", "source": "v", "path": "/p"}}}),
        S("GET", C + "/v"), S("POST", C + "/v", {"name": "w"}), S("GET", C + "/w"), S("GET", i, shape=("metadata.config",)), S("GET", "/1.0/profiles/vp"),
        S("PUT", C + "/w", {"config": {"security.shifted": "true"}}), S("GET", P + "/default"),
        S("DELETE", "/1.0/profiles/vp"), S("DELETE", i), S("GET", C + "/w"), S("DELETE", C + "/w"), S("DELETE", C + "/blk"),
    ]
