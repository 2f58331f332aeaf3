# SPDX-License-Identifier: Apache-2.0
"""Lists: filter=, recursion= and all-projects=, with the answers that a real LXD gives."""
import urllib.parse

import pytest

NAMES = ("lists-a", "lists-b")


@pytest.fixture(scope="module")
def lists(shared_daemon):
    """Two stopped instances and a custom volume."""
    api = shared_daemon.api
    for name, foo in zip(NAMES, ("Bar", "baz")):
        source = {"type": "image", "alias": "bb"}
        api.run("POST", "/1.0/instances", {"name": name, "source": source, "config": {"user.foo": foo}})
    yield api
    for name in NAMES:
        api.run("DELETE", f"/1.0/instances/{name}")


@pytest.fixture(scope="module")
def image(shared_daemon):
    return shared_daemon.api.get("/1.0/images/aliases/bb").metadata["target"]


def found(api, path, text, **query):
    """Names that are ours, sorted, or the error."""
    reply = api.get(path + "?" + urllib.parse.urlencode({"filter": text, **query})).json
    if reply["error"]:
        return reply["error"]
    urls = [entry if isinstance(entry, str) else entry["name"] for entry in reply["metadata"]]
    return sorted(name[-1] for name in (url.rsplit("/", 1)[-1] for url in urls) if name.startswith("lists-"))


FILTERS = {
    "config.user.foo eq bar": "a", "config.user.foo ne bar": "b", "user.foo eq bar": "", "config.nosuch ne x": "ab",
    "expanded_config.image.os eq .*": "ab", "expanded_devices.root.path eq /": "ab", "devices.root.path eq /": "",
    "name eq lists-a": "a", "name eq LISTS-A": "a", "name eq lists.*": "ab", "name eq ists-a": "", "status eq stopped": "ab",
    "status_code eq 102": "", "status_code ne 102": "ab", "ephemeral eq false": "", "ephemeral ne true": "ab",
    "profiles eq default": "", "config eq x": "", "config ne x": "ab", "nosuch eq x": "", "nosuch ne x": "ab",
    "a.b.c ne x": "ab", "description eq ^$": "ab", "name eq lists-a or name eq lists-b": "ab",
    "name eq lists-a or name eq x and status eq running": "", "not name eq lists-a": "b", "NOT name eq lists-a": "b",
    'name eq "lists-a x" or name eq lists-b': "b", "name foo lists-a": "a", "name NE lists-a": "a",
    r"name eq lists-[ab]": "ab", r"name eq lists-\w": "ab", "name eq (lists-a|x)": "a", "name eq (?:lists)-a": "a",
    "name eq .+?-a": "a", "name eq [": "", "name ne [": "ab", "name eq (": "", r"name eq \blists-a": "a", "": "ab",
    "name\teq\tlists-a": "a",
}
ERRORS = {
    "x": "clause has no operator", "name eq": "clause has no value", "not": "incomplete not clause",
    "not name": "clause has no operator", "name eq a b": "invalid clause composition",
    "name eq a xor name eq b": "invalid clause composition", "name eq a AND name eq b": "invalid clause composition",
    "not not name eq a": "invalid clause composition", "name eq a and": "unterminated compound clause",
    "name eq a or": "unterminated compound clause", "name eq a and not": "incomplete not clause",
    'name eq "a': "unterminated quote", 'name eq "a"': "unterminated quote", 'name eq ""': "unterminated quote",
}
COLLECTIONS = ["/1.0/instances", "/1.0/images", "/1.0/storage-pools/default/volumes",
               "/1.0/storage-pools/default/volumes/custom", "/1.0/warnings"]
UNFILTERED = ["/1.0/profiles", "/1.0/networks", "/1.0/storage-pools", "/1.0/certificates", "/1.0/projects",
              "/1.0/images/aliases"]


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_finds_what_lxd_finds(lists, text):
    for recursion in (0, 1):
        assert found(lists, "/1.0/instances", text, recursion=recursion) == list(FILTERS[text])


@pytest.mark.parametrize("text", ERRORS)
def test_a_bad_filter_is_refused_wherever_there_are_filters(lists, text):
    for path in COLLECTIONS:
        context = "Failed to filter warnings" if path == "/1.0/warnings" else "Invalid filter"
        for recursion in (0, 1):
            reply = lists.get(path + "?" + urllib.parse.urlencode({"filter": text, "recursion": recursion}))
            assert (reply.status, reply.error) == (500, f"{context}: {ERRORS[text]}"), path


def test_other_lists_ignore_a_filter(lists):
    for path in UNFILTERED:
        reply = lists.get(path + "?filter=broken")
        assert (reply.status, reply.metadata) == (200, lists.get(path).metadata), path


def test_volumes_and_images_are_filtered(lists, image):
    for path in ("/1.0/storage-pools/default/volumes", "/1.0/storage-pools/default/volumes/container"):
        assert found(lists, path, "name eq .*-b") == ["b"]
        assert found(lists, path, "type eq container and name eq lists.*") == ["a", "b"]
        assert found(lists, path, "type eq image") == []
        assert found(lists, path, "project eq default and name eq lists-a", **{"all-projects": "true"}) == ["a"]
    found_images = lists.get(f"/1.0/images?filter=fingerprint+eq+{image[:8]}.*").metadata
    assert found_images == [f"/1.0/images/{image}"]
    assert lists.get("/1.0/images?filter=public+eq+false").metadata == []


def test_all_projects_is_the_default_one(lists):
    def names(path):
        return sorted(e if isinstance(e, str) else e["name"] for e in lists.get(path).metadata)

    assert names("/1.0/instances?all-projects=true") == names("/1.0/instances")
    assert names("/1.0/instances?all-projects=true&recursion=1") == names("/1.0/instances?recursion=1")
    assert names("/1.0/instances?all-projects=true&recursion=2") == names("/1.0/instances?recursion=1")
    for path in ("/1.0/instances", "/1.0/storage-pools/default/volumes"):
        for project in ("default", "nosuch"):
            reply = lists.get(f"{path}?all-projects=true&project={project}")
            assert (reply.status, reply.error) == (400, "Cannot specify a project when requesting all projects")


def test_recursion_2_adds_state_snapshots_and_backups(lists):
    for entry in lists.get("/1.0/instances?recursion=2").metadata:
        if entry["name"] not in NAMES:
            continue
        alone = lists.get(f"/1.0/instances/{entry['name']}?recursion=1").metadata
        state = lists.get(f"/1.0/instances/{entry['name']}/state").metadata
        assert set(entry) == set(alone) and {"state", "snapshots", "backups"} <= set(entry)
        assert entry["state"] == state and entry["snapshots"] is None and entry["backups"] is None
    assert found(lists, "/1.0/instances", "config.user.foo eq bar", recursion=2) == ["a"]
