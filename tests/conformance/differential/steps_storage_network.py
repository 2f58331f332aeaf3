# SPDX-License-Identifier: Apache-2.0
"""Storage pools with their volumes, and networks."""
from engine import Step as S


def storage():
    p = "/1.0/storage-pools"
    return [
        S("GET", p), S("GET", p + "?recursion=1"), S("GET", p + "/default", etag=True), S("GET", p + "/nosuch"),
        S("GET", p + "/default/resources", shape=("metadata",)), S("GET", p + "/nosuch/resources"),
        S("POST", p, {"name": "second", "driver": "dir", "description": "two"}), S("GET", p + "/second", etag=True),
        S("POST", p, {"name": "second", "driver": "dir"}, note="twice"), S("POST", p, {}), S("POST", p, {"name": "x"}),
        S("POST", p, {"driver": "dir"}), S("POST", p, {"name": "x", "driver": "nosuch"}),
        S("POST", p, {"name": "a/b", "driver": "dir"}), S("POST", p, {"name": "..", "driver": "dir"}),
        S("POST", p, {"name": "x", "driver": "dir", "config": {"nosuch": "1"}}),
        S("POST", p, {"name": "x", "driver": "dir", "config": {"rsync.bwlimit": "fast"}}),
        S("POST", p, {"name": "x", "driver": "dir", "config": {"source": "/nosuch/dir"}}),
        S("POST", p, {"name": "x", "driver": "dir", "config": {"size": "1GiB"}}),
        S("POST", p, data=b"{", note="truncated"), S("POST", p, {"name": 1}), S("POST", p, {"name": "x", "config": 1}),
        S("PUT", p + "/second", {"description": "changed", "config": {"rsync.compression": "false"}}),
        S("GET", p + "/second", etag=True), S("PATCH", p + "/second", {"config": {"user.x": "y"}}), S("GET", p + "/second", etag=True),
        S("PATCH", p + "/second", {"config": {"source": "/tmp"}}), S("PATCH", p + "/second", {"config": {"nosuch": "1"}}),
        S("PATCH", p + "/second", {"config": {"rsync.compression": "perhaps"}}),
        S("PUT", p + "/second", {"config": {}}, headers={"If-Match": "0" * 64}), S("PUT", p + "/nosuch", {}),
        S("POST", p + "/second", {"name": "x"}), S("DELETE", p + "/default"), S("DELETE", p + "/nosuch"),
        S("GET", p + "/second/volumes"), S("GET", p + "/default/volumes"), S("GET", p + "/default/volumes?recursion=1"),
        S("GET", p + "/default/volumes/container"), S("GET", p + "/default/volumes/custom"), S("GET", p + "/default/volumes/image"),
        S("GET", p + "/default/volumes/nosuch"), S("GET", p + "/nosuch/volumes"), S("GET", p + "/default/volumes/container/nosuch"),
        S("GET", p + "/default/volumes/custom/nosuch"), S("GET", p + "/default/volumes/custom/nosuch/state"),
        S("DELETE", p + "/second"), S("GET", p + "/second"), S("DELETE", p + "/second"), S("GET", p),
    ]


def networks():
    n = "/1.0/networks"
    config = {"ipv4.address": "192.0.2.1/24", "ipv6.address": "none"}
    two = "{br}b"

    def bad(**values):
        return S("POST", n, {"name": "{br}c", "type": "bridge",
                             "config": {"ipv4.address": "none", "ipv6.address": "none", **values}})

    steps = [
        S("GET", n + "/{br}", etag=False), S("GET", n + "/nosuch"), S("GET", n + "/{br}/state", shape=("metadata",)),
        S("GET", n + "/nosuch/state"), S("GET", n + "/{br}/leases"), S("GET", n + "/nosuch/leases"), S("GET", n + "/lo"),
        S("GET", n + "/lo/state", shape=("metadata",)),
        S("POST", n, {"name": two, "type": "bridge", "description": "two", "config": config}), S("GET", n + "/" + two, etag=False),
        S("POST", n, {"name": two, "type": "bridge", "config": config}, note="twice"), S("POST", n, {}),
        S("POST", n, {"name": ""}), S("POST", n, {"name": "x"}), S("POST", n, {"name": "much-too-long-a-name"}),
        S("POST", n, {"name": "a b"}), S("POST", n, {"name": "a/b"}), S("POST", n, {"name": ".."}), S("POST", n, {"name": "-ab"}),
        S("POST", n, {"name": "ok{br}"[:6], "type": "nosuch"}), S("POST", n, data=b"{", note="truncated"),
        S("POST", n, {"name": 7}), S("POST", n, {"name": "{br}c", "config": "x"}),
        bad(**{"nosuch": "1"}), bad(**{"ipv4.address": "nonsense"}), bad(**{"ipv4.address": "10.1.1.1"}),
        bad(**{"ipv4.address": "300.1.1.1/24"}), bad(**{"ipv4.nat": "perhaps"}), bad(**{"ipv4.dhcp.ranges": "x"}),
        bad(**{"ipv4.dhcp": "maybe"}), bad(**{"ipv6.address": "10.0.0.1/24"}), bad(**{"bridge.mtu": "big"}),
        bad(**{"bridge.mode": "nosuch"}), bad(**{"bridge.driver": "nosuch"}), bad(**{"dns.mode": "nosuch"}),
        bad(**{"bridge.hwaddr": "xx"}), bad(**{"ipv4.firewall": "7"}), bad(**{"ipv6.dhcp.stateful": "7"}),
        bad(**{"dns.domain": "bad domain"}), bad(**{"ipv4.routes": "x"}), bad(**{"bridge.external_interfaces": "bad iface!"}),
        bad(**{"ipv4.dhcp.expiry": "soon"}), bad(**{"ipv4.nat.address": "x"}), bad(**{"ipv4.nat.order": "x"}),
        S("PUT", n + "/" + two, {"description": "changed", "config": {**config, "dns.domain": "example", "user.a": "b"}}),
        S("GET", n + "/" + two, ignore=("metadata.config.volatile*",)),
        S("PATCH", n + "/" + two, {"config": {"ipv4.nat": "true"}}), S("GET", n + "/" + two),
        S("PATCH", n + "/" + two, {"config": {"ipv4.nat": ""}}), S("GET", n + "/" + two),
        S("PATCH", n + "/" + two, {"config": {"ipv4.address": "192.0.2.9/26", "ipv6.address": "2001:db8:5::1/64",
                                              "ipv6.nat": "true"}}),
        S("GET", n + "/" + two), S("GET", n + "/" + two + "/state", shape=("metadata.counters",),
                                   ignore=("metadata.addresses", "metadata.state", "metadata.hwaddr")),
        S("PATCH", n + "/" + two, {"config": {"nosuch": "1"}}), S("PUT", n + "/" + two, {}, headers={"If-Match": "0" * 64}),
        S("PUT", n + "/nosuch", {}), S("PATCH", n + "/nosuch", {}), S("PUT", n + "/lo", {"config": {"user.x": "1"}}),
        S("POST", n + "/" + two, {}), S("POST", n + "/" + two, {"name": "{br}"}), S("POST", n + "/" + two, {"name": "a/b"}),
        S("POST", n + "/nosuch", {"name": "x1"}), S("POST", n + "/" + two, {"name": "{br}d"}), S("GET", n + "/" + two),
        S("GET", n + "/{br}d"), S("DELETE", n + "/{br}"), S("DELETE", n + "/nosuch"), S("DELETE", n + "/lo"),
        S("DELETE", n + "/{br}d"), S("DELETE", n + "/{br}d"), S("GET", n + "/{br}d"),
    ]
    return steps
