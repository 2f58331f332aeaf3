# SPDX-License-Identifier: Apache-2.0
"""Images and their aliases."""
from engine import Step as S
from tarballs import entry, make_tar, metadata, multipart, tiny_image


def images():
    i = "/1.0/images"
    octets = {"Content-Type": "application/octet-stream"}
    split = lambda c: multipart(*c.image2)[0]  # noqa: E731
    split_type = multipart(b"", b"")[1]
    empty = make_tar([entry("rootfs/x", b"")])
    bad_yaml = make_tar([entry("metadata.yaml", b"architecture: [\n"), entry("rootfs/x", b"")])
    no_arch = make_tar([entry("metadata.yaml", b"creation_date: 1\n"), entry("rootfs/x", b"")])
    odd_arch = make_tar([entry("metadata.yaml", b"architecture: vax\ncreation_date: 1\n"), entry("rootfs/x", b"")])
    no_date = make_tar([entry("metadata.yaml", b"architecture: x86_64\n"), entry("rootfs/x", b"")])
    fp = i + "/{fp}"
    return [
        S("GET", i), S("GET", i + "?recursion=1"), S("GET", i + "/nosuch"), S("GET", i + "/" + "0" * 64),
        S("POST", i, data=lambda c: c.image, headers={**octets, "X-LXD-properties": "prop=one&other=a%20b",
                                                       "X-LXD-public": "true", "X-LXD-filename": "tiny.tar.gz"}),
        S("GET", fp, etag=False), S("GET", i + "/{fp12}".replace("{fp12}", "{fp}")), S("GET", i),
        S("POST", i, data=lambda c: c.image, headers=octets, note="again"),
        S("POST", i, data=split, headers={"Content-Type": split_type}), S("GET", i + "/{fp2}"),
        S("POST", i, data=lambda c: c.image[:200], headers=octets, note="truncated"),
        S("POST", i, data=b"no archive at all", headers=octets, note="garbage"),
        S("POST", i, data=b"", headers=octets, note="empty"),
        S("POST", i, data=empty, headers=octets, note="no metadata"),
        S("POST", i, data=bad_yaml, headers=octets, note="bad YAML"),
        S("POST", i, data=no_arch, headers=octets, note="no architecture"),
        S("POST", i, data=odd_arch, headers=octets, note="unknown architecture"),
        S("POST", i, data=no_date, headers=octets, note="no date"),
        S("POST", i, data=tiny_image("third"), headers={**octets, "X-LXD-fingerprint": "0" * 64}, note="wrong fingerprint"),
        S("POST", i, {"source": {"type": "nosuch"}}), S("POST", i, {}),
        S("POST", i, {"source": {"type": "instance", "name": "nosuch"}}),
        S("POST", i, {"source": {"type": "image", "fingerprint": "nosuch"}}),
        S("GET", fp, via="tls", note="public"), S("GET", i, via="tls"), S("GET", i + "?recursion=1", via="tls"),
        S("GET", i + "/{fp2}", via="tls", note="private"),
        S("GET", fp + "/export", ignore=("<body>",)), S("GET", i + "/nosuch/export"), S("GET", i + "/{fp2}/export", via="tls"),
        S("PUT", fp, {"public": False, "auto_update": False, "properties": {"os": "Changed"}, "profiles": ["default"]}),
        S("GET", fp), S("PATCH", fp, {"properties": {"extra": "1"}}), S("GET", fp), S("PATCH", fp, {"public": True}), S("GET", fp),
        S("PUT", fp, {"public": False}, headers={"If-Match": "0" * 64}), S("PUT", fp, {"profiles": ["nosuch"]}),
        S("PUT", fp, {"expires_at": "2031-01-01T00:00:00Z", "properties": {}, "profiles": ["default"]}), S("GET", fp),
        S("PUT", i + "/nosuch", {}), S("PATCH", i + "/nosuch", {}), S("PUT", fp, data=b"{", note="truncated"),
        S("PUT", fp, {"public": "yes"}), S("POST", fp, {}), S("POST", fp + "/refresh", {}), S("POST", i + "/nosuch/refresh"),
        S("POST", fp + "/secret", follow=False), S("POST", i + "/nosuch/secret"), S("POST", fp + "/export", {}),
        S("GET", i + "?filter=properties.os%20eq%20Busybox"), S("GET", i + "?filter=public%20eq%20true"),
        S("GET", i + "?recursion=1&filter=properties.os%20eq%20nosuch"), S("GET", i + "?filter=broken"),
        S("GET", i + "/%25", deviation="D1"), S("GET", i + "/{fp}x"), S("GET", i + "/..%2f..%2fx"),
        S("DELETE", i + "/nosuch"), S("DELETE", i + "/{fp2}"), S("GET", i + "/{fp2}"), S("DELETE", i + "/{fp2}"),
        S("GET", i + "/aliases"), S("GET", i + "/aliases?recursion=1"), S("GET", i + "/aliases/nosuch"),
        S("POST", i + "/aliases", {"name": "t", "target": "{fp}", "description": "tiny"}), S("GET", i + "/aliases/t", etag=True),
        S("POST", i + "/aliases", {"name": "t", "target": "{fp}"}, note="twice"), S("POST", i + "/aliases", {"name": "u"}),
        S("POST", i + "/aliases", {"target": "{fp}"}), S("POST", i + "/aliases", {"name": "u", "target": "nosuch"}),
        S("POST", i + "/aliases", {"name": "a/b", "target": "{fp}"}), S("GET", i + "/aliases/a%2Fb"), S("GET", fp),
        S("POST", i + "/aliases", data=b"[", note="truncated"), S("POST", i + "/aliases", {"name": 1, "target": "{fp}"}),
        S("PUT", i + "/aliases/t", {"description": "new", "target": "{fp}"}), S("GET", i + "/aliases/t", etag=True),
        S("PUT", i + "/aliases/t", {"target": "nosuch"}), S("PUT", i + "/aliases/t", {}), S("PUT", i + "/aliases/nosuch", {"target": "{fp}"}),
        S("PATCH", i + "/aliases/t", {"description": "patched"}), S("GET", i + "/aliases/t"),
        S("PUT", i + "/aliases/t", {"target": "{fp}"}, headers={"If-Match": "0" * 64}),
        S("POST", i + "/aliases/t", {"name": "u"}), S("GET", i + "/aliases/t"), S("GET", i + "/aliases/u"),
        S("POST", i + "/aliases/u", {"name": "bb"}), S("POST", i + "/aliases/nosuch", {"name": "x"}),
        S("GET", i + "/aliases", via="tls"), S("GET", i + "/aliases/bb", via="tls"), S("GET", i + "/aliases/u", via="tls"),
        S("DELETE", i + "/aliases/a%2Fb"), S("DELETE", i + "/aliases/u"), S("DELETE", i + "/aliases/u"),
        S("DELETE", fp), S("GET", i), S("GET", i + "/aliases"), S("HEAD", i),
    ]
