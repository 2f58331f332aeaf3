# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml and templates of an instance: read, changed, applied at starts, copies of hostile images refused."""
import os

import pytest

OCTETS = {"Content-Type": "application/octet-stream"}


def header(reply, name):
    """Servers spell them differently."""
    return {key.lower(): value for key, value in reply.headers.items()}[name.lower()]


def volume(daemon, instance):
    return daemon.dir / "storage-pools/default/containers" / instance


def set_template(api, instance, target, text, **rule):
    """A template `x.tpl` with `text` for `target`."""
    assert api.post(f"/1.0/instances/{instance}/metadata/templates?path=x.tpl", data=text, headers=OCTETS).status == 200
    rule = {"when": ["start"], "template": "x.tpl", **rule}
    api.run("PATCH", f"/1.0/instances/{instance}/metadata", {"templates": {target: rule}})


def state(api, instance, action):
    return api.run("PUT", f"/1.0/instances/{instance}/state", {"action": action, "force": True}, ok=False)


def file_text(api, instance, path):
    reply = api.get(f"/1.0/instances/{instance}/files?path={path}")
    return reply.body.decode() if reply.status == 200 else None


def test_metadata_is_read_replaced_and_added_to(api, container):
    url = f"/1.0/instances/{container}/metadata"
    before = api.get(url)
    assert before.status == 200 and header(before, "ETag")
    assert before.metadata["creation_date"] == 1700000000 and before.metadata["properties"]["os"] == "Busybox"
    assert before.metadata["templates"]["/etc/hostname"] == {
        "when": ["create", "copy", "rename"], "create_only": False, "template": "hostname.tpl", "properties": None}
    api.run("PUT", url, {"architecture": "x86_64", "creation_date": 1, "properties": {"a": "b"}})
    assert api.get(url).metadata == {"architecture": "x86_64", "creation_date": 1, "expiry_date": 0,
                                     "properties": {"a": "b"}, "templates": {}}
    api.run("PATCH", url, {"properties": {"c": "d"}, "templates": {"/x": {"when": ["copy"]}}})
    after = api.get(url).metadata
    assert after["creation_date"] == 1 and after["properties"] == {"a": "b", "c": "d"}
    assert after["templates"] == {"/x": {"when": ["copy"], "create_only": False, "template": "", "properties": {}}}


def test_the_etag_of_metadata_is_that_of_lxd_and_is_checked(api, container):
    url = f"/1.0/instances/{container}/metadata"
    api.run("PUT", url, {})
    etag = header(api.get(url), "ETag")
    assert etag.strip('"') == "6d35d18d1feb48a2dd81e16ef39efd64b2b92402eeffc26d95f186f7b7413069"
    assert api.patch(url, {"creation_date": 2}, headers={"If-Match": "other"}).status == 412
    assert api.patch(url, {"creation_date": 2}, headers={"If-Match": etag}).status == 200
    api.run("PUT", url, {"templates": {"/etc/foo": {"when": ["start"], "template": "foo.tpl", "create_only": True,
                                                    "properties": {"k": "v"}}},
                         "architecture": "x86_64", "creation_date": 1, "properties": {"a": "b"}})
    assert header(api.get(url), "ETag").strip('"') == "d11dd4956831f93d356631932b4a947ca11fdcab3cd1338078ee04e8849f6d08"


@pytest.mark.ours
def test_a_stale_etag_stops_a_replacement_too(api, container):
    """LXD 5.0.2 documents this for PUT and does not look."""
    assert api.put(f"/1.0/instances/{container}/metadata", {}, headers={"If-Match": "other"}).status == 412


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"architecture": 5}', b'{"properties": {"a": 1}}', b'{"templates": []}'])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_metadata_of_a_wrong_shape_changes_nothing(api, container, method, body):
    url = f"/1.0/instances/{container}/metadata"
    before = api.get(url).metadata
    assert api.request(method, url, data=body, headers={"Content-Type": "application/json"}).status == 400
    assert api.get(url).metadata == before


