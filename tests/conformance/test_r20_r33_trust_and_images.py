# SPDX-License-Identifier: Apache-2.0
"""R20: join tokens. R21: nobody promotes himself. R33: an image is what it claims to be, or nothing stays of it."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import threading
import time

import pytest

from conftest import KIND
from daemons import Daemon, make_certificate, run, wait_until
from tarballs import entry, make_tar, metadata, multipart, rootfs_members, tiny_image

OCTETS = {"Content-Type": "application/octet-stream"}
CERTIFICATES = "/1.0/certificates"
UNKNOWN = "No matching certificate add operation found"


@pytest.fixture
def newcomers(daemon, tmp_path):
    """Makes API clients with new certificates; what they got into the trust store is removed afterwards."""
    before = daemon.api.get(CERTIFICATES).metadata
    count = iter(range(100))
    yield lambda: daemon.https(make_certificate(tmp_path, f"newcomer{next(count)}"))
    for url in set(daemon.api.get(CERTIFICATES).metadata) - set(before):
        daemon.api.run("DELETE", url)
    for token in tokens(daemon.api):
        daemon.api.run("DELETE", f"/1.0/operations/{token['id']}")


def tokens(api):
    return [o for o in api.get("/1.0/operations?recursion=1").metadata.get("running", []) if o["class"] == "token"]


def issue(api, name="guest", **fields):
    """(the token as a client shows it, its operation)"""
    reply = api.post(CERTIFICATES, {"name": name, "type": "client", "token": True, **fields})
    assert reply.status == 202, reply.body
    operation = reply.json["metadata"]
    return pack(operation["metadata"]), operation


def pack(found, **changes):
    token = {"client_name": found["request"]["name"], "fingerprint": found["fingerprint"], "addresses": found["addresses"],
             "secret": found["secret"], "expires_at": found.get("expiresAt", "0001-01-01T00:00:00Z"), **changes}
    return base64.b64encode(json.dumps(token).encode()).decode()


def redeem(client, password, **fields):
    return client.post(CERTIFICATES, {"type": "client", "password": password, **fields})


def own(client):
    der = ssl.PEM_cert_to_DER_cert(open(client.cert[0], encoding="ascii").read())
    return f"{CERTIFICATES}/{hashlib.sha256(der).hexdigest()}"


def test_r20_a_token_lets_one_client_in_once(api, newcomers):
    token, operation = issue(api, "guest")
    assert operation["class"] == "token" and operation["may_cancel"] and len(operation["metadata"]["secret"]) == 64
    first, second = newcomers(), newcomers()
    assert redeem(first, token, name="mallory").status == 201
    assert api.get(own(first)).metadata["name"] == "guest"
    refused = redeem(second, token)
    assert refused.status == 403 and refused.error == UNKNOWN
    assert api.get(own(second)).status == 404
    assert api.get(f"/1.0/operations/{operation['id']}").metadata["status"] == "Cancelled"


def test_r20_of_many_at_once_one_gets_in(api, newcomers):
    token, _ = issue(api)
    clients, answers = [newcomers() for _ in range(6)], []
    threads = [threading.Thread(target=lambda c=c: answers.append(redeem(c, token).status)) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [403] * 5
    assert sum(api.get(own(c)).status == 200 for c in clients) == 1


@pytest.mark.parametrize("changes", [{"secret": "0" * 64}, {"secret": ""}, {"fingerprint": ""}, {"client_name": ""}, {"addresses": []}])
def test_r20_what_is_not_that_token_opens_nothing(api, newcomers, changes):
    token, operation = issue(api)
    client = newcomers()
    refused = redeem(client, pack(operation["metadata"], **changes))
    assert refused.status == 403 and refused.error == (UNKNOWN if changes.get("secret") else "not authorized")
    assert redeem(client, operation["metadata"]["secret"]).status == 403
    assert redeem(client, token, token=True).status == 403
    assert redeem(client, token).status == 201


def test_r20_revoked_and_expired_tokens_open_nothing(api, newcomers):
    token, operation = issue(api)
    api.run("DELETE", f"/1.0/operations/{operation['id']}")
    refused = redeem(newcomers(), token)
    assert refused.status == 403 and refused.error == UNKNOWN
    api.run("PATCH", "/1.0", {"config": {"core.remote_token_expiry": "1S"}})
    try:
        token, operation = issue(api)
        assert operation["metadata"]["expiresAt"].startswith("20")
        time.sleep(1.2)
        client = newcomers()
        refused = redeem(client, pack(operation["metadata"], expires_at="2200-01-01T00:00:00Z"))
        assert "Token has expired" in refused.error and refused.status == (403 if KIND == "lxdcored" else 500)
        assert redeem(client, token).status == 403
    finally:
        api.run("PATCH", "/1.0", {"config": {"core.remote_token_expiry": ""}})


def test_r20_a_token_decides_what_the_newcomer_is(api, newcomers):
    token, _ = issue(api, "limited", restricted=True, projects=["default"])
    client = newcomers()
    assert redeem(client, token, restricted=False, projects=[], name="boss").status == 201
    entry_ = api.get(own(client)).metadata
    assert entry_["name"] == "limited" and entry_["restricted"] is True and entry_["projects"] == ["default"]
    assert client.get("/1.0/instances").status == 200 and client.patch("/1.0", {"config": {}}).status == 403


@pytest.mark.parametrize("body,text", [
    ({"type": "client", "certificate": "AAAA"}, "Can't use certificate if token is requested"),
    ({"type": "server"}, "Tokens can only be issued for client certificates"), ({"type": "metrics"}, "Tokens can only be issued for client certificates"),
    ({}, "Tokens can only be issued for client certificates")])
def test_tokens_are_for_clients(api, newcomers, body, text):
    reply = api.post(CERTIFICATES, {"name": "x", "token": True, **body})
    assert reply.status == 400 and reply.error == text


@pytest.mark.ours
def test_r20_only_administrators_issue_and_see_tokens(api, trusted, newcomers, untrusted):
    _, operation = issue(api)
    secret = operation["metadata"]["secret"]
    assert [t["metadata"]["secret"] for t in tokens(trusted)] == [secret]
    limited = newcomers()
    assert redeem(limited, issue(api, "limited", restricted=True, projects=["default"])[0]).status == 201
    for client in (limited, untrusted):
        assert client.post(CERTIFICATES, {"name": "x", "type": "client", "token": True}).status == 403
        for path in ("/1.0/operations?recursion=1", f"/1.0/operations/{operation['id']}", f"/1.0/operations/{operation['id']}/wait?timeout=0"):
            assert secret.encode() not in client.get(path).body


def test_r20_no_secret_in_events_logs_and_database(api, daemon, newcomers):
    events = api.websocket("/1.0/events")
    token, operation = issue(api)
    assert redeem(newcomers(), token).status == 201
    text = b""
    events.settimeout(0.5)
    while True:
        try:
            text += events.recv().encode()
        except OSError:
            break
        except Exception:  # the client's own kind of timeout
            break
    events.close()
    secret = operation["metadata"]["secret"].encode()
    assert operation["id"].encode() in text
    if KIND == "lxdcored":
        assert secret not in text
    assert secret not in daemon.log_tail(1 << 20).encode() and token not in daemon.log_tail(1 << 20)
    for file in (daemon.dir / "database").rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes()


def test_the_stock_client_adds_lists_revokes_and_uses_tokens(api, daemon, newcomers, tmp_path):
    token = daemon.lxc("config", "trust", "add", "--name", "phone", "-q").stdout.strip().splitlines()[-1]
    daemon.lxc("config", "trust", "add", "--name", "lost")
    listed = daemon.lxc("config", "trust", "list-tokens", "--format=csv").stdout
    assert f"phone,{token}," in listed and "lost," in listed
    assert "lost deleted" in daemon.lxc("config", "trust", "revoke-token", "lost").stdout
    missing = daemon.lxc("config", "trust", "revoke-token", "lost", check=False)
    assert missing.returncode != 0 and "No certificate add token" in missing.stderr
    conf = tmp_path / "phone"
    conf.mkdir()
    daemon.lxc("remote", "add", "home", token, env={"LXD_CONF": str(conf)})
    assert json.loads(daemon.lxc("list", "home:", "--format=json", env={"LXD_CONF": str(conf)}).stdout) is not None
    assert "phone" in daemon.lxc("config", "trust", "list", "--format=csv").stdout
    assert "phone" not in daemon.lxc("config", "trust", "list-tokens", "--format=csv").stdout
    other = tmp_path / "other"
    other.mkdir()
    again = daemon.lxc("remote", "add", "home", token, env={"LXD_CONF": str(other)}, check=False)
    assert again.returncode != 0 and UNKNOWN in again.stderr


@pytest.fixture
def limited(api, newcomers):
    client = newcomers()
    assert redeem(client, issue(api, "limited", restricted=True, projects=["default"])[0]).status == 201
    return client


LIMITED = {"name": "limited", "type": "client", "restricted": True, "projects": ["default"]}
PROMOTIONS = [{"restricted": False}, {"projects": ["default", "other"]}, {"projects": []}, {"name": "boss"}]


@pytest.mark.parametrize("change", PROMOTIONS)
def test_r21_the_restricted_do_not_promote_themselves(api, limited, change):
    before = api.get(own(limited)).metadata
    for reply in (limited.patch(own(limited), change), limited.put(own(limited), {**LIMITED, **change})):
        assert reply.status == 403 and reply.error == "Only the certificate can be changed"
    for reply in (limited.patch(own(limited), {"type": "metrics"}), limited.put(own(limited), {**LIMITED, **change, "type": "server"})):
        assert reply.status == 403 and reply.error == "The certificate type cannot be changed"
    assert api.get(own(limited)).metadata == before


def test_r21_nor_do_they_vouch_for_or_remove_anybody(api, limited, trusted, newcomers):
    other = {"type": "client", "certificate": base64.b64encode(ssl.PEM_cert_to_DER_cert(open(newcomers().cert[0]).read())).decode()}
    before = sorted(api.get(CERTIFICATES).metadata)
    for body in (other, {**other, "password": "wrong"}, {**LIMITED, "token": True}):
        reply = limited.post(CERTIFICATES, body)
        assert reply.status == 403 and reply.error == "not authorized"
    assert limited.post(CERTIFICATES, {"type": "client", "password": "sekret"}).error == "Client is already trusted"
    for url in (own(limited), own(trusted), f"{CERTIFICATES}/{'0' * 64}"):
        assert limited.delete(url).status == 403
    assert sorted(api.get(CERTIFICATES).metadata) == before


@pytest.mark.ours
def test_r21_others_certificates_are_not_even_seen(limited, trusted):
    """LXD 5.0.2 shows them, and lets a restricted client replace them by its own."""
    assert limited.get(CERTIFICATES).metadata == [own(limited)]
    for method, body in (("GET", None), ("PUT", LIMITED), ("PATCH", {})):
        assert limited.request(method, own(trusted), body).status == 404


def test_r21_they_may_rotate_their_certificate(api, daemon, limited, newcomers):
    fresh = newcomers()
    pem = open(fresh.cert[0], encoding="ascii").read()
    assert limited.put(own(limited), {**LIMITED, "certificate": pem}).status == 200
    assert api.get(own(limited)).status == 404
    entry_ = api.get(own(fresh)).metadata
    assert {k: entry_[k] for k in LIMITED} == LIMITED
    assert fresh.get("/1.0/instances").status == 200 and limited.get("/1.0/instances").status == 403


def images_of(daemon):
    return sorted(p.name for p in (daemon.dir / "images").iterdir()), sorted(daemon.api.get("/1.0/images").metadata)


@pytest.fixture
def no_image_more(daemon):
    daemon.images_at_rest()
    before = images_of(daemon)
    yield
    wait_until(lambda: images_of(daemon) == before, timeout=10, what="images/ as before")
    assert not daemon.held_of_images()


def failed(api, reply):
    if reply.status != 202:
        return reply.status >= 400
    return api.wait(reply.operation())["status_code"] == 400


GOOD = tiny_image("r33")
RIGHT = hashlib.sha256(GOOD).hexdigest()


@pytest.mark.parametrize("claimed", ["0" * 64, RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1"), RIGHT[1:] + RIGHT[0]])
def test_r33_an_image_with_another_fingerprint_is_refused(api, no_image_more, claimed):
    reply = api.post("/1.0/images", data=GOOD, headers={**OCTETS, "X-LXD-fingerprint": claimed})
    operation = api.wait(reply.operation())
    assert operation["status_code"] == 400 and "fingerprint" in operation["err"].lower(), operation["err"]


def test_r33_an_altered_part_of_a_split_image_is_refused(api, no_image_more):
    meta, root = tiny_image("split33", split=True)
    right = hashlib.sha256(meta + root).hexdigest()
    for parts in ((meta, make_tar([entry("etc", b"altered")])), (make_tar([entry("metadata.yaml", metadata("other"))]), root), (root, meta)):
        body, kind = multipart(*parts)
        assert failed(api, api.post("/1.0/images", data=body, headers={"Content-Type": kind, "X-LXD-fingerprint": right}))


@pytest.mark.parametrize("cut", ["first byte", "half", "a part of two", "between parts", "no end boundary"])
def test_r33_a_truncated_upload_leaves_nothing(api, no_image_more, cut):
    body, kind = multipart(*tiny_image("cut33", split=True))
    data = {"first byte": GOOD[:1], "half": GOOD[:len(GOOD) // 2], "a part of two": body[:-300],
            "between parts": body[:body.index(b"rootfs") - 20], "no end boundary": body[:-6]}[cut]
    headers = {"Content-Type": kind} if "part" in cut or "boundary" in cut else OCTETS
    assert failed(api, api.post("/1.0/images", data=data, headers=headers))


@pytest.mark.parametrize("end", ["close", "reset", "half close"])
@pytest.mark.parametrize("form", ["length", "chunked", "multipart"])
def test_r33_a_client_that_vanishes_leaves_nothing(api, no_image_more, form, end):
    sock = api.raw_socket()
    head = "POST /1.0/images HTTP/1.1\r\nHost: l\r\n"
    payload = os.urandom(300_000)
    if form == "length":
        sock.sendall((head + "Content-Type: application/octet-stream\r\nContent-Length: 9000000\r\n\r\n").encode() + payload)
    elif form == "chunked":
        sock.sendall((head + "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
                     + f"{len(payload):x}\r\n".encode() + payload + b"\r\n")
    else:
        body, kind = multipart(GOOD, payload)
        sock.sendall((head + f"Content-Type: {kind}\r\nContent-Length: {len(body) + 9000}\r\n\r\n").encode() + body[:-100])
    time.sleep(0.2)
    if end == "half close":
        sock.shutdown(socket.SHUT_WR)
    elif end == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.ours
def test_r33_a_full_disk_leaves_nothing_and_goes_away():
    """images/ on a small file system of its own."""
    daemon = Daemon(KIND, name="full", bridge=f"lxcf{os.getpid() % 1000}", subnet="10.72.67")
    folder = daemon.dir / "images"
    folder.mkdir(mode=0o700)
    run("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", folder)
    try:
        api = daemon.start().setup().api
        before = images_of(daemon)
        noise = make_tar([entry("metadata.yaml", metadata("full")), *rootfs_members(), entry("rootfs/noise", os.urandom(6 << 20))])
        for data, headers in ((noise, OCTETS), (multipart(GOOD, noise)[0], {"Content-Type": multipart(GOOD, noise)[1]})):
            operation = api.wait(api.post("/1.0/images", data=data, headers=headers).operation())
            assert operation["status_code"] == 400 and "No space left" in operation["err"], operation["err"]
            assert images_of(daemon) == before
        api.run("POST", "/1.0/images", data=GOOD, headers=OCTETS)
        assert api.get(f"/1.0/images/{RIGHT}").status == 200
        assert not [left for left in daemon.stop() if not left.endswith("/images")]
    finally:
        daemon.stop(remove=False)
        run("umount", "-l", folder, check=False)
        daemon.destroy()
