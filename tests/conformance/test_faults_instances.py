# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the named points of what is done to instances (R41, R42)."""
import pytest

import faults
from faults import Scenario

IMAGE = {"type": "image", "alias": "bb"}


def make(name, **fields):
    def action(daemon):
        daemon.api.run("POST", "/1.0/instances", {"name": name, "source": IMAGE, **fields})
    return action


def rename(name, to):
    return lambda daemon: daemon.api.run("POST", f"/1.0/instances/{name}", {"name": to})


def delete(name):
    return lambda daemon: daemon.api.run("DELETE", f"/1.0/instances/{name}")


SCENARIOS = [
    Scenario("instance-create:*", action=make("f1")),
    Scenario("instance-rename:*", before=make("f1"), action=rename("f1", "f2")),
    Scenario("instance-delete:*", before=make("f1"), action=delete("f1")),
]


@pytest.mark.ours
@pytest.mark.parametrize("case", faults.cases(SCENARIOS), ids=str)
def test_a_kill_leaves_all_or_nothing(fault_daemon, case):
    faults.check(fault_daemon, case)
