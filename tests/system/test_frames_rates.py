"""Rates on the frames: what passes a limited port while more is sent than it lets through.

The flood is an endless capture. What is measured arrives at an application,
after the burst that every limit allows at first. Policers count frames without
their Ethernet header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.frames import numbered
from tests.support.need import DPDK_SWITCH, need
from tests.support.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch

HOST = "02:00:00:00:00:01"
RATE, BURST = 20_000, 800  # kbit/s, kbit
SLOWER = 8_000
SIZE = 1014
BURST_PACKETS = BURST * 125 // (SIZE - 14)
SECONDS = 3.0
FLOOD = numbered(HOST, 32, size=SIZE)
KINDS: dict[str, dict[str, Any]] = {
    "policed": {"ingressPolicing": {"rate": RATE, "burst": BURST}},
    "free": {},
    "shaped": {"egressShaping": {"rate": SLOWER, "burst": BURST}},
    "sink": {},
}


@pytest.fixture(scope="module")
def wired(session_switch: Switch) -> Iterator[Wired]:
    """Give a bridge with two senders, one of them limited, and two receivers, one of them limited."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    with Wired(session_switch, KINDS, idle=("policed", "free")) as wired:
        yield wired


def test_what_a_policed_container_sends_arrives_at_the_rate_that_was_asked_for(wired: Wired) -> None:
    sink = wired.wire.ends["sink"]
    with wired.flood("policed", FLOOD):
        sink.await_received(2 * BURST_PACKETS)
        assert sink.rate(SECONDS) == pytest.approx(RATE, rel=0.2)


def test_what_a_shaped_container_is_sent_arrives_at_the_rate_that_was_asked_for(wired: Wired) -> None:
    before = wired.wire.ends["shaped"].app.stats(1).received
    with wired.flood("free", FLOOD):
        wired.wire.ends["shaped"].await_received(before + 2 * BURST_PACKETS)
        shaped = wired.wire.ends["shaped"].rate(SECONDS)
        unlimited = wired.wire.ends["sink"].rate(SECONDS)
    assert shaped == pytest.approx(SLOWER, rel=0.2)
    assert unlimited > 2 * RATE  # so nothing else was the bottleneck


def test_del_takes_the_limits_rows_away(wired: Wired) -> None:
    wired.attached.pop("shaped").delete().succeeded()
    assert wired.switch.rows("QoS") == []
