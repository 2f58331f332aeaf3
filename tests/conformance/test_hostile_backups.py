# SPDX-License-Identifier: Apache-2.0
"""Archives of instances that lie, are broken or lead elsewhere: an error, and nothing else comes of them."""
import tarfile

import pytest

import backups


FOLDERS = ("containers", "backups", "storage-pools/default/containers", "storage-pools/default/containers-snapshots")


def refused(daemon, data, name="liar", **options):
    return backups.refused(daemon, lambda: backups.post(daemon, data, **options), f"/1.0/instances/{name}", FOLDERS)


@pytest.mark.ours
@pytest.mark.limit(400)
def test_r52_no_field_of_the_index_is_needed_to_survive(daemon):
    """Each is left out, null and of another type in turn: an instance or an error, never anything else."""
    whole = backups.index("liar")
    for path in backups.all_paths(whole):
        for document in (backups.without(whole, path), backups.changed(whole, path, None), backups.changed(whole, path, [["x"]]),
                         backups.changed(whole, path, -2**63), backups.changed(whole, path, "x" * 70000)):
            reply = backups.post(daemon, backups.archive(document))
            assert reply.status in (202, 400, 501), (path,  # 501: a kind of instance that is not offered
                                                      reply.status, reply.body)
            if reply.status == 202:
                operation = daemon.api.wait(reply.operation())
                if operation["status_code"] == 200:
                    made = operation["resources"]["instances"][0]
                    daemon.api.run("DELETE", made)
    assert daemon.api.get("/1.0/instances/liar").status == 404


@pytest.mark.ours
@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "", "-x", "1234", "a" * 70, "a\nb", "x_y"])
def test_r08_names_in_an_archive_are_checked(daemon, name):
    refused(daemon, backups.archive(backups.index(name)))
    refused(daemon, backups.archive(backups.changed(backups.index("liar"), ("config", "container", "name"), name)))
    if name and "\n" not in name:
        assert backups.post(daemon, backups.archive(backups.index("liar")), name=name).status == 400
    snapshots = backups.index("liar", snapshots=["s0"])
    if name not in ("-x", "1234", "a" * 70, "x_y"):
        refused(daemon, backups.archive(backups.changed(snapshots, ("snapshots",), [name])))
    assert not list(daemon.base.rglob("evil*"))


@pytest.mark.ours
@pytest.mark.parametrize("extra", [
    [backups.entry("../../x", content=b"x")],
    [backups.entry("/abs", content=b"x")],
    [backups.entry("backup/container/../../../x", content=b"x")],
    [backups.entry("backup/container/rootfs/l", kind=tarfile.SYMTYPE, linkname="/"),
     backups.entry("backup/container/rootfs/l/evil", content=b"x")],
    [backups.entry("backup/container/rootfs/h", kind=tarfile.LNKTYPE, linkname="/etc/shadow")],
    [backups.entry("backup/container/rootfs/h", kind=tarfile.LNKTYPE, linkname="backup/index.yaml")],
    [backups.entry("backup/container/rootfs", kind=tarfile.SYMTYPE, linkname="/")],
    [backups.entry("backup/container/metadata.yaml", kind=tarfile.SYMTYPE, linkname="/etc/shadow")],
    [backups.entry("backup/container/templates", kind=tarfile.SYMTYPE, linkname="/")],
], ids=["dotdot", "absolute", "dotdot inside", "through a link", "hard link out", "hard link to the index",
        "rootfs a link", "metadata a link", "templates a link"])
def test_r03_entries_that_lead_elsewhere_are_refused(daemon, extra):
    refused(daemon, backups.archive(backups.index("liar"), extra=extra))


@pytest.mark.ours
@pytest.mark.parametrize("broken", ["truncated", "empty", "text", "no index", "no rootfs", "index twice", "large index",
                                    "index a link", "deep index", "aliases"])
