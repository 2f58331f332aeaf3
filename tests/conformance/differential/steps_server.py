# SPDX-License-Identifier: Apache-2.0
"""/, /1.0, projects, resources, events, operations, certificates, routing and bad requests."""
import base64
import json

from engine import Step as S

ENV = ("metadata.environment",)
UNKNOWN = "/1.0/operations/11111111-2222-3333-4444-555555555555"


def server():
    server_shape = dict(shape=("metadata.environment", "metadata.api_extensions"), ignore=("metadata.environment",))
    return [
        S("GET", "/"), S("POST", "/", {}), S("GET", "/2.0"), S("GET", "/1.0/nothing"), S("GET", "/1.0//instances"),
        S("GET", "/1.0", shape=("metadata.environment", "metadata.api_extensions")),
        S("GET", "/1.0?recursion=1", **server_shape),
        S("GET", "/1.0", via="tls", shape=("metadata.environment", "metadata.api_extensions"), note="untrusted"),
        S("HEAD", "/1.0", shape=("metadata",)),
        S("DELETE", "/1.0"), S("POST", "/1.0", {}), S("BREW", "/1.0"),
        S("PUT", "/1.0", {"config": {"core.https_address": "{address}", "core.trust_password": True,
                                     "images.auto_update_interval": "12"}}),
        S("GET", "/1.0", **server_shape),
        S("PATCH", "/1.0", {"config": {"core.nosuch": "x"}}),
        S("PATCH", "/1.0", {"config": {"images.auto_update_interval": "never"}}),
        S("PATCH", "/1.0", {"config": {"core.https_allowed_credentials": "perhaps"}}),
        S("PATCH", "/1.0", {"config": {"images.compression_algorithm": "nosuch"}}),
        S("PATCH", "/1.0", {"config": {"user.note": "hello"}}),
        S("PATCH", "/1.0", {"config": {"images.auto_update_interval": None}}),
        S("PATCH", "/1.0", {"config": {"core.shutdown_timeout": "5"}}, headers={"If-Match": "0" * 64}),
        S("PATCH", "/1.0", {"config": {"core.shutdown_timeout": "7"}}),
        S("PATCH", "/1.0", {"config": {"core.shutdown_timeout": "x"}}),
        S("PATCH", "/1.0", {"config": {"user.note": ""}}),
        S("PATCH", "/1.0", {"config": {"core.shutdown_timeout": ""}}),
        S("GET", "/1.0", **server_shape),
        S("PUT", "/1.0", data=b"{", note="truncated JSON"), S("PUT", "/1.0", data=b"", note="empty body"),
        S("PUT", "/1.0", data=b"[]", note="wrong type"), S("PUT", "/1.0", data=b"\"x\"", note="wrong type"),
        S("PATCH", "/1.0", {"config": {"images.auto_update_interval": 3}}, note="number for text"),
        S("PATCH", "/1.0", {"config": "x"}, note="text for object"),
        S("PATCH", "/1.0", {"unknown": {"deep": [1]}}, note="unknown key"),
        S("PATCH", "/1.0", {"CONFIG": {"user.case": "1"}}, note="case of keys"),
        S("PATCH", "/1.0", {"config": {"user.case": None}}),
        S("GET", "/1.0/resources", shape=("metadata:2",)),
        S("GET", "/1.0/projects"), S("GET", "/1.0/projects?recursion=1"), S("GET", "/1.0/projects/default", etag=True),
        S("GET", "/1.0/projects/nosuch"), S("DELETE", "/1.0/projects/default"), S("DELETE", "/1.0/projects/nosuch"),
        S("POST", "/1.0/projects/default", {"name": "x"}), S("PUT", "/1.0/projects/nosuch", {}),
        S("GET", "/1.0/projects/default/state"),
        S("GET", "/1.0/instances?project=nosuch"), S("GET", "/1.0/profiles?project=nosuch"),
        S("GET", "/1.0/cluster"), S("GET", "/1.0/cluster/members"), S("GET", "/1.0/warnings"),
        S("GET", "/1.0/events", note="no upgrade"), S("POST", "/1.0/events", {}),
        S("GET", "/internal/ready"), S("GET", "/internal/ready", via="tls"), S("GET", "/internal/nosuch"),
        S("POST", "/internal/sql", {"database": "global", "query": "SELECT name FROM profiles"}),
        S("POST", "/internal/sql", {"database": "nosuch", "query": "SELECT 1"}),
        S("POST", "/internal/sql", {"database": "local", "query": ""}),
        S("POST", "/internal/sql", {"database": "global", "query": "SELECT nosuch FROM profiles"}),
        S("POST", "/internal/sql", {"database": "global", "query": "SELECT 1 AS a, 'x' AS b, NULL AS c"}),
        S("POST", "/internal/sql", {"database": "global", "query": "UPDATE profiles SET name='x' WHERE id=-1"}),
        S("POST", "/internal/sql", {"database": "global", "query": "SELECT 1"}, via="trusted"),
    ]


