# SPDX-License-Identifier: Apache-2.0
"""Every configuration key that docs/compatibility.md names: one that works is taken and kept, one that is refused is
refused by an error that names it. The tables are those of lib/config."""
import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/lint"))
from check_compatibility import TABLE, key_tables  # noqa: E402
from daemons import Daemon  # noqa: E402

POOLS = "/1.0/storage-pools"
UUID = "9c4b1f1e-6a55-4c3e-8a0e-0b5a3d3b4a11"
# By validator; "any" where there is none of it.
SAMPLES = {"any": "x", "boolean": "true", "size": "64MiB", "int64": "7", "uint32": "5", "uint8": "5", "priority": "3",
           "expiry": "2d", "schedule": "@daily", "volume_schedule": "@daily", "mtu": "1400", "mac": "00:16:3e:12:34:56",
           "uuid": UUID, "user_data": "#cloud-config\n{}\n", "yaml": "version: 1\nconfig: []\n", "cpu_set": "0",
           "cpu_allowance": "50%", "memory": "64MiB", "memory_enforce": "soft", "evacuate": "stop", "environment": "value",
           "raw_lxc": "lxc.environment = A=b", "compression": "xz", "address": "10.9.9.9", "address_v4": "10.9.9.9",
           "address_v6": "fd42::9", "networks_v4": "10.9.9.0/24", "networks_v6": "fd42:9::/64", "ranges_v4": "10.97.8.20-10.97.8.30",
           "ranges_v6": "fd42:97::20-fd42:97::30", "nat_order": "after", "bridge_v4": "10.97.8.1/24", "bridge_v6": "fd42:97::1/64",
           "nic_address_v4": "10.97.8.9", "nic_address_v6": "fd42:97::9", "interface_name": "ek0", "interface_list": "nosuch0",
           "bridge_driver": "native", "bridge_mode": "standard", "dns_mode": "dynamic", "bgp_asn": "65000", "acl_action": "drop",
           "fan_type": "ipip", "fan_underlay": "auto", "network_v4": "10.9.0.0/16", "tunnel_protocol": "vxlan", "port": "4789",
           "listen_address": "127.0.0.1:18473", "cluster_address": "127.0.0.1:0", "minimal_replica": "2", "max_standby": "3",
           "max_voters": "5", "offline_threshold": "30", "architecture": "x86_64", "propagation": "private", "vlan": "7", "vlan_list": "7"}
VALUES = {"security.syscalls.intercept.mount.fuse": "ext4=fuse2fs", "security.syscalls.allow": "read", "raw.seccomp": "2\ndenylist",
          "raw.idmap": "both 1000 1000", "limits.kernel.*": "100:200", "linux.kernel_modules": "loop", "raw.apparmor": "deny /x r,",
          "volatile.idmap.next": "[]", "volatile.last_state.idmap": "[]", "volatile.idmap.current": "[]", "volatile.idmap.last": "[]",
          "ipv4.dhcp.expiry": "2h", "ipv6.dhcp.expiry": "2h", "dns.domain": "example", "dns.search": "example.net",
          "raw.dnsmasq": "# nothing", "core.https_allowed_methods": "GET", "core.proxy_http": "http://127.0.0.1:9",
          "core.proxy_https": "http://127.0.0.1:9", "snapshots.pattern": "x%d", "btrfs.mount_options": "noatime", "limits.read": "10MB", "limits.write": "10MB",
          "limits.max": "10MB", "limits.egress": "10Mbit", "limits.ingress": "10Mbit", "security.idmap.size": "65536",
          "security.idmap.base": "1000000", "volatile.*.hwaddr": "00:16:3e:12:34:56", "volatile.apply_template": "create"}
NAMES = {"linux.sysctl.*": "linux.sysctl.net.ipv4.ip_forward", "limits.kernel.*": "limits.kernel.nofile",
         "environment.*": "environment.NAME", "volatile.*.hwaddr": "volatile.eth7.hwaddr"}


def validators():
    found = {}
    for file in sorted((ROOT / "lib/config").glob("*_keys.cpp")):
        for name, body in TABLE.findall(file.read_text(encoding="utf-8")):
            for key, default, check in re.findall(r'\{"([^"]+)",\s*"([^"]*)",\s*(?:check::)?(\w+)', body):
                found[name, key] = default, check
    return found


VALIDATORS = validators()


def cases(*tables, without=()):
    found = [(table, key, applied) for table, keys in key_tables(ROOT) for key, applied in keys.items()
             if table in tables and key not in without]
    return pytest.mark.parametrize("table,key,applied", found, ids=lambda value: str(value))


def sample(table, key):
    """(name, value) of a key, with another value than the one it has by itself."""
    default, check = VALIDATORS[table, key]
    value = VALUES.get(key, SAMPLES[check])
    return NAMES.get(key, key.replace("*", "x")), "false" if value == default == "true" else value


def check_profile(api, name, value):
    answer = api.request("POST", "/1.0/profiles", {"name": "everykey", "config": {name: value}})
    try:
        assert answer.status == 201, answer.error
        assert api.get("/1.0/profiles/everykey").metadata["config"] == {name: value}
    finally:
        api.delete("/1.0/profiles/everykey")


# What depends on the host is asked of who would use it; a profile may have it.
NOT_HERE = ("no such page size on this host", "cgroup controller is missing")


def check(api, path, name, value, applied, present=None):
    """`present` is what the server has while it is set."""
    answer = api.run("PATCH", path, {"config": {name: value}}, ok=False)
    error = answer["err"] if isinstance(answer, dict) else answer.json.get("error", "")
    if any(text in error for text in NOT_HERE):
        return check_profile(api, name, value)
    if not applied:
        assert name in error, error
        assert name not in api.get(path).metadata["config"]
        return
    try:
        assert not error
        assert api.get(path).metadata["config"][name] == (present or value)
    finally:
        api.run("PATCH", path, {"config": {name: ""}}, ok=False)


