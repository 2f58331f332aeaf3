# SPDX-License-Identifier: Apache-2.0
"""R23: what a restricted client may have is judged by effective values. What is not said is judged as what it then is:
a default, a value of a profile, a profile of an image."""
import hashlib
import json

import pytest

from conftest import failed, remove
from tarballs import tiny_image

pytestmark = pytest.mark.ours

OCTETS = {"Content-Type": "application/octet-stream"}
# What reaches beyond the container, and a value that gives nothing.
REACHING = {
    "raw.lxc": ("lxc.environment = A=B", ""),
    "raw.idmap": ("both 1000 1000", ""),
    "linux.kernel_modules": ("overlay", ""),
    "security.idmap.base": ("2000000", ""),
    "security.devlxd.images": ("true", "false"),
    "security.syscalls.intercept.mknod": ("true", "false"),
    "security.syscalls.intercept.mount.allowed": ("ext4", ""),
}
SWITCHES = {key: values for key, values in REACHING.items() if values[1]}


@pytest.fixture(params=REACHING)
def key(request):
    return request.param


@pytest.fixture
def reaching(api, daemon, key, name):
    """A profile of the administrator."""
    profile = name + "-r"
    assert api.post("/1.0/profiles", {"name": profile, "config": {key: REACHING[key][0]}}).status == 201
    yield profile
    remove(daemon, name)
    assert api.delete(f"/1.0/profiles/{profile}").status == 200


@pytest.fixture
def calm(api, daemon, name):
    """A profile of the administrator that takes back what the other gives."""
    profile = name + "-c"
    assert api.post("/1.0/profiles", {"name": profile, "config": {key: off for key, (_, off) in SWITCHES.items()}}).status == 201
    yield profile
    remove(daemon, name)
    assert api.delete(f"/1.0/profiles/{profile}").status == 200


@pytest.fixture
def instance(api, name):
    """One of the administrator's making; `instance(config, profiles)` gives its path."""
    def make(config=None, profiles=("default",)):
        body = {"name": name, "source": {"type": "image", "alias": "bb"}, "config": config or {}, "profiles": list(profiles)}
        api.run("POST", "/1.0/instances", body)
        return f"/1.0/instances/{name}"

    return make


def refused(api, client, path, *requests):
    """None of the requests changes anything."""
    before = api.get(path).metadata
    for method, body in requests:
        assert failed(client, method, path, body), (method, body)
        assert api.get(path).metadata == before, (method, body)


def not_made(api, client, body):
    assert failed(client, "POST", "/1.0/instances", body), body
    assert api.get(f"/1.0/instances/{body['name']}").status == 404


def writable(api, path, **changes):
    current = api.get(path).metadata
    return {field: current[field] for field in ("architecture", "config", "devices", "ephemeral", "profiles", "description")} | changes


def test_r23_a_key_that_is_left_out_of_a_put_is_a_change(api, restricted, instance, key):
    path = instance({key: REACHING[key][0]})
    config = dict(api.get(path).metadata["config"])
    del config[key]
    refused(api, restricted, path, ("PUT", writable(api, path, config=config)), ("PATCH", {"config": {key: ""}}),
            ("PATCH", {"config": {key: None}}))


@pytest.mark.parametrize("key", SWITCHES, indirect=True)
def test_r23_a_key_that_is_left_out_is_the_profiles(api, restricted, instance, reaching, key):
    """The instance says no to what its profile gives; taking the no away is asking for it."""
    path = instance({key: REACHING[key][1]}, ["default", reaching])
    config = dict(api.get(path).metadata["config"])
    del config[key]
    refused(api, restricted, path, ("PUT", writable(api, path, config=config)), ("PUT", writable(api, path, config={})),
            ("PATCH", {"config": {key: ""}}))


@pytest.mark.parametrize("key", SWITCHES, indirect=True)
def test_r23_profiles_are_judged_in_their_order(api, restricted, instance, reaching, calm, key):
    path = instance({}, ["default", reaching, calm])
    refused(api, restricted, path, ("PATCH", {"profiles": ["default", calm, reaching]}), ("PATCH", {"profiles": ["default", reaching]}),
            ("PUT", writable(api, path, profiles=[calm, "default", reaching])))
    assert restricted.patch(path, {"profiles": [reaching, "default", calm]}).status == 200, "it changes nothing that counts"


def test_r23_nor_is_a_profile_taken_away(api, restricted, instance, reaching):
    path = instance({}, ["default", reaching])
    refused(api, restricted, path, ("PATCH", {"profiles": ["default"]}), ("PUT", writable(api, path, profiles=[])))
    unsaid = writable(api, path)
    del unsaid["profiles"]
    refused(api, restricted, path, ("PUT", unsaid))


