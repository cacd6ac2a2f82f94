"""VLANs on the frames: what arrives of what was sent, byte by byte.

One bridge with an end of each kind. All frames are broadcasts, so that every
port that may get one gets it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.child import wait_for
from tests.support.frames import numbered, tagged
from tests.support.need import DPDK_SWITCH, need
from tests.support.wired import BRIDGE, Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch
    from tests.support.wire import Wire

HOST = "02:00:00:00:00:01"
RED, GREEN, BLUE = 10, 20, 30
INTELS = {
    "host": {
        "engine": "ovs-dpdk",
        "iftype": "vhostuser",
        "netType": "bridge",
        "vhost": {"mode": "client"},
        "bridge": {"bridgeName": BRIDGE, "vlanId": RED},
    },
    "container": {
        "engine": "ovs-dpdk",
        "iftype": "vhostuser",
        "netType": "interface",
        "vhost": {"mode": "server"},
    },
    "bridge": None,
}
KINDS: dict[str, dict[str, Any]] = {
    "red": {"vlan": RED},
    "intels": INTELS,
    "green": {"vlan": GREEN},
    "trunk": {"trunk": [{"id": RED}, {"minID": GREEN, "maxID": GREEN + 5}]},
    "native": {"vlan": GREEN, "trunk": [{"id": RED}]},
    "tagged": {"vlanMode": "native-tagged", "vlan": GREEN, "trunk": [{"id": RED}]},
    "untagged": {"vlan": 0},
}
PLAIN = numbered(HOST, 3)
STATISTICS_SECONDS = 15.0  # the switch writes them every 5 s


@pytest.fixture(scope="module")
def wired(session_switch: Switch) -> Iterator[Wired]:
    """Give a bridge with an end of each kind."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    with Wired(session_switch, KINDS) as wired:
        yield wired


@pytest.fixture
def wire(wired: Wired) -> Wire:
    """Give the ends."""
    return wired.wire


def in_vlan(vlan: int) -> list[bytes]:
    return [tagged(frame, vlan) for frame in PLAIN]


def test_an_access_port_puts_its_tag_on_and_takes_it_off(wire: Wire) -> None:
    trunks = dict.fromkeys(("trunk", "native", "tagged"), in_vlan(RED))
    assert wire.send("red", *PLAIN) == {"intels": PLAIN, **trunks}


def test_the_vlan_id_of_intels_netconf_is_an_access_vlan(wire: Wire) -> None:
    trunks = dict.fromkeys(("trunk", "native", "tagged"), in_vlan(RED))
    assert wire.send("intels", *PLAIN) == {"red": PLAIN, **trunks}


def test_a_tagged_frame_of_a_trunk_reaches_the_access_ports_of_its_vlan_untagged(wire: Wire) -> None:
    assert wire.send("trunk", *in_vlan(GREEN)) == {"green": PLAIN, "native": PLAIN, "tagged": in_vlan(GREEN)}


def test_a_trunk_drops_vlans_that_it_does_not_list(wire: Wire) -> None:
    assert wire.send("trunk", *in_vlan(BLUE)) == {}


def test_a_trunk_without_a_native_vlan_drops_untagged_frames(wire: Wire) -> None:
    assert wire.send("trunk", *PLAIN) == {}


def test_an_access_port_drops_tagged_frames(wire: Wire) -> None:
    assert wire.send("red", *in_vlan(RED)) == {}


@pytest.mark.parametrize("sender", ["native", "tagged"])
def test_untagged_frames_of_a_native_port_belong_to_its_native_vlan(wire: Wire, sender: str) -> None:
    others = {"green": PLAIN, "trunk": in_vlan(GREEN), "native": PLAIN, "tagged": in_vlan(GREEN)}
    del others[sender]
    assert wire.send(sender, *PLAIN) == others


def test_vlan_0_carries_untagged_frames_and_no_others(wire: Wire) -> None:
    assert wire.send("untagged", *in_vlan(RED)) == {}
    assert "untagged" not in wire.send("red", *PLAIN)


def test_all_of_it_passes_check(wired: Wired) -> None:
    for attached in wired.attached.values():
        attached.check().succeeded()


def test_the_list_counts_what_was_sent(wired: Wired) -> None:
    """Compare with what the switch itself says, when it has written it down."""
    number = wired.switch.row("Interface", wired.attached["red"].port)["ofport"]
    wanted = wired.switch.packets(BRIDGE)[number]

    def listed() -> dict[str, Any]:
        answer = json.loads(wired.plugin.operator("list", "-o", "json").stdout)
        found: dict[str, Any] = next(a for a in answer["attachments"] if a["container"] == "red-1")
        return found

    wait_for(
        "the statistics are written",
        lambda: (listed()["rx_packets"], listed()["tx_packets"]) == wanted,
        STATISTICS_SECONDS,
        proof=lambda: f"{wanted} wanted\n{listed()}",
    )
    assert listed()["connected"] is True
