# SPDX-License-Identifier: Apache-2.0
"""Warnings: listed, acknowledged, deleted."""
import pathlib

import pytest

from daemons import run, wait_until


@pytest.fixture
def warning(daemon, container):
    """One about the instance, as a failed start at boot leaves it."""
    uuid = "0f7117ee-4a4f-4113-8284-5b43be835051"
    sql = (f"INSERT INTO warnings (node_id, project_id, entity_type_code, entity_id, uuid, type_code, status, first_seen_date, "
           f"last_seen_date, updated_date, last_message, count) SELECT 1, 1, 5, id, '{uuid}', 22, 1, '2026-01-02T03:04:05Z', "
           f"'2026-01-02T03:04:06Z', '2026-01-02T03:04:06Z', 'no', 2 FROM instances WHERE name = '{container}'")
    daemon.api.run("POST", "/internal/sql", {"database": "global", "query": sql})
    yield uuid
    daemon.api.delete(f"/1.0/warnings/{uuid}")


def test_a_warning_is_shown_as_lxd_shows_it(api, container, warning):
    expected = {"status": "new", "uuid": warning, "location": "none", "project": "default", "type": "Failed to autostart instance",
                "count": 2, "first_seen_at": "2026-01-02T03:04:05Z", "last_seen_at": "2026-01-02T03:04:06Z", "last_message": "no",
                "severity": "low", "entity_url": f"/1.0/instances/{container}"}
    reply = api.get(f"/1.0/warnings/{warning}")
    assert reply.metadata == expected and "ETag" not in reply.headers
    assert expected in api.get("/1.0/warnings?recursion=1").metadata
    assert f"/1.0/warnings/{warning}" in api.get("/1.0/warnings").metadata


def test_warnings_are_listed_by_project_and_filter(api, warning):
    url = f"/1.0/warnings/{warning}"
    assert url in api.get("/1.0/warnings?project=default").metadata
    assert api.get("/1.0/warnings?project=nobody").metadata is None
    assert [w["uuid"] for w in api.get(f"/1.0/warnings?recursion=1&filter=uuid+eq+{warning}").metadata] == [warning]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_warning_is_acknowledged_and_made_new_again(api, warning, method):
    url = f"/1.0/warnings/{warning}"
    for status in ("acknowledged", "new"):
        assert api.request(method, url, {"status": status}).status == 200
        assert api.get(url).metadata["status"] == status


@pytest.mark.parametrize("body,status,error", [
    ({"status": "resolved"}, 403, 'Status may only be set to "acknowledge" or "new"'),
    ({"status": "x"}, 400, 'Invalid warning type "x"'), ({}, 400, 'Invalid warning type ""')])
def test_other_states_are_refused(api, warning, body, status, error):
    reply = api.put(f"/1.0/warnings/{warning}", body)
    assert (reply.status, reply.error) == (status, error)
    assert api.get(f"/1.0/warnings/{warning}").metadata["status"] == "new"


def test_a_warning_is_deleted_once(api, warning):
    assert api.delete(f"/1.0/warnings/{warning}").status == 200
    for reply in (api.get(f"/1.0/warnings/{warning}"), api.delete(f"/1.0/warnings/{warning}")):
        assert (reply.status, reply.error) == (404, "Warning not found")


def test_warnings_are_for_administrators(untrusted, stranger, warning):
    for client in (untrusted, stranger):
        for method, path in (("GET", ""), ("GET", f"/{warning}"), ("PUT", f"/{warning}"), ("DELETE", f"/{warning}")):
            assert client.request(method, f"/1.0/warnings{path}", {} if method == "PUT" else None).status == 403


def test_the_stock_client_lists_and_acknowledges(daemon, warning):
    assert warning in str(daemon.lxc("warning", "list"))
    assert "Failed to autostart instance" in str(daemon.lxc("warning", "show", warning))
    daemon.lxc("warning", "ack", warning)
    assert warning not in str(daemon.lxc("warning", "list"))
    assert warning in str(daemon.lxc("warning", "list", "--all"))
    daemon.lxc("warning", "delete", warning)
    assert warning not in str(daemon.lxc("warning", "list", "--all"))


def warnings_of(daemon, kind):
    return [w for w in daemon.api.get("/1.0/warnings?recursion=1").metadata or [] if w["type"] == kind]


def has_controller(name):
    """Mounted, on whichever kind of hierarchy."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup" and name in options.split(","):
            return True
        if kind == "cgroup2" and name in pathlib.Path(left.split()[4], "cgroup.controllers").read_text().split():
            return True
    return False


@pytest.mark.parametrize("kind,message,there", [
    ("Couldn't find the CGroup network priority controller", "network priority will be ignored", has_controller("net_prio")),
    ("Couldn't find the CGroup memory controller", "memory limits will be ignored", has_controller("memory")),
    ("Couldn't find the CGroup hugetlb controller", "hugepage limits will be ignored", has_controller("hugetlb")),
    ("Couldn't find the CGroup pids controller", "process limits will be ignored", has_controller("pids")),
    ("AppArmor support has been disabled", "Disabled because of lack of kernel support",
     pathlib.Path("/sys/module/apparmor/parameters/enabled").exists())])
def test_what_the_host_lacks_is_a_warning_about_no_entity(daemon, kind, message, there):
    found = warnings_of(daemon, kind)
    if there:
        assert not [w for w in found if w["last_message"] == message and w["status"] == "new"]
        return
    assert [(w["project"], w["entity_url"], w["severity"], w["status"], w["last_message"]) for w in found] == \
        [("", "", "low", "new", message)]


@pytest.mark.ours  # a real LXD keeps the bridge's name for itself
def test_a_network_that_cannot_start_is_a_warning_until_it_can(own_daemon):
    daemon, kind = own_daemon, "Network unavailable"
    daemon.signal(15)
    run("ip", "link", "del", daemon.bridge)
    run("ip", "link", "add", daemon.bridge, "type", "veth", "peer", "name", daemon.bridge + "p")
    try:
        daemon.start()
        (warning,) = warnings_of(daemon, kind)
        assert (warning["project"], warning["entity_url"]) == ("default", f"/1.0/networks/{daemon.bridge}")
        assert (warning["severity"], warning["status"], warning["count"]) == ("high", "new", 1)
        assert warning["last_message"] == f'Failed starting: Network interface "{daemon.bridge}" already exists'
        daemon.restart()
        assert [(w["status"], w["count"]) for w in warnings_of(daemon, kind)] == [("new", 2)]
    finally:
        run("ip", "link", "del", daemon.bridge)
    wait_until(lambda: [w["status"] for w in warnings_of(daemon, kind)] == ["resolved"], timeout=60, what="it is settled")
    assert daemon.api.get(f"/1.0/networks/{daemon.bridge}").metadata["status"] == "Created"
