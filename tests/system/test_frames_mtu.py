"""Jumbo frames through client ports: whole, once an application is connected.

The switch applies `mtu` to a client port when the application comes; with none
it says MTU 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.frames import numbered
from tests.support.need import DPDK_SWITCH, need
from tests.support.switch import Switch
from tests.support.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.wire import Wire

HOST = "02:00:00:00:00:01"
HEADER = 14
MEMORY_MIB = 544
MTU = 9000
KINDS = {"big": {"mtu": MTU}, "other": {"mtu": MTU}, "small": {}}


@pytest.fixture(scope="module")
def wired() -> Iterator[Wired]:
    """Give a bridge with two ends of a large MTU and one of the usual."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    with Switch(socket_mib=MEMORY_MIB) as switch:
        # Buffers that ports share are made at the first connection, as many as there is memory for:
        # none would be left for those of the other size.
        switch.vsctl("set", "Open_vSwitch", ".", "other_config:per-port-memory=true")
        switch.kill_vswitchd()
        switch.restart_vswitchd()
        with Wired(switch, KINDS, jumbo=True) as wired:
            yield wired


@pytest.fixture
def wire(wired: Wired) -> Wire:
    """Give the ends."""
    return wired.wire


def test_a_jumbo_frame_arrives_whole_where_the_mtu_holds_it(wire: Wire) -> None:
    frames = numbered(HOST, 3, size=MTU + HEADER)
    assert wire.send("big", *frames) == {"other": frames}


def test_a_port_of_the_usual_mtu_gets_frames_that_fit(wire: Wire) -> None:
    frames = numbered(HOST, 3, size=1500 + HEADER)
    assert wire.send("big", *frames) == {"other": frames, "small": frames}


def test_the_switch_has_applied_what_was_asked_for(wired: Wired) -> None:
    assert wired.switch.row("Interface", wired.attached["big"].port)["mtu"] == MTU
    for attached in wired.attached.values():
        attached.check().succeeded()