@pytest.fixture(scope="module")
def instance(shared_daemon):
    path = "/1.0/instances/everykey"
    shared_daemon.api.run("POST", "/1.0/instances", {"name": "everykey", "source": {"type": "none"}})
    yield path
    shared_daemon.api.run("DELETE", path)


# Of virtual machines: a container refuses them, a profile may have them.
MACHINES = ("agent.nic_config", "limits.memory.hugepages", "migration.stateful", "raw.qemu", "raw.qemu.conf",
            "security.agent.metrics", "security.secureboot")
RECORDS = ("volatile.idmap.current", "volatile.idmap.next", "volatile.apply_nvram")


@pytest.mark.ours
@cases("instance", without=(*MACHINES, *RECORDS))
def test_of_an_instance(api, instance, table, key, applied):
    check(api, instance, *sample(table, key), applied)


@pytest.mark.ours
@pytest.mark.parametrize("key", RECORDS)
def test_of_what_only_the_server_writes(api, instance, key):
    assert api.request("PATCH", instance, {"config": {key: "[]"}}).status >= 400


@pytest.mark.ours
@pytest.mark.parametrize("key", MACHINES)
def test_of_virtual_machines(api, instance, key):
    answer = api.request("PATCH", instance, {"config": dict([sample("instance", key)])})
    assert answer.error == f"Invalid config: Unknown configuration key: {key}"
    check_profile(api, *sample("instance", key))


@pytest.fixture(scope="module")
def bridge(shared_daemon):
    name = shared_daemon.bridge[:10] + "ek"
    shared_daemon.api.run("POST", "/1.0/networks", {"name": name, "config": {"ipv4.address": "10.97.8.1/24",
                                                                             "ipv6.address": "fd42:97::1/64"}})
    yield f"/1.0/networks/{name}"
    shared_daemon.api.run("DELETE", f"/1.0/networks/{name}")


@pytest.mark.ours
@cases("bridge", without=("ipv4.address", "ipv6.address"))
def test_of_a_network(api, bridge, table, key, applied):
    check(api, bridge, *sample(table, key), applied)


@pytest.fixture(scope="module")
def volume(shared_daemon):
    path = f"{POOLS}/default/volumes/custom/everykey"
    shared_daemon.api.run("POST", f"{POOLS}/default/volumes/custom", {"name": "everykey"})
    yield path
    shared_daemon.api.run("DELETE", path)


@pytest.mark.ours
@cases("volume")
def test_of_a_volume(api, volume, table, key, applied):
    check(api, volume, *sample(table, key), applied)


@pytest.mark.ours
@cases("dir_pool", "btrfs_pool", without=("source", "volatile.initial_source"))
def test_of_a_pool(api, daemon, table, key, applied):
    (name, value), driver = sample(table, key), table.removesuffix("_pool")
    offered = [d["Name"] for d in api.get("/1.0").metadata["environment"]["storage_supported_drivers"]]
    if driver not in offered:
        pytest.skip(f"no {driver} here")
    config = {"size": "150MiB"} if driver == "btrfs" else {}
    api.run("POST", POOLS, {"name": "everykey", "driver": driver, "config": config | {name: "200MiB" if name == "size" else value}})
    try:
        now = api.get(f"{POOLS}/everykey").metadata["config"]
        assert now[name]
        api.run("PUT", f"{POOLS}/everykey", {"description": "changed", "config": now})
    finally:
        api.run("DELETE", f"{POOLS}/everykey")


@pytest.mark.ours
@cases("disk", "bridged", "p2p", "none")
def test_of_a_device(api, daemon, instance, table, key, applied):
    name, value = sample(table, key)
    device = {"disk": {"type": "disk", "path": "/mnt", "source": "/"}, "none": {"type": "none"},
              "p2p": {"type": "nic", "nictype": "p2p"},
              "bridged": {"type": "nic", "nictype": "bridged", "parent": daemon.bridge}}[table]
    if name in device and name != "type":
        value = device[name]
    if name in ("pool", "size", "size.state"):
        device = {"type": "disk", "path": "/", "pool": "default"}
        value = "default" if name == "pool" else value
    if name == "network":
        device, value = {"type": "nic"}, daemon.bridge
    if not applied:  # by what would use it; a profile may have it
        answer = api.run("PATCH", instance, {"devices": {"it": device | {name: value}}}, ok=False)
        assert name in (answer["err"] if isinstance(answer, dict) else answer.error)
        return
    answer = api.request("POST", "/1.0/profiles", {"name": "everykey", "devices": {"it": device | {name: value}}})
    try:
        assert answer.status == 201, answer.error
        assert api.get("/1.0/profiles/everykey").metadata["devices"]["it"][name] == value
    finally:
        api.delete("/1.0/profiles/everykey")


@pytest.fixture(scope="module")
def server():
    """One whose settings nobody else needs."""
    daemon = Daemon("lxdcored", name="keys", bridge=f"lxck{os.getpid() % 1000}")
    try:
        yield daemon.start().api
    finally:
        daemon.stop()
        daemon.destroy()


@pytest.mark.ours
@cases("server", without=("storage.backups_volume", "storage.images_volume"))
def test_of_the_server(server, table, key, applied):
    name, value = sample(table, key)
    check(server, "/1.0", name, value, applied, present=True if name == "core.trust_password" else None)


@pytest.mark.ours
@pytest.mark.parametrize("key", ["storage.backups_volume", "storage.images_volume"])
def test_of_volumes_of_the_server(api, volume, key):
    check(api, "/1.0", key, "default/everykey", True)
