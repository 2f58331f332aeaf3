# SPDX-License-Identifier: Apache-2.0
"""Metadata, templates, metrics, the trust store, names of images, all instances at once; in process, over the unix socket
and over HTTPS."""
import base64
import json
import pathlib
import time
import uuid

import pytest

import lxdcore

from conftest import make_certificate


@pytest.fixture
def instance(connection):
    """One that does not run."""
    instance = connection.instances.create("py-" + uuid.uuid4().hex[:8], image="bb")
    yield instance
    instance.delete().result()


def test_metadata_is_read_changed_and_replaced(instance):
    metadata = instance.metadata
    assert metadata.data["architecture"] and isinstance(metadata.properties, dict)
    assert metadata.update(properties={"of": "tests"}).properties["of"] == "tests"
    whole = {**metadata.data, "properties": {"other": "one"}}
    assert metadata.replace(whole).properties == {"other": "one"}
    assert instance.metadata.properties == {"other": "one"}


def test_templates_are_written_read_and_applied(instance):
    assert "t.tpl" not in instance.templates
    instance.templates.write("t.tpl", b"name: {{ container.name }}\n")
    assert "t.tpl" in instance.templates and instance.templates.read("t.tpl") == b"name: {{ container.name }}\n"
    instance.metadata.update(templates={"/root/made": {"when": ["start"], "template": "t.tpl"}})
    assert "/root/made" in instance.metadata.templates
    instance.start()
    assert instance.files.read("/root/made").decode() == f"name: {instance.name}\n"
    instance.stop(force=True)
    instance.templates.delete("t.tpl")
    assert list(instance.templates) == instance.templates.names() and "t.tpl" not in instance.templates
    with pytest.raises(lxdcore.NotFoundError):
        instance.templates.read("t.tpl")


def test_metrics_name_running_instances(connection, container):
    end = time.monotonic() + 60
    while f'name="{container.name}"' not in (text := connection.server.metrics()) and time.monotonic() < end:
        time.sleep(0.5)  # they are some seconds old
    assert f'name="{container.name}"' in text and text.rstrip().endswith("# EOF")
    assert container.name not in connection.server.metrics(["other"])


def test_all_instances_are_changed_at_once(connection, container, instance):
    connection.instances.begin_all("freeze").result()
    assert container.refresh().status == "Frozen" and instance.refresh().status == "Stopped"
    connection.instances.begin_all("unfreeze").result()
    assert container.refresh().status == "Running"


def test_a_name_of_an_image_is_described_moved_and_renamed(connection):
    image = connection.images.get("bb")
    alias = image.add_alias("py-one")
    assert alias.update(description="of tests").description == "of tests"
    assert alias.update(target=image).target == image.fingerprint and alias.description == "of tests"
    assert alias.rename("py-two").name == "py-two"
    assert "py-two" in connection.images and "py-one" not in connection.images
    alias.delete()
    assert "py-two" not in connection.images


def test_an_image_that_was_uploaded_has_no_source(connection):
    with pytest.raises(lxdcore.Error, match="source not found"):
        connection.images.get("bb").update_from_source().result()


def test_a_secret_lets_somebody_read_an_image(connection):
    assert len(connection.images.get("bb").create_secret()) >= 32


def test_a_trusted_certificate_is_found_and_changed(connection, tmp_path):
    crt, _ = make_certificate(tmp_path, "changed")
    entry = connection.server.add_certificate(pathlib.Path(crt).read_text(), name="one")
    assert connection.server.certificate(entry.fingerprint[:16]) == entry
    changed = entry.update(name="two", restricted=True, projects=["default"])
    assert (changed.name, changed.restricted, changed.projects) == ("two", True, ["default"])
    assert connection.server.certificate(entry.fingerprint).name == "two"
    entry.delete()
    with pytest.raises(lxdcore.NotFoundError):
        connection.server.certificate(entry.fingerprint)


def test_a_token_lets_one_stranger_in(https_client, shared_client, daemon, tmp_path):
    for issuer in (shared_client, https_client):
        folder = tmp_path / str(id(issuer))
        folder.mkdir()
        crt, key = make_certificate(folder, "guest")
        token = issuer.server.issue_token("guest")
        assert json.loads(base64.b64decode(str(token)))["client_name"] == "guest"
        with lxdcore.Client(https_client._url, certificate=crt, key=key,
                            server_certificate=daemon.dir / "server.crt") as guest:
            guest.trust(str(token))
            assert isinstance(guest.instances.names(), list)
            [entry] = [c for c in shared_client.server.certificates() if c.name == "guest"]
            entry.delete()
            with pytest.raises(lxdcore.Error):
                guest.trust(str(token))


def test_a_token_is_revoked(https_client, shared_client, daemon, tmp_path):
    crt, key = make_certificate(tmp_path, "late")
    token = shared_client.server.issue_token("late")
    token.revoke()
    with lxdcore.Client(https_client._url, certificate=crt, key=key,
                        server_certificate=daemon.dir / "server.crt") as guest:
        with pytest.raises(lxdcore.Error):
            guest.trust(str(token))


def test_who_cannot_be_reached_issues_no_token(shared_core):
    with pytest.raises(lxdcore.Error):
        shared_core.server.issue_token("nobody")


def test_a_log_is_read_and_removed(instance):
    instance.start()
    instance.stop(force=True)
    names = instance.logs()
    assert "lxc.log" in names and isinstance(instance.read_log("lxc.log"), bytes)


def test_names_that_are_not_utf8_are_listed_and_used(connection, container):
    container.exec(["sh", "-c", r"cd /root && mkdir d && printf x > d/$(printf 'a\377b') && ln -s $(printf 'c\376') d/link"],
                   check=True)
    [name, link] = container.files.list("/root/d")
    assert link == "link"
    if isinstance(connection, lxdcore.Client):
        assert name == "a\ufffdb"  # JSON cannot say it
        name = "a\udcffb"
    assert name.encode("utf-8", "surrogateescape") == b"a\xffb"
    assert container.files.read(f"/root/d/{name}") == b"x"
    assert container.files.read("/root/d/link") == b"c\xfe"
    container.files.write(f"/root/d/{name}2", b"y")
    container.files.delete(f"/root/d/{name}")
    assert container.exec(["sh", "-c", "cat /root/d/a*2"], check=True).stdout == b"y"
