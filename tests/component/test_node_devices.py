"""What `userspace list` sees of a device inside its container: a real namespace.

Its loopback device stands in for the one that was moved there: on kernels before
5.14 nothing but its name tells a device (see `netdev.in_container`).
"""

from __future__ import annotations

import os
import sys
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
    from tests.conftest import MakeNetns


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


def send(name: str, count: int) -> str:
    """Return a program that sends frames of 60 bytes out of an interface."""
    frame = "bytes(12) + bytes.fromhex('88b5') + bytes(46)"
    return (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); "
        f"s.bind(({name!r}, 0)); [s.send({frame}) for _ in range({count})]"
    )


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


def test_it_has_the_kernels_counters(node: Node, netns: Netns) -> None:
    netns.run(sys.executable, "-c", send("lo", 3))
    counters = node.look().counters
    assert counters["rx_packets"] == counters["tx_packets"] >= 3


def test_the_counters_are_the_containers_turned_round(make_netns: MakeNetns) -> None:
    here, there = make_netns(), make_netns()
    for netns in (here, there):
        netns.run("sysctl", "-q", "net.ipv6.conf.default.disable_ipv6=1")
    here.run("ip", "link", "add", "net1", "type", "veth", "peer", "name", "net2", "netns", there.name)
    for netns, name in ((here, "net1"), (there, "net2")):
        netns.run("ip", "link", "set", name, "up")
    here.run(sys.executable, "-c", send("net1", 3))
    there.run(sys.executable, "-c", send("net2", 5))
    opened = seen.opened(here.path)
    try:
        counters = devices.counted(opened, "net1")
    finally:
        os.close(opened)
    assert counters == {
        "rx_packets": 3,
        "tx_packets": 5,
        "rx_bytes": 3 * 60,
        "tx_bytes": 5 * 60,
        "rx_dropped": 0,
        "tx_dropped": 5,  # nobody there takes that EtherType
    }


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
