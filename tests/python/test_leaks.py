# SPDX-License-Identifier: Apache-2.0
"""Making and closing a Core or a Client again and again leaves nothing behind. LXDCORE_LEAK_ROUNDS=10000 for as many
rounds; with Cores that takes some 20 minutes."""
import os
import pathlib

import pytest

import lxdcore

from conftest import HELPER

ROUNDS = int(os.environ.get("LXDCORE_LEAK_ROUNDS", "0"))
PER_ROUND = 3 << 10  # bytes; the smallest object of either is larger
SLACK = 1 << 20  # what an allocator may keep, however many rounds there were


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check(rounds, use):
    """The second half must not need more than the first one left."""
    for _ in range(rounds // 2):
        use()
    fds, memory = descriptors(), resident()
    for _ in range(rounds // 2):
        use()
    assert descriptors() == fds
    assert resident() - memory < SLACK + rounds // 2 * PER_ROUND


def test_clients_leave_nothing_behind(daemon):
    def use():
        with lxdcore.Client(daemon.socket) as client:
            assert client.instances.names() is not None

    check(ROUNDS or 2000, use)


def test_clients_over_https_leave_nothing_behind(https_client, daemon):
    def use():
        with lxdcore.Client(https_client._url, server_certificate=daemon.dir / "server.crt") as client:
            with pytest.raises(lxdcore.ForbiddenError):
                client.instances.names()

    check(min(ROUNDS or 100, 1000), use)


def test_clients_that_never_connect_leave_nothing_behind(daemon):
    check(ROUNDS or 2000, lambda: lxdcore.Client(daemon.socket).close())


def test_cores_leave_nothing_behind(state_dir):
    check(ROUNDS or 100, lambda: lxdcore.Core(state_dir, helper=HELPER).close())