def operations():
    recent = ("metadata",)  # which operations ended within the last five seconds
    return [
        S("GET", "/1.0/operations", ignore=recent), S("GET", "/1.0/operations?recursion=1", ignore=("metadata",)), S("POST", "/1.0/operations", {}),
        S("GET", UNKNOWN), S("DELETE", UNKNOWN), S("GET", UNKNOWN + "/wait"), S("GET", UNKNOWN + "/wait?timeout=1"),
        S("GET", UNKNOWN + "/websocket"), S("GET", UNKNOWN + "/websocket?secret=x"), S("GET", "/1.0/operations/nosuch"),
        S("GET", "/1.0/operations?project=default", ignore=recent),
        S("GET", "/1.0/operations?all-projects=true", ignore=recent),
        S("GET", "/1.0/operations?project=default&all-projects=true", ignore=recent),
        S("PUT", UNKNOWN, {}), S("PATCH", UNKNOWN, {}),
    ]


def untrusted():
    """What somebody without a certificate sees: each route at least once."""
    steps = []
    for path in ("instances", "instances/x", "instances/x/state", "instances/x/files?path=/", "instances/x/logs",
                 "instances/x/snapshots", "instances/x/metadata", "instances/x/console", "containers",
                 "virtual-machines", "images", "images/aliases", "images/aliases/bb", "images/{bb}",
                 "images/{bb}/export", "images/nosuch", "profiles", "profiles/default", "networks", "networks/{br}",
                 "networks/{br}/state", "networks/{br}/leases", "storage-pools", "storage-pools/default",
                 "storage-pools/default/resources", "storage-pools/default/volumes", "operations", "projects",
                 "projects/default", "resources", "certificates", "certificates/x", "events", "warnings", "cluster",
                 "metrics", "network-acls", "nosuch"):
        steps.append(S("GET", "/1.0/" + path, via="tls"))
    for method, path in (("POST", "instances"), ("PUT", "instances/x"), ("PATCH", "instances/x"),
                         ("DELETE", "instances/x"), ("POST", "instances/x"), ("PUT", "instances/x/state"),
                         ("POST", "instances/x/exec"), ("POST", "instances/x/files?path=/x"), ("POST", "profiles"),
                         ("POST", "networks"), ("POST", "storage-pools"), ("PUT", "profiles/default"),
                         ("DELETE", "images/{bb}"), ("PUT", "images/{bb}"), ("POST", "images/aliases"),
                         ("PUT", "../1.0"), ("PATCH", "../1.0"), ("DELETE", "networks/{br}"),
                         ("DELETE", "storage-pools/default"), ("POST", "projects"), ("PUT", "certificates/x")):
        steps.append(S(method, "/1.0/" + path if not path.startswith("..") else path[2:], {}, via="tls"))
    steps += [S("GET", "/1.0/instances", via="stranger"), S("GET", "/1.0", via="stranger", shape=("metadata.api_extensions",)),
              S("GET", "/1.0/operations/x/wait", via="stranger"), S("POST", "/internal/shutdown", {}, via="tls")]
    return steps


