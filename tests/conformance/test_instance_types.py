# SPDX-License-Identifier: Apache-2.0
"""instance_type of a new instance: what it becomes, with the answers that a real LXD gives."""
import pytest

KEYS = ("limits.cpu", "limits.cpu.allowance", "limits.memory")
GOOD = {
    "c2-m4": ("2", None, "4096MB"), "m4-c2": ("2", None, "4096MB"), "c1": ("1", None, None), "m2": (None, None, "2048MB"),
    "c0.5-m0.5": ("1", "50%", "512MB"), "c1.5-m1.25": ("2", "75%", "1280MB"), "c2.3": ("3", "76%", None),
    "m0.1": (None, None, "102MB"), "c2-c3": ("3", None, None), "c0": (None, None, None), "": (None, None, None),
}
UNKNOWN = ["c2-m", "c-m4", "x2-y3", "c-1", "C2-M4", "c2-m4-x", "aws:nosuch", "t2.nosuch", "foo:bar", "aws:", ":x", "-", "c1-"]
BROKEN = ["c2m4", "cx", "c1 -m1", "mx-y", "c1-mx", "c0x2"]


def create(api, name, kind, **config):
    body = {"name": name, "source": {"type": "none"}, "instance_type": kind, "config": config}
    return api.run("POST", "/1.0/instances", body, ok=False)


def limits(api, name):
    config = api.get(f"/1.0/instances/{name}").metadata["config"]
    return tuple(config.get(key) for key in KEYS)


@pytest.mark.parametrize("kind", GOOD)
def test_a_type_becomes_limits(api, name, kind):
    create(api, name, kind)
    assert limits(api, name) == GOOD[kind]


def test_a_key_of_its_own_wins(api, name):
    create(api, name, "c2-m4", **{"limits.cpu": "1"})
    assert limits(api, name) == ("1", None, "4096MB")


@pytest.mark.parametrize("kind", UNKNOWN + BROKEN)
def test_what_is_no_type_is_refused(api, name, kind):
    reply = create(api, name, kind)
    text = "Bad custom instance type: " if kind in BROKEN else "Provided instance type doesn't exist: "
    assert (reply.status, reply.error) == (400, text + kind)


@pytest.mark.ours
def test_types_of_clouds_come_from_a_table(api, name):
    """LXD downloads its own; without a network it knows none."""
    create(api, name, "aws:t2.small")
    assert limits(api, name) == ("1", None, "2048MB")
