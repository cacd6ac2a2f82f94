"""What `userspace list` sees of a device inside its container: a real namespace.

Its loopback device stands in for the one that was moved there: on kernels before
5.14 nothing but its name tells a device (see `netdev.in_container`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cni_userspace.host import netns as seen
from cni_userspace.node import devices
from tests.support.allocated import PF, VF, keep, key, record, taken
from tests.support.netns import Netns
from tests.support.sysfs import MadeUpSysfs

if TYPE_CHECKING:
    from pathlib import Path

    from cni_userspace.node.devices import Device


class Node:
    """A node with one VF, whose container is a namespace."""

    def __init__(self, directory: str, netns: Netns, ifname: str = "lo") -> None:
        """Write record and allocation."""
        self.state = f"{directory}/state"
        self.sysfs = MadeUpSysfs(f"{directory}/sys")
        self.sysfs.pf(PF, [VF])
        whose, holder = key(ifname=ifname), {"netns": netns.path, "netns_id": seen.identity(netns.path)}
        self.made = record(self.state, whose).replace(**holder)
        keep(self.state, self.made, taken(key=whose, **holder))

    def look(self) -> Device:
        """Return what is seen of the VF."""
        return devices.look(self.state, [self.made], self.sysfs.seam).recorded[self.made.key]


@pytest.fixture
def node(tmp_path: Path, netns: Netns) -> Node:
    """Give a node with a container."""
    return Node(str(tmp_path), netns)


def test_its_link_is_looked_at_in_the_container(node: Node, netns: Netns) -> None:
    netns.run("ip", "link", "set", "lo", "down")
    assert (node.look().link, node.look().connected) == ("down", False)
    netns.run("ip", "link", "set", "lo", "up", "mtu", "4000")
    found = node.look()
    assert (found.link, found.connected, found.mac, found.mtu) == ("up", True, "00:00:00:00:00:00", 4000)


def test_the_counters_are_the_containers_turned_round(node: Node, netns: Netns) -> None:
    netns.run("ip", "link", "set", "lo", "up")
    netns.run("ping", "-q", "-c", "2", "-i", "0.2", "127.0.0.1")
    counters = node.look().counters
    assert set(counters) == {f"{w}_{what}" for w in ("rx", "tx") for what in ("packets", "bytes", "dropped")}
    assert counters["rx_packets"] == counters["tx_packets"] >= 4


def test_a_device_that_is_not_in_its_container_is_gone(tmp_path: Path, netns: Netns) -> None:
    assert Node(str(tmp_path), netns, "net1").look().link == "gone"


def test_a_device_in_a_namespace_that_has_gone_is_gone(node: Node, netns: Netns) -> None:
    netns.close()
    assert node.look().link == "gone"


def test_a_namespace_that_lives_out_of_sight_leaves_the_link_unknown(tmp_path: Path, netns: Netns) -> None:
    node = Node(str(tmp_path), netns)
    node.made = node.made.replace(netns=f"{netns.path}-elsewhere")
    keep(node.state, taken(key=node.made.key, netns=node.made.netns, netns_id=node.made.netns_id))
    assert node.look().link == "unknown"


def test_looking_leaves_this_process_where_it_was(node: Node) -> None:
    before = os.stat(seen.OWN_THREAD).st_ino
    node.look()
    assert os.stat(seen.OWN_THREAD).st_ino == before
