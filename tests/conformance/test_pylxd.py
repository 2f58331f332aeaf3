# SPDX-License-Identifier: Apache-2.0
"""pylxd, unchanged, over the unix socket and over HTTPS: a test for each kind of thing that programs do with it."""
import json
import os
import pathlib
import ssl
import urllib.parse

import pytest

from daemons import make_certificate

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


@pytest.fixture
def instances(client):
    return getattr(client, "instances", None) or client.containers


@pytest.fixture
def stopped(instances, name):
    return instances.create({"name": name, "source": {"type": "image", "alias": "bb"}}, wait=True)


@pytest.fixture
def started(stopped):
    stopped.start(wait=True)
    stopped.sync()
    return stopped


def test_snapshots_are_made_restored_renamed_and_removed(stopped):
    stopped.files.put("/root/a", b"then")
    snapshot = stopped.snapshots.create("one", wait=True)
    assert snapshot.name == "one" and [s.name for s in stopped.snapshots.all()] == ["one"]
    stopped.files.put("/root/a", b"now")
    stopped.restore_snapshot("one", wait=True)
    assert stopped.files.get("/root/a") == b"then"
    snapshot.rename("two", wait=True)
    assert stopped.snapshots.get("two").stateful is False
    stopped.snapshots.get("two").delete(wait=True)
    assert stopped.snapshots.all() == []


def test_instances_and_snapshots_are_published(client, stopped, instances, name):
    stopped.files.put("/root/a", b"of the snapshot")
    snapshot = stopped.snapshots.create("one", wait=True)
    stopped.files.put("/root/a", b"of the instance")
    for source, content in ((stopped, b"of the instance"), (snapshot, b"of the snapshot")):
        image = source.publish(wait=True)
        image.add_alias(name, "of tests")
        assert client.images.exists(image.fingerprint) and client.images.exists(name, alias=True)
        other = instances.create({"name": name + "-i", "source": {"type": "image", "alias": name}}, wait=True)
        assert other.files.get("/root/a") == content
        other.delete(wait=True)
        image.sync()
        image.delete_alias(name)
        image.delete(wait=True)
        assert not client.images.exists(name, alias=True)


def test_an_image_is_exported_imported_and_changed(client, stopped):
    image = stopped.publish(wait=True)
    with image.export() as exported:
        data = exported.read()
    with pytest.raises(pylxd.exceptions.LXDAPIException):
        client.images.create(data, wait=True)  # it is there already
    image.delete(wait=True)
    again = client.images.create(data, public=False, wait=True)
    assert again.fingerprint == image.fingerprint
    again.properties["note"] = "of pylxd"
    again.save(wait=True)
    assert client.images.get(image.fingerprint).properties["note"] == "of pylxd"
    again.delete(wait=True)


def test_events_tell_of_a_new_profile(client, name):
    from ws4py.client import WebSocketBaseClient

    class Seen(WebSocketBaseClient):
        actions = []

        def handshake_ok(self):
            pass

        def received_message(self, message):
            event = json.loads(message.data.decode())
            self.actions.append((event["metadata"]["action"], event["metadata"]["source"]))
            self.close()

    events = client.events(websocket_client=Seen, event_types={pylxd.EventType.Lifecycle})
    events.connect()
    profile = client.profiles.create(name)
    try:
        events.run()
    finally:
        profile.delete()
    assert Seen.actions == [("profile-created", f"/1.0/profiles/{name}")]


def test_networks_are_made_changed_and_removed(client, daemon):
    network_name = daemon.bridge[:12] + "p"
    network = client.networks.create(network_name, description="of tests", type="bridge",
                                     config={"ipv4.address": "none", "ipv6.address": "none"})
    try:
        assert network.managed and network.type == "bridge" and client.networks.exists(network_name)
        network.description = "changed"
        network.config["user.a"] = "1"
        network.save()
        again = client.networks.get(network_name)
        assert (again.description, again.config["user.a"]) == ("changed", "1")
    finally:
        network.delete()
    assert not client.networks.exists(network_name)


def test_pools_and_volumes_are_made_changed_and_removed(client, name):
    pool = client.storage_pools.create({"name": name, "driver": "dir", "config": {}})
    try:
        assert client.storage_pools.exists(name) and pool.driver == "dir"
        pool.description = "changed"
        pool.save(wait=True)
        assert client.storage_pools.get(name).description == "changed"
        assert pool.resources.get().space["total"] > 0
        volume = pool.volumes.create({"name": "v", "type": "custom", "config": {}}, wait=True)
        volume.config["user.a"] = "1"
        volume.save(wait=True)
        assert pool.volumes.get("custom", "v").config["user.a"] == "1"
        volume.rename({"name": "w", "pool": name})
        assert [v.name for v in pool.volumes.all()] == ["w"]
        pool.volumes.get("custom", "w").delete()
        assert pool.volumes.all() == []
    finally:
        pool.delete()


