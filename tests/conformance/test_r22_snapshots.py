# SPDX-License-Identifier: Apache-2.0
"""R22: what somebody may not set does not come back to them out of a snapshot either: restored, copied, refreshed."""
import pytest

from conftest import failed, remove

pytestmark = pytest.mark.ours

REACHING = {"raw.lxc": "lxc.environment = A=B", "linux.kernel_modules": "overlay", "security.devlxd.images": "true",
            "security.syscalls.intercept.mknod": "true"}


@pytest.fixture(params=REACHING)
def key(request):
    return request.param


@pytest.fixture
def second(daemon, name):
    yield name + "-b"
    remove(daemon, name + "-b")


@pytest.fixture
def reaching_once(api, container, key):
    """A container whose snapshot has a value that only the administrator may give, and which has it no longer."""
    path = f"/1.0/instances/{container}"
    assert api.patch(path, {"config": {key: REACHING[key]}}).status == 200
    api.run("POST", path + "/snapshots", {"name": "s0"})
    assert api.patch(path, {"config": {key: ""}}).status == 200
    return path


def test_r22_a_restore_is_judged(api, restricted, reaching_once, key):
    api.run("PUT", reaching_once + "/state", {"action": "start"})
    pid = api.get(reaching_once + "/state").metadata["pid"]
    before = api.get(reaching_once).metadata
    for body in ({"restore": "s0"}, {"restore": reaching_once.rsplit("/", 1)[1] + "/s0"}):
        assert failed(restricted, "PUT", reaching_once, body), body
        assert api.get(reaching_once).metadata == before
        assert api.get(reaching_once + "/state").metadata["pid"] == pid, "it was stopped for nothing"
    api.run("PUT", reaching_once, {"restore": "s0"})
    assert api.get(reaching_once).metadata["config"][key] == REACHING[key]


def test_r22_a_copy_of_a_snapshot_is_judged(api, restricted, reaching_once, second, key):
    source = {"type": "copy", "source": reaching_once.rsplit("/", 1)[1] + "/s0"}
    for more in ({}, {"config": {}}, {"config": {"user.a": "b"}, "profiles": ["default"]}):
        assert failed(restricted, "POST", "/1.0/instances", {"name": second, "source": source, **more}), more
        assert api.get(f"/1.0/instances/{second}").status == 404


def test_r22_a_snapshot_that_came_with_a_copy_is_judged(api, restricted, reaching_once, second, key):
    """The copy itself has nothing; its snapshot does, and only a restore would bring it in."""
    source = {"type": "copy", "source": reaching_once.rsplit("/", 1)[1]}
    if not failed(restricted, "POST", "/1.0/instances", {"name": second, "source": source, "profiles": ["default"]}):
        assert failed(restricted, "PUT", f"/1.0/instances/{second}", {"restore": "s0"})
        assert key not in api.get(f"/1.0/instances/{second}").metadata["config"]


def test_r22_a_refresh_is_judged(api, restricted, reaching_once, second, key):
    source = reaching_once.rsplit("/", 1)[1]
    api.run("POST", "/1.0/instances", {"name": second, "profiles": ["default"], "source": {"type": "copy", "source": source}})
    assert api.patch(reaching_once, {"config": {key: REACHING[key]}}).status == 200
    body = {"name": second, "profiles": ["default"], "source": {"type": "copy", "source": source, "refresh": True}}
    failed(restricted, "POST", "/1.0/instances", body)
    assert key not in api.get(f"/1.0/instances/{second}").metadata["config"]


def test_r22_a_snapshot_without_the_no_of_today_is_judged(api, daemon, restricted, container):
    """A profile gives what the instance takes back since the snapshot was made."""
    path, profile, key = f"/1.0/instances/{container}", container + "-r", "security.devlxd.images"
    assert api.post("/1.0/profiles", {"name": profile, "config": {key: "true"}}).status == 201
    try:
        api.run("POST", path + "/snapshots", {"name": "s0"})
        assert api.patch(path, {"config": {key: "false"}}).status == 200
        assert api.patch(path, {"profiles": ["default", profile]}).status == 200
        assert failed(restricted, "PUT", path, {"restore": "s0"})
        assert api.get(path).metadata["expanded_config"][key] == "false"
    finally:
        remove(daemon, container)
        api.delete(f"/1.0/profiles/{profile}")
