"""Segments on the frames: two ends of a wire get each other's frames, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.engines.ovs_dpdk.rows import CLOSED_VLAN
from tests.support.attached import attach
from tests.support.frames import CUSTOMER, SERVICE, numbered, tagged
from tests.support.need import DPDK_SWITCH, need
from tests.support.netns import Netns
from tests.support.wire import in_any_order
from tests.support.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch
    from tests.support.wire import Wire

HOST, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02"
KINDS: dict[str, dict[str, Any]] = {
    "left": {"segment": "wire"},
    "right": {"segment": "wire"},
    "lone": {"segment": "elsewhere"},
    "closed": {"wiring": "none"},
    "neighbour": {},
    "other": {},
    "apart": {"protected": True},
    "aside": {"protected": True},
}
FRAMES = sorted([*numbered(HOST, 3), *(tagged(frame, 7) for frame in numbered(HOST, 2, to=PEER))])


@pytest.fixture(scope="module")
def wired(session_switch: Switch) -> Iterator[Wired]:
    """Give a bridge with a wire, a lone end, and containers on the learning switch."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    with Wired(session_switch, KINDS) as wired:
        for attached in wired.attached.values():
            attached.check().succeeded()
        yield wired


@pytest.fixture
def wire(wired: Wired) -> Wire:
    """Give the ends."""
    return wired.wire


@pytest.mark.parametrize(("sender", "receiver"), [("left", "right"), ("right", "left")])
def test_the_ends_of_a_segment_get_each_others_frames_unchanged(
    wire: Wire, sender: str, receiver: str
) -> None:
    assert in_any_order(wire.send(sender, *FRAMES)) == {receiver: FRAMES}


def test_frames_of_the_learning_switch_reach_no_wired_end(wire: Wire) -> None:
    others = dict.fromkeys(("other", "apart", "aside"), FRAMES)
    assert in_any_order(wire.send("neighbour", *FRAMES)) == others


@pytest.mark.parametrize("kind", [CUSTOMER, SERVICE])
def test_frames_forged_with_the_vlan_that_shuts_wired_ports_reach_nobody(wire: Wire, kind: int) -> None:
    forged = [tagged(frame, CLOSED_VLAN, kind=kind) for frame in numbered(HOST, 3)]
    assert wire.send("neighbour", *forged) == {}
    assert wire.send("lone", *forged) == {}


@pytest.mark.parametrize("sender", ["lone", "closed"])
def test_a_lone_end_and_one_without_wiring_reach_nobody(wire: Wire, sender: str) -> None:
    assert in_any_order(wire.send(sender, *FRAMES)) == {}


def test_protected_ports_reach_all_but_each_other(wire: Wire) -> None:
    assert in_any_order(wire.send("apart", *FRAMES)) == {"neighbour": FRAMES, "other": FRAMES}


def test_a_third_end_is_refused(wired: Wired) -> None:
    before = wired.switch.ports()
    with Netns() as netns, pytest.raises(AssertionError, match="wire"):
        attach(wired.plugin, wired.switch, netns, container="third", createBridge=False, segment="wire")
    assert wired.switch.ports() == before
    assert in_any_order(wired.wire.send("left", *FRAMES)) == {"right": FRAMES}


def test_an_end_whose_other_has_left_drops_until_it_returns(wired: Wired) -> None:
    wired.detach("right")
    assert in_any_order(wired.wire.send("left", *FRAMES)) == {}
    assert "left" not in wired.wire.send("neighbour", *FRAMES)
    wired.rejoin("right")
    assert in_any_order(wired.wire.send("left", *FRAMES)) == {"right": FRAMES}
    assert in_any_order(wired.wire.send("right", *FRAMES)) == {"left": FRAMES}


def test_isolation_is_back_after_vswitchd_was_killed_and_flows_were_reconciled(wired: Wired) -> None:
    """A restart forgets the flows; until they are back a wired end drops, and lets nothing else in."""
    wired.switch.kill_vswitchd()
    wired.switch.restart_vswitchd()
    wired.wire.begin()
    assert wired.wire.send("left", *FRAMES) == {}
    assert not {"left", "right", "lone"} & set(wired.wire.send("neighbour", *FRAMES))
    assert wired.plugin.operator("reconcile").returncode == 0
    assert in_any_order(wired.wire.send("left", *FRAMES)) == {"right": FRAMES}
    assert in_any_order(wired.wire.send("right", *FRAMES)) == {"left": FRAMES}
    assert not {"left", "right", "lone"} & set(wired.wire.send("neighbour", *FRAMES))
    assert wired.wire.send("lone", *FRAMES) == {}