def test_profiles_are_renamed_and_used(client, instances, name):
    profile = client.profiles.create(name, config={"user.a": "b"}, devices={"n": {"type": "none"}})
    profile.rename(name + "-x")
    assert client.profiles.exists(name + "-x") and not client.profiles.exists(name)
    profile = client.profiles.get(name + "-x")
    assert profile.devices == {"n": {"type": "none"}}
    instance = instances.create({"name": name, "profiles": ["default", profile.name],
                                 "source": {"type": "image", "alias": "bb"}}, wait=True)
    assert instance.expanded_config["user.a"] == "b"
    profile.sync()
    assert [url.rsplit("/", 1)[1] for url in profile.used_by] == [name]
    instance.delete(wait=True)
    profile.delete()


def test_files_are_put_with_owners_and_whole_directories(started, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"\x00\xff")
    (tmp_path / "top").write_text("text")
    started.files.recursive_put(str(tmp_path), "/root/tree", mode=0o750, uid=1, gid=2)
    assert started.files.get("/root/tree/d/f") == b"\x00\xff" and started.files.get("/root/tree/top") == b"text"
    started.files.put("/root/one", "text", mode=0o604, uid=5, gid=6)
    assert started.execute(["stat", "-c", "%a %u %g", "/root/one"]).stdout == "604 5 6\n"
    assert started.execute(["stat", "-c", "%u %g", "/root/tree/d"]).stdout == "1 2\n"
    assert started.files.delete_available()
    started.files.delete("/root/one")
    with pytest.raises(pylxd.exceptions.NotFound):
        started.files.get("/root/one")


def test_commands_get_input_and_environment_and_give_output_piece_by_piece(started):
    pieces = []
    result = started.execute(["sh", "-c", "cat; echo $WORD >&2"], environment={"WORD": "a b"}, stdin_payload="typed\n",
                             stderr_handler=pieces.append)
    assert (result.exit_code, result.stdout) == (0, "typed\n") and "".join(pieces) == "a b\n"
    raw = started.execute(["printf", "\\377"], decode=False)
    assert b"".join(raw.stdout) if isinstance(raw.stdout, list) else raw.stdout == b"\xff"
    assert started.execute(["sh", "-c", "kill -9 $$"]).exit_code == 137


def test_an_interactive_command_has_its_websockets(started, daemon):
    from ws4py.client import WebSocketBaseClient

    class Terminal(WebSocketBaseClient):
        shown = b""

        def handshake_ok(self):
            pass

        def received_message(self, message):
            Terminal.shown += message.data

    urls = started.raw_interactive_execute(["sh", "-c", "test -t 0 && echo a terminal"])
    assert set(urls) == {"ws", "control"}
    sockets = []
    for resource, kind in ((urls["control"], WebSocketBaseClient), (urls["ws"], Terminal)):
        socket = kind("ws+unix://" + daemon.socket)
        socket.resource = resource
        socket.handshake_ok = lambda: None
        socket.connect()
        sockets.append(socket)
    sockets[1].run()
    assert b"a terminal" in Terminal.shown


def test_copies_are_made_of_instances(instances, stopped, name):
    stopped.files.put("/root/a", b"copied")
    copy = instances.create({"name": name + "-c", "profiles": stopped.profiles,
                             "source": {"type": "copy", "source": name}}, wait=True)
    assert copy.files.get("/root/a") == b"copied"
    copy.rename(name + "-d", wait=True)
    assert instances.exists(name + "-d") and not instances.exists(name + "-c")
    instances.get(name + "-d").delete(wait=True)


def test_changes_are_rolled_back_and_read_again(client, stopped):
    stopped.description = "mine"
    assert stopped.dirty
    stopped.rollback()
    assert not stopped.dirty and stopped.description == ""
    stopped.description = "kept"
    stopped.save(wait=True)
    stopped.sync()
    assert stopped.description == "kept"
    assert client.has_api_extension("storage") and not client.has_api_extension("no-such-extension")


def test_a_stranger_authenticates_over_https(daemon, tmp_path, monkeypatch):
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would count more than verify=False
        monkeypatch.delenv(variable, raising=False)
    cert = make_certificate(tmp_path, "pylxd")
    client = pylxd.Client(endpoint="https://" + daemon.address, cert=cert, verify=False)
    assert not client.trusted
    with pytest.raises(pylxd.exceptions.LXDAPIException):
        client.authenticate("wrong")
    client.authenticate("sekret")
    assert client.trusted and "default" in [p.name for p in client.profiles.all()]
    [own] = [c for c in client.certificates.all() if "-----" in c.certificate and
             ssl.PEM_cert_to_DER_cert(c.certificate) == ssl.PEM_cert_to_DER_cert(pathlib.Path(cert[0]).read_text())]
    assert client.certificates.get(own.fingerprint).type == "client"
    own.delete()
