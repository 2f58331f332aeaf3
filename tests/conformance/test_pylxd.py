# SPDX-License-Identifier: Apache-2.0
"""pylxd, unchanged, over the unix socket."""
import os
import urllib.parse

import pytest

pylxd = pytest.importorskip("pylxd")


@pytest.fixture
def client(daemon):
    return pylxd.Client(endpoint="http+unix://" + urllib.parse.quote(daemon.socket, safe=""))


def test_server_and_lists(client, daemon):
    assert client.trusted and client.host_info["api_version"] == "1.0"
    assert "default" in [p.name for p in client.profiles.all()]
    assert daemon.bridge in [n.name for n in client.networks.all() if n.managed]
    assert "default" in [p.name for p in client.storage_pools.all()]
    assert client.images.get_by_alias("bb").properties["os"] == "Busybox"


def test_life_of_an_instance(client, name):
    instances = getattr(client, "instances", None) or client.containers  # its name before pylxd 2.2.11
    instance = instances.create({"name": name, "source": {"type": "image", "alias": "bb"}}, wait=True)
    assert instance.status == "Stopped"
    instance.start(wait=True)
    instance.sync()
    assert instance.status == "Running" and instance.state().pid > 0
    result = instance.execute(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    blob = os.urandom(200_000)
    instance.files.put("/root/blob", blob)
    assert instance.files.get("/root/blob") == blob
    instance.config["user.pylxd"] = "yes"
    instance.save(wait=True)
    assert instances.get(name).config["user.pylxd"] == "yes"
    instance.freeze(wait=True)
    instance.unfreeze(wait=True)
    instance.stop(force=True, wait=True)
    instance.delete(wait=True)
    with pytest.raises(pylxd.exceptions.NotFound):
        instances.get(name)


def test_profiles_and_images(client, name):
    profile = client.profiles.create(name, config={"user.a": "b"})
    profile.description = "changed"
    profile.save()
    assert client.profiles.get(name).description == "changed"
    profile.delete()
    image = client.images.get_by_alias("bb")
    with image.export() as exported:
        assert len(exported.read()) == image.size


def test_errors_carry_the_text_of_the_server(client):
    with pytest.raises(pylxd.exceptions.NotFound, match="not found"):
        client.profiles.get("no-such-profile")
    with pytest.raises(pylxd.exceptions.LXDAPIException, match="Unknown configuration key"):
        client.profiles.create("bad", config={"no.such": "1"})
