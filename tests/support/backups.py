# SPDX-License-Identifier: Apache-2.0
"""Backups made in memory, good ones and hostile ones, and how they are uploaded."""
import copy

import yaml

from daemons import wait_until
from tarballs import entry, make_tar, metadata, rootfs_members
from tarballs import tarfile

UUID = "1cab0700-d6a7-4d47-815b-3f48ebb6b4be"


def index(name, snapshots=(), config=None, **fields):
    """What index.yaml says of an instance without anything special."""
    instance = {"architecture": "x86_64", "config": {"user.x": "y", "volatile.uuid": UUID, **(config or {})},
                "devices": {}, "ephemeral": False, "profiles": ["default"], "stateful": False, "description": "",
                "created_at": "2026-01-02T03:04:05Z", "name": name, "status": "Stopped", "status_code": 102,
                "last_used_at": "1970-01-01T00:00:00Z", "location": "none", "type": "container", "project": "default"}
    document = {"container": instance, "pool": {"config": {}, "description": "", "name": "default", "driver": "dir"},
                "profiles": [{"config": {}, "description": "", "devices": {}, "name": "default"}],
                "volume": {"config": {}, "description": "", "name": name, "type": "container",
                           "content_type": "filesystem"}}
    if snapshots:
        document["snapshots"] = [snapshot(s, instance) for s in snapshots]
        document["volume_snapshots"] = [{"description": "", "name": s, "config": {}, "content_type": "filesystem"}
                                        for s in snapshots]
    whole = {"name": name, "backend": "dir", "pool": "default", "optimized": False, "optimized_header": False,
             "type": "container", "config": document}
    if snapshots:
        whole["snapshots"] = list(snapshots)
    return {**whole, **fields}


def snapshot(name, instance):
    return {"name": name, "expires_at": "0001-01-01T00:00:00Z", "architecture": instance["architecture"],
            "config": copy.deepcopy(instance["config"]), "created_at": "2026-01-03T03:04:05Z", "devices": {},
            "ephemeral": False, "profiles": ["default"], "stateful": False, "size": -1}


def volume_members(prefix, inner=None):
    members = [entry(prefix, kind=tarfile.DIRTYPE), entry(f"{prefix}/metadata.yaml", metadata())]
    if inner is not None:
        members.append(entry(f"{prefix}/backup.yaml", yaml.safe_dump(inner).encode(), mode=0o400))
    return members + rootfs_members(f"{prefix}/rootfs")


def members(document, extra=(), inner=None):
    """The members of an archive; `document` may be text."""
    text = document if isinstance(document, (str, bytes)) else yaml.safe_dump(document)
    text = text.encode() if isinstance(text, str) else text
    snapshots = document.get("snapshots", []) if isinstance(document, dict) else []
    found = [entry("backup/index.yaml", text)]
    if isinstance(snapshots, list):
        for name in snapshots:
            found += volume_members(f"backup/snapshots/{name}")
    return found + volume_members("backup/container", inner) + list(extra)


def archive(document, **options):
    return make_tar(members(document, **options))


def post(daemon, data, name="", pool=""):
    headers = {"Content-Type": "application/octet-stream"}
    headers.update({"X-LXD-name": name} if name else {})
    headers.update({"X-LXD-pool": pool} if pool else {})
    return daemon.api.request("POST", "/1.0/instances", data=data, headers=headers)


def upload(daemon, data, name="", pool=""):
    """To the end; gives the operation. @raises AssertionError when it fails"""
    reply = post(daemon, data, name, pool)
    assert reply.status == 202, (reply.status, reply.body[:500])
    operation = daemon.api.wait(reply.operation())
    assert operation["status_code"] == 200, operation["err"]
    return operation