def test_r23_profiles_that_are_not_named_are_the_default_one(api, restricted, name, key):
    before = api.get("/1.0/profiles/default").metadata
    assert api.patch("/1.0/profiles/default", {"config": {key: REACHING[key][0]}}).status == 200
    try:
        image = {"name": name, "source": {"type": "image", "alias": "bb"}}
        not_made(api, restricted, image)
        not_made(api, restricted, {**image, "profiles": None})
        not_made(api, restricted, {**image, "instance_type": "c1-m1"})
        not_made(api, restricted, {"name": name, "source": {"type": "none"}})
    finally:
        config = {k: v for k, v in before["config"].items() if k != key}
        assert api.put("/1.0/profiles/default", {**before, "config": config}).status == 200


def test_r23_profiles_that_are_not_named_are_the_images(api, restricted, name, reaching):
    """An image brings profiles along; whoever uploaded it gets no more by that."""
    data = tiny_image(name)
    fingerprint = hashlib.sha256(data).hexdigest()
    restricted.run("POST", "/1.0/images", data=data, headers=OCTETS)
    try:
        path = f"/1.0/images/{fingerprint}"
        assert restricted.put(path, {**api.get(path).metadata, "profiles": ["default", reaching]}).status == 200
        not_made(api, restricted, {"name": name, "source": {"type": "image", "fingerprint": fingerprint}})
        not_made(api, restricted, {"name": name, "source": {"type": "image", "fingerprint": fingerprint}, "instance_type": "t2.micro"})
    finally:
        api.run("DELETE", f"/1.0/images/{fingerprint}")


def test_r23_a_copy_brings_what_it_brings(api, restricted, instance, name, key):
    instance({key: REACHING[key][0]})
    copy = {"name": name + "-copy", "source": {"type": "copy", "source": name}}
    not_made(api, restricted, copy)
    not_made(api, restricted, {**copy, "config": {}})
    not_made(api, restricted, {**copy, "config": {"user.a": "b"}, "profiles": ["default"]})


def test_r23_so_do_the_profiles_of_a_copy(api, restricted, instance, name, reaching):
    instance({}, ["default", reaching])
    copy = {"name": name + "-copy", "source": {"type": "copy", "source": name}}
    not_made(api, restricted, copy)
    not_made(api, restricted, {**copy, "profiles": None})


@pytest.mark.parametrize("key", SWITCHES, indirect=True)
def test_r23_a_copy_without_its_no(api, restricted, instance, name, reaching, key):
    instance({key: REACHING[key][1]}, ["default", reaching])
    not_made(api, restricted, {"name": name + "-copy", "config": {key: ""}, "source": {"type": "copy", "source": name}})


@pytest.mark.parametrize("key", SWITCHES, indirect=True)
def test_r23_a_profile_does_not_lose_its_no(api, restricted, instance, reaching, calm, key):
    """A profile is judged as text: what it leaves out another one may give."""
    instance({}, ["default", reaching, calm])
    path = f"/1.0/profiles/{calm}"
    refused(api, restricted, path, ("PUT", {"config": {}, "devices": {}, "description": ""}), ("PUT", {"description": "x"}),
            ("PATCH", {"config": {key: ""}}))
    assert restricted.post(path, {"name": "other"}).status >= 400 or api.post("/1.0/profiles/other", {"name": calm}).status == 201
    assert failed(restricted, "DELETE", path, None)


def test_r23_what_the_server_keeps_is_not_said_by_a_client(api, restricted, instance, name):
    """The map of ids is computed from the keys; a client that says what was computed does not get it."""
    path = instance()
    api.run("PUT", path + "/state", {"action": "start"})
    try:
        usual = api.exec(name, ["cat", "/proc/self/uid_map"])[1].split()
        assert usual[0] == "0" and int(usual[1]) >= 65536
        api.run("PUT", path + "/state", {"action": "stop", "force": True})
        whole = json.dumps([{"Isuid": True, "Isgid": True, "Hostid": 0, "Nsid": 0, "Maprange": 4294967295}])
        for change in ({"volatile.idmap.next": whole}, {"volatile.idmap.base": "0"}, {"volatile.last_state.idmap": "[]"},
                       {"volatile.idmap.current": whole}):
            restricted.patch(path, {"config": change})
            api.run("PUT", path + "/state", {"action": "start"}, ok=False)
            if api.get(path).metadata["status"] == "Running":
                assert api.exec(name, ["cat", "/proc/self/uid_map"])[1].split() == usual, change
                api.run("PUT", path + "/state", {"action": "stop", "force": True})
    finally:
        api.run("PUT", path + "/state", {"action": "stop", "force": True}, ok=False)
