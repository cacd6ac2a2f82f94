"""Announcements on a real link: what arrives at its other end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from cni_userspace.host import netns as namespaces
from cni_userspace.host.neighbours import announce
from tests.support import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.netns import Netns

MAC = "02:00:00:00:12:34"
ETH_P_ALL = 3
SECONDS = 20


@pytest.fixture
def fd(netns: Netns) -> Iterator[int]:
    """Give a namespace with a veth pair, net1 and far, both up and without addresses of the kernel's."""
    netns.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
    netns.run("ip", "link", "add", "name", "net1", "address", MAC, "type", "veth", "peer", "name", "far")
    for name in ("net1", "far"):
        netns.run("ip", "link", "set", name, "up")
    with open(netns.path, "rb") as file:
        yield file.fileno()


@pytest.fixture
def far(fd: int) -> Iterator[socket.socket]:
    """Give the other end of the link, listening."""
    with namespaces.Inside(fd):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with end:
        end.bind(("far", ETH_P_ALL))
        end.settimeout(SECONDS)
        yield end


def heard(far: socket.socket, count: int) -> list[bytes]:
    return [far.recv(2000).ljust(frames.LEAST, b"\0") for _ in range(count)]


def silent(far: socket.socket) -> bool:
    """Tell whether nothing has arrived; a veth pair hands a frame over before the sender goes on."""
    far.settimeout(0)
    try:
        far.recv(1)
    except BlockingIOError:
        return True
    return False


def request(address: str) -> bytes:
    """Return the announcement as a request: the other form of RFC 5227's, with another operation."""
    reply = frames.arp(MAC, address)
    return reply[:20] + b"\0\1" + reply[22:]


def test_each_address_is_announced_once_and_in_its_order(fd: int, far: socket.socket) -> None:
    given = ["192.0.2.1/24", "fd00::1/64", "198.51.100.255", "2001:db8::ffff:ffff"]
    assert announce(fd, "net1", MAC, given) == []
    assert heard(far, 4) == [
        request("192.0.2.1"),
        frames.advertisement(MAC, "fd00::1"),
        request("198.51.100.255"),
        frames.advertisement(MAC, "2001:db8::ffff:ffff"),
    ]
    assert silent(far)


@pytest.mark.parametrize("address", ["192.0.2.1", "fd00::1"])
def test_a_neighbour_learns_the_new_mac(netns: Netns, fd: int, address: str) -> None:
    netns.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/far/disable_ipv6")
    netns.run("ip", "neighbour", "add", address, "lladdr", "02:00:00:00:00:99", "dev", "far", "nud", "stale")
    announce(fd, "net1", MAC, [address])
    assert MAC in netns.run("ip", "neighbour", "show", address, "dev", "far")


def test_a_link_that_is_down_is_said_so(netns: Netns, fd: int) -> None:
    netns.run("ip", "link", "set", "net1", "down")
    assert announce(fd, "net1", MAC, ["192.0.2.1/24", "fd00::1/64"]) == [
        "192.0.2.1/24 was not announced on net1: Network is down",
        "fd00::1/64 was not announced on net1: Network is down",
    ]


def test_a_link_without_a_carrier_ends_nothing(netns: Netns, fd: int) -> None:
    netns.run("ip", "link", "set", "far", "down")
    assert announce(fd, "net1", MAC, ["192.0.2.1/24"]) in (
        [],
        ["192.0.2.1/24 was not announced on net1: Network is down"],
        ["192.0.2.1/24 was not announced on net1: No buffer space available"],
    )


def test_a_link_that_is_not_there_is_said_so(fd: int) -> None:
    assert announce(fd, "net10", MAC, ["192.0.2.1/24"]) == [
        "192.0.2.1/24 was not announced on net10: No such device"
    ]


def test_what_is_no_ethernet_announces_nothing(fd: int, far: socket.socket) -> None:
    assert announce(fd, "net1", "", ["192.0.2.1/24"]) != []
    assert silent(far)


def test_no_address_is_no_frame(fd: int, far: socket.socket) -> None:
    assert announce(fd, "net1", MAC, []) == []
    assert silent(far)