def test_a_template_for_renames_is_applied_at_the_next_start(api, container):
    set_template(api, container, "/etc/renamed", "{{ trigger }} {{ container.name }} {{ instance.name }}", when=["rename"])
    state(api, container, "start")
    assert file_text(api, container, "/etc/renamed") is None
    state(api, container, "stop")
    renamed = container + "-r"
    api.run("POST", f"/1.0/instances/{container}", {"name": renamed})
    try:
        assert api.get(f"/1.0/instances/{renamed}").metadata["config"]["volatile.apply_template"] == "rename"
        state(api, renamed, "start")
        assert file_text(api, renamed, "/etc/renamed") == f"rename {renamed} {renamed}"
        assert file_text(api, renamed, "/etc/hostname").strip() == renamed
        assert "volatile.apply_template" not in api.get(f"/1.0/instances/{renamed}").metadata["config"]
    finally:
        state(api, renamed, "stop")
        api.run("POST", f"/1.0/instances/{renamed}", {"name": container})


def test_templates_are_listed_made_replaced_and_deleted(api, running):
    url = f"/1.0/instances/{running}/metadata/templates"
    assert api.get(url).metadata == ["hostname.tpl"]
    for text in (b"one", b"a longer text", b"2"):
        assert api.post(f"{url}?path=x.tpl", data=text, headers=OCTETS).status == 200
        assert api.get(f"{url}?path=x.tpl").body == text
    assert api.get(url).metadata == ["hostname.tpl", "x.tpl"]
    assert header(api.get(f"{url}?path=x.tpl"), "Content-Type") == "application/octet-stream"
    assert api.delete(f"{url}?path=x.tpl").status == 200
    gone = api.delete(f"{url}?path=x.tpl")
    assert (gone.status, gone.error) == (404, 'Template "x.tpl" not found')
    assert (api.get(f"{url}?path=x.tpl").status, api.get(url).metadata) == (404, ["hostname.tpl"])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["a/b", "../metadata.yaml", "..%2Fmetadata.yaml", "/etc/passwd", pytest.param("..", marks=pytest.mark.ours)])
def test_r1_names_of_templates_are_no_paths(api, daemon, container, method, path):
    before = (volume(daemon, container) / "metadata.yaml").read_bytes()
    reply = api.request(method, f"/1.0/instances/{container}/metadata/templates?path={path}", headers=OCTETS,
                        data=b"x" if method == "POST" else None)
    assert reply.status >= 400
    assert (volume(daemon, container) / "metadata.yaml").read_bytes() == before


def test_templates_need_a_path_and_an_instance(api, container):
    url = f"/1.0/instances/{container}/metadata/templates"
    for reply in (api.post(url, data=b"x", headers=OCTETS), api.delete(url)):
        assert (reply.status, reply.error) == (400, "missing path argument")
    for path in ("metadata", "metadata/templates", "metadata/templates?path=x"):
        assert api.get(f"/1.0/instances/nobody/{path}").status == 404
    assert api.post("/1.0/instances/nobody/metadata/templates?path=x", data=b"x", headers=OCTETS).status == 404
    assert api.put("/1.0/instances/nobody/metadata", {}).status == 404


@pytest.mark.ours
@pytest.mark.parametrize("plant", ["link", "hardlink", "fifo", "device", "directory"])
def test_r2_metadata_that_is_no_file_is_refused(api, daemon, container, canary, plant):
    path, url = volume(daemon, container) / "metadata.yaml", f"/1.0/instances/{container}/metadata"
    path.unlink()
    {"link": lambda: path.symlink_to(canary / "secret"), "hardlink": lambda: path.hardlink_to(volume(daemon, container) / "templates/hostname.tpl"),
     "fifo": lambda: os.mkfifo(path), "device": lambda: os.mknod(path, 0o20666, os.makedev(1, 3)), "directory": path.mkdir}[plant]()
    before = path.lstat()
    for reply in (api.get(url), api.put(url, {}), api.patch(url, {"properties": {"a": "b"}})):
        assert reply.status == 400 and b"canary-secret" not in reply.body
    assert path.lstat().st_ino == before.st_ino