# -- custom volumes ----------------------------------------------------------------------------------------------------
def volume_index(name, snapshots=(), config=None, content_type="filesystem", **fields):
    """What index.yaml says of a custom volume."""
    document = {"volume": {"config": {"user.x": "y", **(config or {})}, "description": "told", "name": name,
                           "type": "custom", "used_by": [], "location": "none", "content_type": content_type,
                           "project": "default", "created_at": "0001-01-01T00:00:00Z"}}
    if snapshots:
        document["volume_snapshots"] = [
            {"description": "of " + s, "expires_at": "0001-01-01T00:00:00Z", "name": s, "config": {"user.s": s},
             "content_type": content_type, "created_at": "0001-01-01T00:00:00Z"} for s in snapshots]
    whole = {"name": name, "backend": "dir", "pool": "default", "optimized": False, "optimized_header": False,
             "type": "custom", "config": document}
    if snapshots:
        whole["snapshots"] = list(snapshots)
    return {**whole, **fields}


def tree_members(prefix, text):
    return [entry(prefix, kind=tarfile.DIRTYPE, mode=0o711), entry(prefix + "/file", text.encode(), uid=5, gid=6, mode=0o640),
            entry(prefix + "/sub", kind=tarfile.DIRTYPE), entry(prefix + "/sub/link", kind=tarfile.SYMTYPE, linkname="../file"),
            entry(prefix + "/sub/hard", kind=tarfile.LNKTYPE, linkname=prefix + "/file")]


def volume_archive(document, extra=(), blocks=None):
    """`blocks`: the image of a block volume by the name of its snapshot, "" for itself; else each has a few files."""
    text = document if isinstance(document, (str, bytes)) else yaml.safe_dump(document)
    snapshots = document.get("snapshots", []) if isinstance(document, dict) else []
    found = [entry("backup/index.yaml", text.encode() if isinstance(text, str) else text)]
    if blocks is not None:
        found += [entry(f"backup/volume-snapshots/{s}.img" if s else "backup/volume.img", data) for s, data in blocks.items()]
        return make_tar(found + list(extra))
    for name in snapshots if isinstance(snapshots, list) else []:
        found += tree_members(f"backup/volume-snapshots/{name}", f"of {name}")
    return make_tar(found + tree_members("backup/volume", "now") + list(extra))


def post_volume(daemon, data, name="", pool="default"):
    headers = {"Content-Type": "application/octet-stream"}
    headers.update({"X-LXD-name": name} if name else {})
    return daemon.api.request("POST", f"/1.0/storage-pools/{pool}/volumes/custom", data=data, headers=headers)


def upload_volume(daemon, data, name="", pool="default"):
    """To the end; gives the operation. @raises AssertionError when it fails"""
    reply = post_volume(daemon, data, name, pool)
    assert reply.status == 202, (reply.status, reply.body[:500])
    operation = daemon.api.wait(reply.operation())
    assert operation["status_code"] == 200, operation["err"]
    return operation


# -- what must not come of a bad one -----------------------------------------------------------------------------------
def traces(daemon, *folders):
    """The files below these of the state directory, but for those in root filesystems, once nothing is staged."""
    pool = daemon.dir / "storage-pools/default"
    wait_until(lambda: not list(pool.glob("*/.*")), what="no staged volume")
    return {str(p.relative_to(daemon.dir)) for top in folders for p in (daemon.dir / top).rglob("*")
            if "rootfs" not in p.parts}


def refused(daemon, send, path, folders):
    """`send` posts an archive from which `path` would be made: nothing comes of it below the folders. Gives the text."""
    before = traces(daemon, *folders)
    reply = send()
    if reply.status == 202:
        operation = daemon.api.wait(reply.operation())
        assert operation["status_code"] == 400, operation
        text = operation["err"]
    else:
        assert 400 <= reply.status < 500, (reply.status, reply.body)
        text = reply.error
    assert daemon.api.get(path).status == 404
    assert traces(daemon, *folders) == before
    assert daemon.api.get("/1.0").status == 200
    return text


# -- documents, and what is wrong with them
def without(document, path):
    if len(path) > 1:
        return {**document, path[0]: without(document[path[0]], path[1:])}
    return {key: value for key, value in document.items() if key != path[0]}


def changed(document, path, value):
    if not path:
        return value
    return {**document, path[0]: changed(document.get(path[0], {}), path[1:], value)}


def all_paths(document, prefix=()):
    for key, value in document.items():
        yield prefix + (key,)
        if isinstance(value, dict):
            yield from all_paths(value, prefix + (key,))
