"""VLANs on the frames: what arrives of what was sent, byte by byte.

One bridge with an end of each kind. All frames are broadcasts, so that every
port that may get one gets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.frames import numbered, tagged
from tests.support.need import DPDK_SWITCH, need
from tests.support.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch
    from tests.support.wire import Wire

HOST = "02:00:00:00:00:01"
RED, GREEN, BLUE = 10, 20, 30
KINDS: dict[str, dict[str, Any]] = {
    "red": {"vlan": RED},
    "reds": {"vlan": RED},
    "green": {"vlan": GREEN},
    "trunk": {"trunk": [{"id": RED}, {"minID": GREEN, "maxID": GREEN + 5}]},
    "native": {"vlan": GREEN, "trunk": [{"id": RED}]},
}
PLAIN = numbered(HOST, 3)


@pytest.fixture(scope="module")
def wire(session_switch: Switch) -> Iterator[Wire]:
    """Give a bridge with an end of each kind."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    with Wired(session_switch, KINDS) as wired:
        yield wired.wire


def in_vlan(vlan: int) -> list[bytes]:
    return [tagged(frame, vlan) for frame in PLAIN]


def test_an_access_port_puts_its_tag_on_and_takes_it_off(wire: Wire) -> None:
    assert wire.send("red", *PLAIN) == {"reds": PLAIN, "trunk": in_vlan(RED), "native": in_vlan(RED)}


def test_a_tagged_frame_of_a_trunk_reaches_the_access_ports_of_its_vlan_untagged(wire: Wire) -> None:
    assert wire.send("trunk", *in_vlan(GREEN)) == {"green": PLAIN, "native": PLAIN}


def test_a_trunk_drops_vlans_that_it_does_not_list(wire: Wire) -> None:
    assert wire.send("trunk", *in_vlan(BLUE)) == {}


def test_a_trunk_without_a_native_vlan_drops_untagged_frames(wire: Wire) -> None:
    assert wire.send("trunk", *PLAIN) == {}


def test_an_access_port_drops_tagged_frames(wire: Wire) -> None:
    assert wire.send("red", *in_vlan(RED)) == {}


def test_the_native_vlan_of_a_trunk_is_untagged_on_its_port(wire: Wire) -> None:
    assert wire.send("native", *PLAIN) == {"green": PLAIN, "trunk": in_vlan(GREEN)}