@pytest.mark.ours
@pytest.mark.parametrize("plant", ["link", "fifo", "file"])
def test_r2_templates_that_are_no_directory_are_refused(api, daemon, container, canary, plant):
    path, url = volume(daemon, container) / "templates", f"/1.0/instances/{container}/metadata/templates"
    path.rename(path.with_name("old"))
    {"link": lambda: path.symlink_to(canary), "fifo": lambda: os.mkfifo(path), "file": path.touch}[plant]()
    replies = [api.get(url), api.get(f"{url}?path=secret"), api.post(f"{url}?path=x", data=b"y", headers=OCTETS),
               api.post(f"{url}?path=secret", data=b"y", headers=OCTETS), api.delete(f"{url}?path=secret")]
    for reply in replies:
        assert reply.status == 400 and b"canary-secret" not in reply.body


@pytest.mark.ours
@pytest.mark.parametrize("plant", ["link", "hardlink", "fifo", "device"])
def test_r2_templates_that_are_no_files_are_refused(api, daemon, container, canary, plant):
    folder, url = volume(daemon, container) / "templates", f"/1.0/instances/{container}/metadata/templates"
    path = folder / "odd"
    {"link": lambda: path.symlink_to(canary / "secret"), "hardlink": lambda: path.hardlink_to(folder / "hostname.tpl"),
     "fifo": lambda: os.mkfifo(path), "device": lambda: os.mknod(path, 0o60666, os.makedev(7, 0))}[plant]()
    for reply in (api.get(f"{url}?path=odd"), api.post(f"{url}?path=odd", data=b"y", headers=OCTETS), api.delete(f"{url}?path=odd")):
        assert reply.status == 400 and b"canary-secret" not in reply.body
    set_template(api, container, "/etc/odd", b"good")
    api.run("PATCH", f"/1.0/instances/{container}/metadata", {"templates": {"/etc/odd": {"when": ["start"], "template": "odd"}}})
    state(api, container, "start")
    assert "canary" not in (file_text(api, container, "/etc/odd") or "")


def test_a_missing_metadata_file_and_folder_are_empty(api, daemon, container):
    path = volume(daemon, container)
    (path / "metadata.yaml").unlink()
    (path / "templates").rename(path / "old")
    assert api.get(f"/1.0/instances/{container}/metadata").metadata["architecture"] == ""
    assert api.get(f"/1.0/instances/{container}/metadata/templates").metadata == []
    set_template(api, container, "/etc/made", b"{{ container.name }}")
    state(api, container, "start")
    assert file_text(api, container, "/etc/made") == container


def test_values_properties_and_config_are_filled_in(api, container):
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.greeting": "hello"}})
    set_template(api, container, "/etc/deep/er/made", b"{{ trigger }} {{ path }} {{ properties.p }} {{ config_get('user.greeting', '') }} "
                 b"{{ container.privileged }} {{ 1 == 2 }}{% if container.privileged %} text{% endif %}", properties={"p": "q"})
    state(api, container, "start")
    assert file_text(api, container, "/etc/deep/er/made") == "start /etc/deep/er/made q hello false False text"


def test_create_only_leaves_what_is_there(api, container):
    set_template(api, container, "/etc/made", b"{{ config_get('user.x', 'first') }}", create_only=True)
    state(api, container, "start")
    assert file_text(api, container, "/etc/made") == "first"
    state(api, container, "stop")
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.x": "second"}})
    state(api, container, "start")
    assert file_text(api, container, "/etc/made") == "first"