def certificates():
    path = "/1.0/certificates"
    fp = path + "/{cert_trusted_fp}"
    other = path + "/{cert_other_fp}"
    return [
        S("GET", path), S("GET", path + "/nosuch"), S("DELETE", path + "/nosuch"), S("PUT", path + "/nosuch", {}),
        S("POST", path, {"type": "client", "password": "wrong"}, via="trusted"),
        S("POST", path, {"type": "client"}, via="trusted"),
        S("POST", path, {"type": "client", "password": "sekret"}, via="tls", note="no certificate"),
        S("POST", path, {"type": "nosuch", "password": "sekret"}, via="trusted"),
        S("GET", "/1.0/instances", via="trusted", note="before trust"),
        S("POST", path, {"type": "client", "name": "me", "password": "sekret"}, via="trusted"),
        S("POST", path, {"type": "client", "password": "sekret"}, via="trusted", note="again"),
        S("GET", "/1.0/instances", via="trusted"), S("GET", path, via="trusted"), S("GET", fp, via="trusted"),
        S("GET", path + "?recursion=1"),
        S("POST", path, {"type": "client", "certificate": "{cert_other}", "name": "other"}),
        S("POST", path, {"type": "client", "certificate": "{cert_other}", "name": "other"}, note="twice"),
        S("POST", path, {"type": "client", "certificate": "bm90IGEgY2VydA=="}),
        S("POST", path, {"type": "client", "certificate": "***"}), S("POST", path, {"type": "client"}, note="unix, empty"),
        S("POST", path, {"type": "weird", "certificate": "{cert_other}"}),
        S("POST", path, data=b"{", note="truncated"),
        S("GET", other), S("PUT", other, {"type": "client", "name": "renamed", "restricted": False, "projects": []}),
        S("GET", other), S("PATCH", other, {"name": "again"}), S("GET", other),
        S("PUT", other, {"type": "client", "name": "x"}, headers={"If-Match": "0" * 64}),
        S("PATCH", other, {"type": "weird"}), S("POST", other, {}), S("GET", path + "/{cert_other_fp}?recursion=1"),
        S("DELETE", other), S("GET", other), S("DELETE", other), S("GET", path),
        S("POST", path, {"type": "client", "certificate": "{cert_other}"}, note="named by its subject"), S("GET", other),
        S("PUT", other, {"name": "untyped"}), S("PATCH", other, {"type": ""}), S("PUT", other, {"type": "client", "projects": ["nosuch"]}),
        S("GET", other), S("DELETE", other),
        S("POST", path, {"name": "t", "type": "client", "token": True}, follow=False, save="token"), S("GET", "{token}"),
        S("GET", "/1.0/operations?recursion=1", via="trusted", ignore=("metadata.success", "metadata.failure", "metadata.cancelled")),
        S("DELETE", "{token}"), S("DELETE", "{token}"), S("GET", "{token}"),
        S("POST", path, {"type": "client", "token": True, "certificate": "AAAA"}), S("POST", path, {"type": "server", "token": True}),
        S("POST", path, {"name": "t", "token": True}), S("POST", path, {"type": "client", "token": True}, via="stranger"),
        S("POST", path, {"type": "client", "password": token_text("00")}, via="stranger"),
        S("POST", path, {"type": "client", "password": token_text("")}, via="stranger"),
        S("POST", path, {"type": "client", "password": token_text("00")}, via="trusted"),
    ]


def token_text(secret):
    """A well-formed token that nobody issued."""
    token = {"client_name": "t", "fingerprint": "f", "addresses": ["127.0.0.1:1"], "secret": secret}
    return base64.b64encode(json.dumps(token).encode()).decode()


