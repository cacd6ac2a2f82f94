"""802.1Q tunnels (QinQ) on the frames: the outer tag on, the customer's tag untouched.

OVS sees as many tags as its global `vlan-limit` says, 1 by default. That is
enough for a tunnel: its ports see the customer's tag and the others the outer
one. It is not enough to filter what comes back by the customer's tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attached import attach
from tests.support.frames import SERVICE, numbered, tagged
from tests.support.need import DPDK_SWITCH, need
from tests.support.netns import Netns
from tests.support.switch import Switch
from tests.support.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.wire import Wire

HOST = "02:00:00:00:00:01"
OUTER, INNER, OTHER = 100, 42, 43
TUNNEL = {"vlanMode": "dot1q-tunnel", "vlan": OUTER}
PLAIN = numbered(HOST, 3)


def stacked(inner: int) -> list[bytes]:
    return [tagged(frame, OUTER, kind=SERVICE) for frame in customers(inner)]


def customers(inner: int) -> list[bytes]:
    return [tagged(frame, inner) for frame in PLAIN]


@pytest.fixture(scope="module")
def wired(session_switch: Switch) -> Iterator[Wired]:
    """Give a switch as it comes, with two ends of a tunnel and a backbone."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    kinds: dict[str, dict[str, Any]] = {"tunnel": TUNNEL, "far": TUNNEL, "backbone": {}}
    with Wired(session_switch, kinds) as wired:
        yield wired


@pytest.fixture(scope="module")
def filtering() -> Iterator[Wire]:
    """Give a switch that sees two tags, with a tunnel for one customer VLAN."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    kinds: dict[str, dict[str, Any]] = {"tunnel": {**TUNNEL, "cvlans": [{"id": INNER}]}, "backbone": {}}
    with Switch() as switch:
        switch.vsctl("set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
        switch.kill_vswitchd()
        switch.restart_vswitchd()  # which reads it once
        with Wired(switch, kinds) as wired:
            yield wired.wire


@pytest.mark.parametrize("inner", [INNER, OTHER])
def test_a_tunnel_stacks_its_tag_on_the_customers_and_takes_it_off(wired: Wired, inner: int) -> None:
    sent = customers(inner)
    assert wired.wire.send("tunnel", *sent) == {"far": sent, "backbone": stacked(inner)}
    assert wired.wire.send("backbone", *stacked(inner)) == {"tunnel": sent, "far": sent}


def test_a_tunnel_carries_frames_without_a_customers_tag(wired: Wired) -> None:
    outer = [tagged(frame, OUTER, kind=SERVICE) for frame in PLAIN]
    assert wired.wire.send("tunnel", *PLAIN) == {"far": PLAIN, "backbone": outer}


def test_customer_vlans_are_refused_where_the_switch_sees_one_tag(wired: Wired) -> None:
    keys: dict[str, Any] = {**TUNNEL, "createBridge": False, "cvlans": [{"id": INNER}]}
    with Netns() as netns, pytest.raises(AssertionError, match="vlan-limit"):
        attach(wired.plugin, wired.switch, netns, container="refused", **keys)
    assert len(wired.switch.ports()) == len(wired.attached)


def test_a_tunnel_carries_the_customer_vlans_that_it_lists_and_no_others(filtering: Wire) -> None:
    """The order counts: OVS 3.1 remembers a dropped frame's way without the customer's tag.

    While it does, 10 s after the last such frame, it drops the listed ones that it has not yet seen.
    """
    assert filtering.send("tunnel", *customers(INNER)) == {"backbone": stacked(INNER)}
    assert filtering.send("backbone", *stacked(INNER)) == {"tunnel": customers(INNER)}
    assert filtering.send("tunnel", *customers(OTHER)) == {}
    assert filtering.send("backbone", *stacked(OTHER)) == {}
