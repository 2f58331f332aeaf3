# SPDX-License-Identifier: Apache-2.0
"""Pools of drivers whose programs or kernel parts are missing where this is recorded."""
from engine import Step as S


def storage_drivers():
    p = "/1.0/storage-pools"
    steps = []
    for driver in ("zfs", "lvm", "ceph", "cephfs"):
        steps += [
            S("POST", p, {"name": driver + "1", "driver": driver}),
            S("POST", p, {"name": driver + "1", "driver": driver, "config": {"nosuch": "1"}}, note="bad option"),
            S("POST", p, {"name": driver + "1", "driver": driver, "config": {"source": "/nosuch"}}, note="bad source"),
            S("GET", p + "/" + driver + "1"),
        ]
    return steps