def test_each_start_writes_again_and_only_the_named_triggers_do(api, container):
    set_template(api, container, "/etc/made", b"{{ config_get('user.x', 'first') }}")
    api.run("PATCH", f"/1.0/instances/{container}/metadata", {"templates": {"/etc/never": {"when": ["copy"], "template": "x.tpl"}}})
    for value in ("one", "two"):
        api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.x": value}})
        state(api, container, "start")
        assert file_text(api, container, "/etc/made") == value and file_text(api, container, "/etc/never") is None
        state(api, container, "stop")


def test_a_file_that_a_template_makes_belongs_to_root_of_the_instance(api, container):
    set_template(api, container, "/etc/new/made", b"x")
    state(api, container, "start")
    for path in ("/etc/new", "/etc/new/made"):
        reply = api.request("HEAD", f"/1.0/instances/{container}/files?path={path}")
        assert (header(reply, "X-LXD-uid"), header(reply, "X-LXD-gid")) == ("0", "0")
    assert header(api.request("HEAD", f"/1.0/instances/{container}/files?path=/etc/new/made"), "X-LXD-mode") == "0644"


@pytest.mark.ours
@pytest.mark.parametrize("text", [
    b'{% include "/etc/passwd" %}', b'{% ssi "/etc/shadow" %}', b'{% import "/etc/passwd" x %}', b"{{ open('/etc/passwd') }}",
    b"{% for a in '" + b"x" * 1000 + b"' %}{% endfor %}", b"{% if a %}" * 100 + b"{% endif %}" * 100, b"{{ " + b"(" * 3000 + b" }}"])
def test_r4_templates_read_no_files_and_are_bounded(api, container, text):
    set_template(api, container, "/etc/made", text)
    failed = state(api, container, "start")
    assert failed["status_code"] == 400 and "Failed to render template" in failed["err"]
    assert file_text(api, container, "/etc/made") in (None, "")


@pytest.mark.ours
def test_r4_output_and_templates_are_at_most_a_mebibyte(api, container):
    url = f"/1.0/instances/{container}/metadata/templates?path=x.tpl"
    assert api.post(url, data=b"x" * ((1 << 20) + 1), headers=OCTETS).status == 413
    api.run("PATCH", f"/1.0/instances/{container}", {"config": {"user.x": "y" * 60000}})
    set_template(api, container, "/etc/made", b"{{ config_get('user.x', '') }}" * 20)
    failed = state(api, container, "start")
    assert failed["status_code"] == 400 and "output too large" in failed["err"]


@pytest.mark.ours
@pytest.mark.parametrize("target", ["/../../../../../../{out}/made", "/etc/lnk/made", "/etc/lnk", "/../made", ".."])
def test_r1_targets_stay_in_the_root(api, daemon, container, canary, target):
    root = volume(daemon, container) / "rootfs"
    (root / "etc/lnk").symlink_to(canary)
    set_template(api, container, target.format(out=str(canary).lstrip("/")), b"out")
    state(api, container, "start")
    assert not (volume(daemon, container) / "made").exists()
    assert sorted(p.name for p in canary.iterdir()) == ["secret"]


def test_the_stock_client_edits_metadata_and_templates(daemon, container):
    lxc = daemon.lxc
    shown = lxc("config", "metadata", "show", container)
    assert "hostname.tpl" in str(shown)
    lxc("config", "metadata", "edit", container, input="architecture: x86_64\ncreation_date: 7\nproperties: {os: mine}\ntemplates: {}\n")
    assert daemon.api.get(f"/1.0/instances/{container}/metadata").metadata["properties"] == {"os": "mine"}
    lxc("config", "template", "create", container, "new.tpl")
    lxc("config", "template", "edit", container, "new.tpl", input="text {{ trigger }}\n")
    assert "text {{ trigger }}" in str(lxc("config", "template", "show", container, "new.tpl"))
    assert "new.tpl" in str(lxc("config", "template", "list", container))
    lxc("config", "template", "delete", container, "new.tpl")
    assert daemon.api.get(f"/1.0/instances/{container}/metadata/templates").metadata == ["hostname.tpl"]
