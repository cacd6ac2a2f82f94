"""Addresses and routes through rtnetlink, in real namespaces; ip(8) says what is true."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Address, Netlink, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.netns import Netns

GIVEN = [  # what an administrator gives a PF, in iproute2's words
    "address add 192.0.2.1/24 broadcast 192.0.2.255 dev p0 label p0:x",
    "address add 192.0.2.2/24 dev p0 noprefixroute",
    "address add 198.51.100.1 peer 198.51.100.9/32 dev p0 scope link",
    "address add 192.0.2.3/32 dev p0 valid_lft 4000 preferred_lft 3000",
    "address add fd00::1/64 dev p0 nodad home",
]
ROUTES = [
    "route add 203.0.113.0/24 via 192.0.2.9 dev p0 metric 70 mtu 1400 advmss 1300",
    "route add 203.0.113.0/24 dev p0 metric 71 src 192.0.2.1 proto static",
    "route add 10.0.0.1/32 via 172.16.0.1 dev p0 onlink table 5000",
    "route add default via 192.0.2.9 dev p0",
    "route add fd01::/48 via fd00::9 dev p0 metric 9",
    "route add default dev p0 table 7",
    "route add ::/0 via fd00::9 dev p0",
]


@pytest.fixture
def container(netns: Netns) -> Netns:
    """Give a namespace with a veth pair, p0 and p1, both up."""
    netns.run("ip", "link", "add", "name", "p0", "type", "veth", "peer", "name", "p1")
    for name in ("p0", "p1"):
        netns.run("ip", "link", "set", name, "up")
    return netns


@pytest.fixture
def there(container: Netns) -> Iterator[Netlink]:
    """Give the conversation with that namespace's kernel."""
    with open(container.path, "rb") as target:
        netlink = Netlink(Deadline(30), target.fileno())
    with netlink:
        yield netlink


@pytest.fixture
def p0(there: Netlink) -> int:
    """Give the index of the interface p0."""
    return index(there, "p0")


def index(netlink: Netlink, name: str) -> int:
    link = netlink.link(name)
    assert link is not None
    return link.index


def batch(netns: Netns, lines: list[str]) -> None:
    done = subprocess.run(
        netns.command(["ip", "-batch", "-"]),
        input="\n".join(lines),
        text=True,
        check=False,
        capture_output=True,
    )
    assert not done.returncode, done.stderr


def own(found: list[Address]) -> list[Address]:
    """Leave out what the kernel gave by itself."""
    return [a for a in found if not a.address.startswith("fe80:")]


def shown(netns: Netns, *what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(netns.run("ip", "-d", "-j", *what))
    return found


def addresses_shown(netns: Netns) -> list[dict[str, Any]]:
    (link,) = shown(netns, "address", "show", "dev", "p0")
    ticking = {"valid_life_time", "preferred_life_time"}
    keep = [{k: v for k, v in a.items() if k not in ticking} for a in link["addr_info"]]
    return [a for a in keep if not a["local"].startswith("fe80:")]


def routes_shown(netns: Netns) -> list[dict[str, Any]]:
    found = [shown(netns, f, "route", "show", "table", "all", "dev", "p0") for f in ("-4", "-6")]
    return sorted((r for rs in found for r in rs if r["protocol"] != "kernel"), key=str)


# --- addresses


def test_an_address_is_given_as_the_reference_plugins_give_it(
    container: Netns, there: Netlink, p0: int
) -> None:
    for address in ("192.0.2.1/24", "192.0.2.130/25", "198.51.100.1/31", "198.51.100.3/32", "10.0.0.1/8"):
        there.add_address(p0, address)
    true = {f"{a['local']}/{a['prefixlen']}": a.get("broadcast", "") for a in addresses_shown(container)}
    assert true == {
        "192.0.2.1/24": "192.0.2.255",
        "192.0.2.130/25": "192.0.2.255",
        "198.51.100.1/31": "",
        "198.51.100.3/32": "",
        "10.0.0.1/8": "10.255.255.255",
    }


def test_addresses_are_told_as_ip_tells_them(container: Netns, there: Netlink, p0: int) -> None:
    batch(container, GIVEN)
    found = {a.address: a for a in own(there.addresses(p0))}
    expected = [
        Address(address="192.0.2.1/24", broadcast="192.0.2.255", label="p0:x"),
        Address(address="192.0.2.2/24", label="p0"),
        Address(address="198.51.100.1/32", peer="198.51.100.9", label="p0", scope=253),
        Address(address="192.0.2.3/32", label="p0", valid=4000, preferred=3000),
        Address(address="fd00::1/64"),
    ]
    assert {name: a.replace(flags=0) for name, a in found.items()} == {a.address: a for a in expected}
    assert [name for name, a in found.items() if not a.permanent] == ["192.0.2.3/32"]


def test_addresses_that_were_read_can_be_given_back(container: Netns, there: Netlink, p0: int) -> None:
    batch(container, GIVEN)
    before, found = addresses_shown(container), own(there.addresses(p0))
    assert len(before) == len(GIVEN)
    for address in reversed(found):
        there.remove_address(p0, address)
    assert own(there.addresses(p0)) == []
    for address in found:
        there.add_address(p0, address)
    assert addresses_shown(container) == before


def test_an_address_that_is_there_is_eexist(there: Netlink, p0: int) -> None:
    for address in ("192.0.2.1/24", "fd00::1/64"):
        there.add_address(p0, address)
        with pytest.raises(FileExistsError):
            there.add_address(p0, address)


def test_an_address_that_is_not_there_is_eaddrnotavail(there: Netlink, p0: int) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EADDRNOTAVAIL)):
        there.remove_address(p0, "192.0.2.1/24")


