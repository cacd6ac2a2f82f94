"""Anti-spoofing on the frames: a container sends as itself, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.frames import advertisement, arp, ethernet, numbered, tagged, udp4, udp6
from tests.support.need import DPDK_SWITCH, need
from tests.support.wire import in_any_order
from tests.support.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch
    from tests.support.wire import Wire

MAC, OTHER, HOST = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
IP4, ELSE4 = "10.1.0.5", "10.1.0.6"
IP6, ELSE6 = "2001:db8::5", "2001:db8::6"
LINK = "fe80::ff:fe00:1"  # EUI-64 of MAC
ADDRESSES = [{"address": f"{IP4}/24"}, {"address": f"{IP6}/64"}]
IPAM = {"type": "static", "addresses": ADDRESSES}
KINDS: dict[str, dict[str, Any]] = {
    "guarded": {"mac": MAC, "antiSpoofing": True, "ipam": IPAM, "cniVersion": "1.0.0"},
    "bare": {"mac": MAC, "antiSpoofing": True},
    "open": {},
}
HONEST = {
    "IPv4": udp4(MAC, IP4),
    "ARP": arp(MAC, IP4),
    "IPv6": udp6(MAC, IP6),
    "IPv6 link-local": udp6(MAC, LINK),
    "neighbour advertisement": advertisement(MAC, IP6),
    "neighbour advertisement of link-local": advertisement(MAC, LINK),
    "IPv4 in a VLAN": tagged(udp4(MAC, IP4), 7),
}
SPOOFED = {
    "MAC": udp4(OTHER, IP4),
    "IPv4": udp4(MAC, ELSE4),
    "IPv4 in a VLAN": tagged(udp4(MAC, ELSE4), 7),
    "ARP for another IP": arp(MAC, ELSE4),
    "ARP from another MAC": arp(OTHER, IP4),
    "ARP that names another MAC": arp(MAC, IP4, claimed=OTHER),
    "IPv6": udp6(MAC, ELSE6),
    "another's link-local": udp6(MAC, "fe80::ff:fe00:2"),
    "advertisement of another IP": advertisement(MAC, ELSE6),
    "advertisement of another IP from its own": advertisement(MAC, ELSE6, sender=IP6),
    "advertisement that names another MAC": advertisement(MAC, IP6, claimed=OTHER),
    "another protocol": ethernet(MAC),
}


@pytest.fixture(scope="module")
def wire(session_switch: Switch) -> Iterator[Wire]:
    """Give a container with addresses and one without, both guarded, and one that is not."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    with Wired(session_switch, KINDS) as wired:
        for attached in wired.attached.values():
            attached.check().succeeded()
        yield wired.wire


@pytest.mark.parametrize("what", HONEST)
def test_what_a_container_sends_as_itself_passes(wire: Wire, what: str) -> None:
    frame = HONEST[what]
    assert wire.send("guarded", frame) == {"bare": [frame], "open": [frame]}


@pytest.mark.parametrize("what", SPOOFED)
def test_a_spoofed_frame_is_dropped(wire: Wire, what: str) -> None:
    assert wire.send("guarded", SPOOFED[what]) == {}


def test_spoofed_frames_do_not_hold_up_honest_ones(wire: Wire) -> None:
    honest = HONEST["IPv4"]
    mixed = [frame for spoofed in SPOOFED.values() for frame in (spoofed, honest)]
    assert wire.send("guarded", *mixed)["open"] == [honest] * len(SPOOFED)


def test_without_addresses_the_mac_counts_alone(wire: Wire) -> None:
    honest = [*numbered(MAC, 2), udp4(MAC, ELSE4), udp6(MAC, ELSE6), arp(MAC, ELSE4)]
    honest.append(advertisement(MAC, ELSE6))
    spoofed = [*numbered(OTHER, 2), udp4(OTHER, ELSE4), arp(OTHER, ELSE4), arp(MAC, ELSE4, claimed=OTHER)]
    spoofed.append(advertisement(MAC, ELSE6, claimed=OTHER))
    found = in_any_order(wire.send("bare", *spoofed, *honest))
    assert found == {"guarded": sorted(honest), "open": sorted(honest)}


def test_what_is_sent_to_a_guarded_container_reaches_it(wire: Wire) -> None:
    sent = [udp4(HOST, ELSE4), arp(HOST, ELSE4), *numbered(HOST, 2)]
    assert in_any_order(wire.send("open", *sent)) == {"guarded": sorted(sent), "bare": sorted(sent)}