def profiles():
    p = "/1.0/profiles"
    return [
        S("GET", p), S("GET", p + "?recursion=1"), S("GET", p + "/default"), S("GET", p + "/nosuch"),
        S("POST", p, {"name": "one", "description": "first", "config": {"limits.memory": "64MiB", "user.a": "b"},
                      "devices": {"d": {"type": "none"}}}),
        S("GET", p + "/one", etag=True), S("POST", p, {"name": "one"}, note="twice"), S("POST", p, {}),
        S("POST", p, {"name": ""}), S("POST", p, {"name": "a/b"}), S("POST", p, {"name": ".."}), S("POST", p, {"name": "."}),
        S("POST", p, {"name": "bad", "config": {"nosuch.key": "1"}}),
        S("POST", p, {"name": "bad", "config": {"limits.memory": "lots"}}),
        S("POST", p, {"name": "bad", "config": {"limits.processes": "many"}}),
        S("POST", p, {"name": "bad", "config": {"boot.autostart": "maybe"}}),
        S("POST", p, {"name": "bad", "config": {"limits.cpu": "none"}}),
        S("POST", p, {"name": "bad", "config": {"volatile.x": "1"}}),
        S("POST", p, {"name": "bad", "config": {"security.privileged": "2"}}),
        S("POST", p, {"name": "bad", "config": {"security.idmap.size": "-1"}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nosuch"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "nictype": "nosuch"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "network": "nosuch"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "nictype": "bridged"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "network": "{br}", "nictype": "bridged"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "network": "{br}", "hwaddr": "xx"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "network": "{br}", "mtu": "xx"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "network": "{br}", "nosuch": "1"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "nic", "network": "{br}", "ipv4.address": "1.2"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "disk"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "disk", "path": "/"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "disk", "path": "/", "pool": "nosuch"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "disk", "path": "/x"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "disk", "source": "/nosuch", "path": "/x", "readonly": "7"}}}),
        S("POST", p, {"name": "bad", "devices": {"d": {"type": "disk", "source": "/etc", "path": "/x", "nosuch": "7"}}}),
        S("POST", p, {"name": "bad", "devices": {"a": {"type": "disk", "path": "/", "pool": "default"},
                                                 "b": {"type": "disk", "path": "/", "pool": "default"}}}),
        S("POST", p, data=b"{\"name\": \"x\"", note="truncated"), S("POST", p, {"name": 5}), S("POST", p, {"name": "w", "config": []}),
        S("POST", p, {"name": "w", "devices": {"d": "x"}}), S("POST", p, {"name": "w", "config": {"limits.cpu": 1}}),
        S("PUT", p + "/one", {"description": "second", "config": {"user.a": "c"}, "devices": {}}), S("GET", p + "/one", etag=True),
        S("PUT", p + "/one", {"config": {}}, headers={"If-Match": "0" * 64}),
        S("PUT", p + "/one", {"config": {"user.a": "d"}}, headers={"If-Match": "{etag}"}), S("GET", p + "/one", etag=True),
        S("PATCH", p + "/one", {"config": {"user.b": "e"}}), S("GET", p + "/one", etag=True),
        S("PATCH", p + "/one", {"config": {"user.b": ""}}), S("PATCH", p + "/one", {"config": {"user.a": None}}),
        S("GET", p + "/one", etag=True),
        S("PATCH", p + "/one", {"devices": {"eth0": {"type": "nic", "nictype": "p2p"}}}), S("GET", p + "/one", etag=True),
        S("PATCH", p + "/one", {"description": "x<y>&z"}), S("GET", p + "/one", etag=True, note="escapes in the ETag"),
        S("PUT", p + "/one", {"config": {"nosuch": "1"}}), S("PUT", p + "/nosuch", {}), S("PATCH", p + "/nosuch", {}),
        S("POST", p + "/one", {"name": "two"}), S("GET", p + "/one"), S("GET", p + "/two"), S("POST", p + "/two", {}),
        S("POST", p + "/two", {"name": "default"}), S("POST", p + "/two", {"name": "a/b"}), S("POST", p + "/two", {"name": ".."}),
        S("POST", p + "/default", {"name": "x"}), S("POST", p + "/nosuch", {"name": "x"}),
        S("DELETE", p + "/default"), S("DELETE", p + "/two"), S("DELETE", p + "/two"), S("GET", p),
        S("HEAD", p + "/default"), S("GET", p + "?filter=name eq default".replace(" ", "%20")),
    ]