def test_r55_broken_archives_end_with_an_error(daemon, broken):
    good = backups.archive(backups.index("liar"))
    members = backups.members(backups.index("liar"))
    data = {"truncated": good[:len(good) // 2], "empty": b"", "text": b"hello",
            "no index": backups.make_tar(members[1:]),
            "no rootfs": backups.make_tar(members[:3]),
            "index twice": backups.make_tar(members + [members[0]]),
            "large index": backups.archive("a: b\n" + "#" * (2 << 20)),
            "index a link": backups.make_tar([backups.entry("backup/index.yaml", kind=tarfile.SYMTYPE,
                                                            linkname="/etc/shadow"), *members[1:]]),
            "deep index": backups.archive("[" * 5000),
            "aliases": backups.archive("a: &a [x]\nb: [*a, *a]\n")}[broken]
    if broken == "index twice":  # the first counts
        return
    refused(daemon, data)


@pytest.mark.ours
def test_r24_only_the_index_counts(daemon, api):
    inner = backups.index("liar", config={"security.privileged": "true"})["config"]
    backups.upload(daemon, backups.archive(backups.index("liar"), inner=inner))
    try:
        seen = api.get("/1.0/instances/liar").metadata
        assert "security.privileged" not in seen["expanded_config"]
        assert "security.privileged" not in (daemon.dir / "containers/liar/backup.yaml").read_text()
    finally:
        api.run("DELETE", "/1.0/instances/liar")


@pytest.mark.ours
@pytest.mark.parametrize("config", [
    {"raw.lxc": "lxc.hook.start-host=/bin/true\nlxc.log.file=/x"}, {"environment.A": "x\nlxc.hook=1"},
    {"no.such.key": "1"}, {"volatile.last_state.idmap": "{"}, {"volatile.base_image": "../../x"},
    {"volatile.uuid": "no"}, {"limits.memory": "-1"}], ids=str)
def test_r22_configuration_in_an_archive_is_judged(daemon, config):
    refused(daemon, backups.archive(backups.index("liar", config=config)))


@pytest.mark.ours
def test_volatile_keys_of_an_archive_do_not_become_the_instances(daemon, api):
    config = {"volatile.eth0.host_name": "eth0", "volatile.last_state.power": "RUNNING", "volatile.idmap.base": "7",
              "volatile.idmap.next": "[]", "volatile.eth0.hwaddr": "00:16:3e:01:02:03"}
    backups.upload(daemon, backups.archive(backups.index("kept", config=config)))
    try:
        seen = api.get("/1.0/instances/kept").metadata["config"]
        assert seen["volatile.eth0.hwaddr"] == "00:16:3e:01:02:03" and seen["volatile.uuid"] == backups.UUID
        assert "volatile.eth0.host_name" not in seen and seen.get("volatile.last_state.power") != "RUNNING"
        assert seen["volatile.idmap.next"] != "[]"
    finally:
        api.run("DELETE", "/1.0/instances/kept")


@pytest.mark.ours
def test_r03_a_part_of_an_archive_links_to_nothing_of_another(daemon):
    for link in ("backup/snapshots/s0/rootfs/x", "backup/container/rootfs/../../snapshots/s0/rootfs/x"):
        refused(daemon, backups.archive(backups.index("liar", snapshots=["s0"]), extra=[
            backups.entry("backup/snapshots/s0/rootfs/x", content=b"x"),
            backups.entry("backup/container/rootfs/y", kind=tarfile.LNKTYPE, linkname=link)]))


@pytest.mark.ours
def test_a_node_in_the_place_of_something_else_is_refused(daemon):
    config = {"security.privileged": "true"}
    node = backups.entry("backup/container/rootfs/x", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)
    for extra in ([node, backups.entry("backup/container/rootfs/x", content=b"x")],
                  [backups.entry("backup/container/rootfs/d/x", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),
                   backups.entry("backup/container/rootfs/d", kind=tarfile.SYMTYPE, linkname="/")]):
        refused(daemon, backups.archive(backups.index("liar", config=config), extra=extra))