def test_addresses_of_other_links_are_not_told(there: Netlink, p0: int) -> None:
    there.add_address(p0, "192.0.2.1/24")
    assert own(there.addresses(index(there, "p1"))) == []
    assert there.addresses(2**31 - 1) == []


def test_ipv6_that_is_switched_off_is_said_so(container: Netns, there: Netlink, p0: int) -> None:
    container.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/p0/disable_ipv6")
    with pytest.raises(PermissionError, match="IPv6 is disabled on this device"):
        there.add_address(p0, "fd00::1/64")


# --- routes


def test_routes_that_were_read_can_be_given_back(container: Netns, there: Netlink, p0: int) -> None:
    batch(container, GIVEN + ROUTES)
    before, found = routes_shown(container), there.routes(p0)
    assert len(found) == len(before) == len(ROUTES)
    for route in found:
        there.remove_route(p0, route)
    assert routes_shown(container) == []
    assert there.routes(p0) == []
    for route in reversed(found):
        there.add_route(p0, route)
    assert routes_shown(container) == before


def test_a_route_of_cni_is_made_as_ip_makes_it(container: Netns, there: Netlink, p0: int) -> None:
    there.add_address(p0, "192.0.2.1/24")
    there.add_address(p0, "fd00::1/64", nodad=True)
    there.add_route(p0, Route(dst="203.0.113.0/24", gateway="192.0.2.9", mtu=1400, advmss=1300, priority=70))
    there.add_route(p0, Route(dst="198.51.100.0/24"))
    there.add_route(p0, Route(dst="0.0.0.0/0", gateway="192.0.2.9", table=300, scope=0))
    there.add_route(p0, Route(dst="::/0", gateway="fd00::9"))
    made = routes_shown(container)
    for route in there.routes(p0):
        there.remove_route(p0, route)
    batch(
        container,
        [
            "route add 203.0.113.0/24 via 192.0.2.9 dev p0 mtu 1400 advmss 1300 metric 70",
            "route add 198.51.100.0/24 dev p0",
            "route add default via 192.0.2.9 dev p0 table 300",
            "route add ::/0 via fd00::9 dev p0",
        ],
    )
    assert made == routes_shown(container)


def test_a_route_that_is_there_is_eexist(there: Netlink, p0: int) -> None:
    there.add_address(p0, "192.0.2.1/24")
    there.add_route(p0, Route(dst="0.0.0.0/0", gateway="192.0.2.9"))
    with pytest.raises(FileExistsError):
        there.add_route(p0, Route(dst="0.0.0.0/0", gateway="192.0.2.8"))
    there.add_route(p0, Route(dst="0.0.0.0/0", gateway="192.0.2.8", priority=1))


def test_a_gateway_out_of_reach_is_said_so(there: Netlink, p0: int) -> None:
    with pytest.raises(OSError, match="Nexthop has invalid gateway") as caught:
        there.add_route(p0, Route(dst="0.0.0.0/0", gateway="192.0.2.9"))
    assert caught.value.errno == errno.ENETUNREACH


def test_a_route_that_is_not_there_is_esrch(there: Netlink, p0: int) -> None:
    with pytest.raises(ProcessLookupError):
        there.remove_route(p0, Route(dst="203.0.113.0/24"))


def test_a_link_that_does_not_exist_has_no_routes(there: Netlink) -> None:
    assert there.routes(2**31 - 1) == []


# --- who carries the default route


def test_without_a_default_route_no_link_carries_one(container: Netns, there: Netlink) -> None:
    batch(container, [*GIVEN, "route add 203.0.113.0/24 dev p0", "route add default dev p0 table 7"])
    assert there.default_routes() == set()


