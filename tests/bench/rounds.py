"""The rounds: every contestant in turn, at each number of existing ports.

Owns the interleaving. Contestants take turns within a round and change their
order from round to round, so that whatever else the machine does falls on all
of them. Between two measurements vswitchd catches up, outside the clock: a
contestant that does not wait for its own deletion would leave it to the next.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.contestants import BRIDGE, KIND
from tests.bench.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.contestants import Contestant
    from tests.bench.timing import Ran
    from tests.support.switch import Switch

BATCH = 50  # ports of one ovs-vsctl call
REST_SECONDS = 0.1
WARM_UP = 2  # rounds that are not counted


@dataclass
class Samples:
    """What one contestant took at one number of ports, round by round: milliseconds, those on a processor."""

    name: str
    ports: int
    add: list[float] = field(default_factory=list)
    delete: list[float] = field(default_factory=list)
    add_cpu: list[float] = field(default_factory=list)
    delete_cpu: list[float] = field(default_factory=list)


def measure(
    switch: Switch,
    contestants: Sequence[Contestant],
    sizes: Sequence[int],
    rounds: int,
) -> list[Samples]:
    """Fill the bridge to each size in turn and let the contestants run."""
    found = []
    there = number = 0
    for size in sorted(sizes):
        _fill(switch, there, size)
        there = size
        samples = [Samples(contestant.name, size) for contestant in contestants]
        for turn in range(-WARM_UP, rounds):
            say(f"{size} ports: round {turn + 1} of {rounds}", end=turn == rounds - 1)
            for index in range(len(contestants)):
                which = (index + turn) % len(contestants)
                number += 1
                add, delete = _pair(switch, contestants[which], number)
                if turn >= 0:
                    samples[which].add.append(add.ms)
                    samples[which].add_cpu.append(add.cpu)
                    samples[which].delete.append(delete.ms)
                    samples[which].delete_cpu.append(delete.cpu)
        found += samples
    return found


def _pair(switch: Switch, contestant: Contestant, number: int) -> tuple[Ran, Ran]:
    settle(switch)
    add = contestant.add(number)
    settle(switch)
    return add, contestant.delete(number)


def settle(switch: Switch) -> None:
    """Wait until vswitchd has done all that was asked of it, and has come to rest.

    Who asks at once after a change waits twice as long (its threads are still
    being woken), and that would be ovs-vsctl, which starts faster.
    """
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:bench=settled")
    time.sleep(REST_SECONDS)


def _fill(switch: Switch, there: int, wanted: int) -> None:
    """Make client ports without an application until there are `wanted`.

    DPDK 22.11 keeps 1024 vhost-user sockets (MAX_VHOST_SOCKET), so 1,000 real ones fit.
    """
    for first in range(there, wanted, BATCH):
        last = min(first + BATCH, wanted)
        say(f"making port {last} of {wanted}", end=last == wanted)
        arguments: list[str] = []
        for number in range(first, last):
            port, path = f"fill{number}", f"{switch.directory}/fill{number}"
            arguments += ["--", "add-port", BRIDGE, port, "--", "set", "Interface", port]
            arguments += [f"type={KIND}", f"options:vhost-server-path={path}"]
        switch.vsctl(*arguments[1:])
