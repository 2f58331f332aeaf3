# SPDX-License-Identifier: Apache-2.0
"""Backups of instances, and requests that make an instance of one."""
from engine import Step as S

I = "/1.0/instances"
B = I + "/backed/backups"
RAW = {"Content-Type": "application/octet-stream"}


V = "/1.0/storage-pools/default/volumes/custom"
VB = V + "/backedv/backups"


def volume_backups():
    progress = ("metadata.metadata",)  # says how fast it was
    return [
        S("GET", V + "/nosuch/backups"), S("POST", V + "/nosuch/backups", {"name": "b1"}), S("GET", V + "/nosuch/backups/b1"),
        S("GET", "/1.0/storage-pools/nosuch/volumes/custom/v/backups"), S("POST", "/1.0/storage-pools/nosuch/volumes/custom/v/backups", {}),
        S("POST", V, {"name": "backedv", "config": {"user.a": "b"}}), S("POST", V + "/backedv/snapshots", {"name": "s0"}),
        S("GET", VB), S("GET", VB + "?recursion=1"), S("GET", VB + "/nosuch"), S("GET", VB + "/nosuch/export"), S("DELETE", VB + "/nosuch"),
        S("POST", VB + "/nosuch", {"name": "b2"}), S("PUT", VB + "/nosuch", {}),
        S("GET", "/1.0/storage-pools/default/volumes/container/backedv/backups"), S("GET", "/1.0/storage-pools/default/volumes/nosuch/backedv/backups"),
        S("POST", VB, {"name": "a/b"}), S("POST", VB, {"name": 5}), S("POST", VB, data=b"{", note="truncated"),
        S("POST", VB, {"name": "b1", "compression_algorithm": "nosuch"}), S("POST", VB, {"name": "b1", "expires_at": "soon"}),
        S("POST", VB, {"name": "b1", "expires_at": "2090-01-01T00:00:00Z"}, ignore=progress), S("GET", VB), S("GET", VB + "?recursion=1"),
        S("GET", VB + "/b1"), S("POST", VB, {"name": "b1"}, note="twice", ignore=progress), S("POST", VB, {}, ignore=progress),
        S("POST", VB, {"name": "", "volume_only": True}, ignore=progress), S("GET", VB + "?recursion=1"), S("GET", VB + "/backup1"),
        S("POST", VB, {"name": "opt", "optimized_storage": True, "volume_only": True}, ignore=progress), S("GET", VB + "/opt"),
        S("PUT", VB + "/b1", {}), S("PATCH", VB + "/b1", {}),
        S("POST", VB + "/b1", {"name": "a/b"}), S("POST", VB + "/b1", {"name": "b2"}), S("GET", VB + "/b1"), S("GET", VB + "/b2"),
        S("POST", VB + "/b2", data=b"[", note="truncated"),
        S("DELETE", VB + "/opt"), S("DELETE", VB + "/backup0"), S("DELETE", VB + "/backup1"), S("GET", VB),
        S("POST", V + "/backedv", {"name": "movedv"}), S("GET", V + "/movedv/backups?recursion=1"), S("GET", VB),
        S("DELETE", V + "/movedv/backups/b2"), S("GET", V + "/movedv/backups"),
        S("POST", V, data=b"nothing that is an archive", headers=RAW, note="no archive", deviation="D7"),
        S("POST", V, data=b"", headers=RAW, note="empty archive", deviation="D7"),
        S("POST", "/1.0/storage-pools/nosuch/volumes/custom", data=b"x", headers=RAW, note="unknown pool"),
        S("DELETE", V + "/movedv"),
    ]


def backups():
    progress = ("metadata.metadata",)  # says how fast it was
    return [
        S("GET", I + "/nosuch/backups"), S("POST", I + "/nosuch/backups", {"name": "b1"}), S("GET", I + "/nosuch/backups/b1"),
        S("POST", I, {"name": "backed", "source": {"type": "none"}}),
        S("GET", B), S("GET", B + "?recursion=1"), S("GET", B + "/nosuch"), S("GET", B + "/nosuch/export"), S("DELETE", B + "/nosuch"),
        S("POST", B + "/nosuch", {"name": "b2"}), S("PUT", B + "/nosuch", {}),
        S("POST", B, {"name": "a/b"}), S("POST", B, {"name": 5}), S("POST", B, data=b"{", note="truncated"),
        S("POST", B, {"name": "b1", "compression_algorithm": "nosuch"}), S("POST", B, {"name": "b1", "expires_at": "soon"}),
        S("POST", B, {"name": "b1", "compression_algorithm": "gzip --help"}, deviation="D4"),
        S("DELETE", B + "/b1", note="made with an argument of the compressor", deviation="D4"),
        S("POST", B, {"name": "b1", "expires_at": "2090-01-01T00:00:00Z"}, ignore=progress), S("GET", B), S("GET", B + "?recursion=1"),
        S("GET", B + "/b1"), S("POST", B, {"name": "b1"}, note="twice", ignore=progress), S("POST", B, {}, ignore=progress),
        S("POST", B, {"name": "", "instance_only": True}, ignore=progress), S("GET", B + "?recursion=1"), S("GET", B + "/backup1"),
        S("POST", B, {"name": "opt", "optimized_storage": True, "container_only": True}, ignore=progress), S("GET", B + "/opt"),
        S("PUT", B + "/b1", {}), S("PATCH", B + "/b1", {}),
        S("POST", B + "/b1", {"name": "a/b"}), S("POST", B + "/b1", {"name": "b2"}), S("GET", B + "/b1"), S("GET", B + "/b2"),
        S("POST", B + "/b2", data=b"[", note="truncated"),
        S("DELETE", B + "/opt"), S("DELETE", B + "/backup0"), S("DELETE", B + "/backup1"), S("GET", B),
        S("POST", I + "/backed", {"name": "moved"}), S("GET", I + "/moved/backups?recursion=1"), S("GET", B),
        S("DELETE", I + "/moved/backups/b2"), S("GET", I + "/moved/backups"),
        S("POST", I, data=b"nothing that is an archive", headers=RAW, note="no archive", deviation="D7"),
        S("POST", I, data=b"", headers=RAW, note="empty archive", deviation="D7"),
        S("POST", I, data=b"x", headers={**RAW, "X-LXD-pool": "nosuch"}, note="unknown pool", deviation="D7"),
        S("DELETE", I + "/moved"),
    ]