def test_a_namespace_without_any_route_has_no_default_route(netns: Netns) -> None:
    with open(netns.path, "rb") as target, Netlink(Deadline(30), target.fileno()) as there:
        assert there.default_routes() == set()


@pytest.mark.parametrize(
    ("route", "carriers"),
    [
        ("route add default dev p0", {"p0"}),
        ("route add default via 192.0.2.9", {"p0"}),
        ("route add ::/0 dev p1", {"p1"}),
        ("route add ::/0 via fd00::9 metric 5", {"p0"}),
        ("route add default nexthop via 192.0.2.9 nexthop dev p1", {"p0", "p1"}),
        ("route add ::/0 nexthop via fd00::9 nexthop via fd02::9", {"p0", "p1"}),
        ("route add unreachable default", set()),
        ("route add unreachable ::/0", set()),
    ],
)
def test_each_link_that_carries_a_default_route_is_told(
    container: Netns, there: Netlink, route: str, carriers: set[str]
) -> None:
    batch(container, [*GIVEN, "address add fd02::1/64 dev p1 nodad", route])
    assert there.default_routes() == {index(there, name) for name in carriers}


def test_a_default_route_is_found_among_thousands(container: Netns, there: Netlink, p0: int) -> None:
    others = [f"route add 10.{n // 250}.{n % 250}.0/24 dev p1" for n in range(5000)]
    batch(container, [*others, "route add default dev p0"])
    assert there.default_routes() == {p0}
    assert there.routes(p0) == [Route(dst="0.0.0.0/0", scope=253)]
    assert len(there.routes(index(there, "p1"))) == 5000


# --- duplicate address detection


def test_detection_is_awaited_to_its_end(container: Netns, there: Netlink, p0: int) -> None:
    there.add_address(p0, "fd00::1/64")
    assert "fd00::1" in container.run("ip", "-6", "address", "show", "dev", "p0", "tentative")
    found = there.await_settled(p0, Deadline(30), only=("fd00::1/64",))
    assert found == [("fd00::1/64", "ready")]
    assert "fd00::1" not in container.run("ip", "-6", "address", "show", "dev", "p0", "tentative")


def test_by_default_every_address_is_awaited(there: Netlink, p0: int) -> None:
    there.add_address(p0, "fd00::1/64", nodad=True)
    found = dict(there.await_settled(p0, Deadline(30)))
    assert found.pop("fd00::1/64") == "ready"
    assert list(found.values()) == ["ready"]  # the link-local one, which the kernel gave
    assert {address.partition(":")[0] for address in found} == {"fe80"}


def test_a_duplicate_is_told(there: Netlink, p0: int) -> None:
    p1 = index(there, "p1")
    there.add_address(p1, "fd00::1/64", nodad=True)
    there.add_address(p0, "fd00::1/64")
    there.add_address(p0, "fd00::2/64")
    found = there.await_settled(p0, Deadline(30), only=("fd00::1/64", "fd00::2/64"))
    assert sorted(found) == [("fd00::1/64", "duplicate"), ("fd00::2/64", "ready")]


def test_without_a_carrier_nothing_is_awaited(container: Netns, there: Netlink, p0: int) -> None:
    container.run("ip", "link", "set", "p1", "down")
    there.add_address(p0, "fd00::1/64")
    assert there.await_settled(p0, Deadline(30), only=("fd00::1/64",)) == [("fd00::1/64", "tentative")]


def test_a_carrier_that_goes_ends_the_wait(container: Netns, there: Netlink, p0: int) -> None:
    container.run("sh", "-c", "echo 100 >/proc/sys/net/ipv6/conf/p0/dad_transmits")
    there.add_address(p0, "fd00::1/64")
    cut = threading.Thread(target=container.run, args=("ip", "link", "set", "p1", "down"))
    cut.start()
    found = there.await_settled(p0, Deadline(30), only=("fd00::1/64",))
    cut.join()
    assert found == [("fd00::1/64", "tentative")]


def test_ipv4_and_addresses_that_are_gone_are_not_awaited(there: Netlink, p0: int) -> None:
    there.add_address(p0, "192.0.2.1/24")
    assert there.await_settled(p0, Deadline(30), only=("192.0.2.1/24", "fd00::7/64")) == []


def test_the_wait_ends_at_the_deadline(container: Netns, there: Netlink, p0: int) -> None:
    container.run("sh", "-c", "echo 100 >/proc/sys/net/ipv6/conf/p0/dad_transmits")
    there.add_address(p0, "fd00::1/64")
    with pytest.raises(TimeoutError):
        there.await_settled(p0, Deadline(0.1), only=("fd00::1/64",))
