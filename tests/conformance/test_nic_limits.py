# SPDX-License-Identifier: Apache-2.0
"""Rates of bridged NICs as the kernel holds them: at a start, plugged in, changed, and gone with the NIC."""
import pytest

from daemons import run

pytestmark = pytest.mark.ours  # LXD has other rules for the same rates


class Nic:
    def __init__(self, api, daemon, instance, name):
        self.api, self.bridge, self.instance, self.name = api, daemon.bridge, instance, name

    def set(self, **limits):
        devices = self.api.get(f"/1.0/instances/{self.instance}").metadata["devices"]
        devices[self.name] = {"type": "nic", "network": self.bridge, "name": self.name,
                              **{f"limits.{key}": value for key, value in limits.items()}}
        self.api.run("PATCH", f"/1.0/instances/{self.instance}", {"devices": devices})

    def state(self, action):
        self.api.run("PUT", f"/1.0/instances/{self.instance}/state", {"action": action, "force": True})

    @property
    def link(self):
        return self.api.get(f"/1.0/instances/{self.instance}").metadata["config"][f"volatile.{self.name}.host_name"]

    def sent_to_the_guest(self):
        """tc's words for it."""
        return run("/usr/sbin/tc", "class", "show", "dev", self.link).stdout

    def taken_from_the_guest(self):
        return run("/usr/sbin/nft", "list", "table", "netdev", f"lxdcore.{self.link}", check=False).stdout


def holds(nic, ingress, egress):
    return f"rate {ingress}" in nic.sent_to_the_guest() and f"limit rate over {egress} bytes/second" in nic.taken_from_the_guest()


def test_the_rates_of_a_bridged_nic_hold_from_the_start(api, daemon, container):
    nic = Nic(api, daemon, container, "eth0")
    nic.set(ingress="8Mbit", egress="4Mbit")
    nic.state("start")
    assert holds(nic, "8Mbit", 500000)
    nic.set(max="2Mbit")
    assert holds(nic, "2Mbit", 250000)
    link = nic.link
    nic.state("stop")
    assert f"lxdcore.{link}" not in run("/usr/sbin/nft", "list", "ruleset").stdout


def test_the_rates_of_a_bridged_nic_hold_when_it_is_plugged_in(api, daemon, running):
    api.run("PATCH", f"/1.0/instances/{running}", {"devices": {"eth0": {"type": "none"}}})
    nic = Nic(api, daemon, running, "eth1")
    nic.set(ingress="8Mbit", egress="4Mbit")
    assert api.exec(running, ["ls", "/sys/class/net"])[1].split() == ["eth1", "lo"]
    assert holds(nic, "8Mbit", 500000)
    nic.set()
    assert nic.sent_to_the_guest() == "" and nic.taken_from_the_guest() == ""
