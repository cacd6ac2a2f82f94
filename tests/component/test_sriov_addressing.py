"""Addresses and routes on the container's interface, on a veth; ip(8) says what is true."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.cni.result import IP, Result
from cni_userspace.engines.sriov import addressing
from cni_userspace.errors import ConflictError
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Netlink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeNetns
    from tests.support.netns import Netns

PREFIX = "2001:db8:5::"


@pytest.fixture
def neighbour(make_netns: MakeNetns) -> Netns:
    return make_netns()


@pytest.fixture
def container(netns: Netns, neighbour: Netns) -> Netns:
    """Give a namespace with net1, up, whose other end is the neighbour's."""
    netns.run(
        "ip", "link", "add", "name", "net1", "type", "veth", "peer", "name", "net1", "netns", neighbour.path
    )
    for end in (netns, neighbour):
        end.run("ip", "link", "set", "dev", "net1", "up")
    return netns


@pytest.fixture
def opened(container: Netns) -> Iterator[int]:
    fd = os.open(container.path, os.O_RDONLY)
    yield fd
    os.close(fd)


def configure(opened: int, assigned: Result) -> dict[str, Any]:
    deadline = Deadline(30)
    with Netlink(deadline, opened) as inside:
        link = inside.link("net1")
        assert link is not None
        return addressing.configure(inside, opened, link, assigned, deadline)


def shown(netns: Netns, *words: str) -> list[dict[str, Any]]:
    return list(json.loads(netns.run("ip", "-j", *words)))


def test_a_second_default_route_gets_a_metric_behind_the_first(container: Netns, opened: int) -> None:
    routes = ({"dst": "0.0.0.0/0"},)
    first = Result(ips=(IP(address="192.0.2.2/24", gateway="192.0.2.1"),), routes=routes)
    second = Result(ips=(IP(address="198.51.100.2/24", gateway="198.51.100.1"),), routes=routes)
    configure(opened, first)
    assert configure(opened, second)["routes"][0]["gateway"] == "198.51.100.1"
    defaults = [(r["gateway"], r.get("metric", 0)) for r in shown(container, "route", "show", "default")]
    assert defaults == [("192.0.2.1", 0), ("198.51.100.1", 1001)]


def test_a_route_that_is_there_already_gets_a_metric_too(container: Netns, opened: int) -> None:
    route = ({"dst": "10.8.0.0/16", "gw": "192.0.2.1"},)
    for address in ("192.0.2.2/24", "192.0.2.3/24"):
        configure(opened, Result(ips=(IP(address=address),), routes=route))
    metrics = [r.get("metric", 0) for r in shown(container, "route", "show", "10.8.0.0/16")]
    assert metrics == [0, 1001]


def test_an_address_is_kept_as_the_kernel_writes_it(container: Netns, opened: int) -> None:
    made = configure(opened, Result(ips=(IP(address="2001:DB8:0005:0::2/64"),)))
    assert made["addresses"] == [f"{PREFIX}2/64"]
    assert "tentative" not in container.run("ip", "-6", "address", "show", "dev", "net1", "scope", "global")


def test_an_address_of_another_station_is_told(container: Netns, neighbour: Netns, opened: int) -> None:
    neighbour.run("ip", "address", "add", f"{PREFIX}2/64", "dev", "net1", "nodad")
    with pytest.raises(ConflictError, match="another station's") as caught:
        configure(opened, Result(ips=(IP(address=f"{PREFIX}2/64"),)))
    assert f"{PREFIX}2/64" in caught.value.details
    assert container.run("ip", "-6", "address", "show", "dev", "net1", "dadfailed")


def test_an_address_can_be_used_when_it_is_there(container: Netns, opened: int) -> None:
    configure(opened, Result(ips=(IP(address=f"{PREFIX}2/64"),)))
    (link,) = shown(container, "address", "show", "dev", "net1")
    (ours,) = (a for a in link["addr_info"] if a["local"] == f"{PREFIX}2")
    assert "tentative" not in ours


def test_a_neighbour_that_knew_the_address_elsewhere_learns_of_it_at_once(
    container: Netns, neighbour: Netns, opened: int
) -> None:
    old, ours = "02:00:00:00:00:09", (f"{PREFIX}2", "192.0.2.2")
    neighbour.run("ip", "address", "add", "192.0.2.1/24", "dev", "net1")
    neighbour.run("ip", "address", "add", f"{PREFIX}1/64", "dev", "net1", "nodad")
    for address in ours:
        neighbour.run("ip", "neighbour", "add", address, "lladdr", old, "dev", "net1", "nud", "stale")
    configure(opened, Result(ips=(IP(address=f"{ours[0]}/64"), IP(address=f"{ours[1]}/24"))))
    (link,) = shown(container, "link", "show", "dev", "net1")
    known = {entry["dst"]: entry["lladdr"] for entry in shown(neighbour, "neighbour", "show", "dev", "net1")}
    assert [known[address] for address in ours] == [link["address"]] * 2


def test_a_link_without_a_carrier_gets_its_addresses_too(
    container: Netns, neighbour: Netns, opened: int
) -> None:
    neighbour.run("ip", "link", "set", "dev", "net1", "down")
    made = configure(opened, Result(ips=(IP(address=f"{PREFIX}2/64"), IP(address="192.0.2.2/24"))))
    (link,) = shown(container, "address", "show", "dev", "net1")
    assert set(made["addresses"]) <= {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]}


def test_what_the_kernel_does_not_take_is_named(container: Netns, opened: int) -> None:
    ours = (IP(address="192.0.2.2/24"),)
    with pytest.raises(ConflictError, match="does not take a route") as caught:
        configure(opened, Result(ips=ours, routes=({"dst": "203.0.113.0/24", "gw": "198.51.100.1"},)))
    assert "203.0.113.0/24 via 198.51.100.1 by net1: Network is unreachable" in caught.value.details
    with pytest.raises(ConflictError, match="does not take an address") as caught:
        configure(opened, Result(ips=ours))
    assert "192.0.2.2/24 on net1: " in caught.value.details
    assert container.links() == ["net1"]
