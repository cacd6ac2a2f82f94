"""The crowd: many calls at once, as a node makes them that starts a hundred pods.

Owns the clock around all of them, and the processor time that they took
together. Contestants take turns, whole crowds at a time; the switch rests in between.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.progress import say
from tests.bench.rounds import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.contestants import Contestant
    from tests.bench.timing import Ran
    from tests.support.switch import Switch

CALLS = 100
AT_ONCE = 16
ROUNDS = 3
FIRST = 1_000_000  # numbers of containers that no other part of the benchmark uses


@dataclass
class Crowd:
    """What crowds of one contestant took, round by round: seconds in all, and those on a processor."""

    name: str
    add: list[float] = field(default_factory=list)
    add_cpu: list[float] = field(default_factory=list)
    delete: list[float] = field(default_factory=list)
    delete_cpu: list[float] = field(default_factory=list)


def measure(switch: Switch, contestants: Sequence[Contestant], rounds: int = ROUNDS) -> list[Crowd]:
    """Let each contestant make 100 ports by 16 processes at once, and remove them."""
    crowds = [Crowd(contestant.name) for contestant in contestants]
    for turn in range(rounds):
        say(f"{CALLS} calls, {AT_ONCE} at once: round {turn + 1} of {rounds}", end=turn == rounds - 1)
        for index in range(len(contestants)):
            which = (index + turn) % len(contestants)
            numbers = range(FIRST, FIRST + CALLS)
            settle(switch)
            _together(contestants[which].add, numbers, crowds[which].add, crowds[which].add_cpu)
            settle(switch)
            _together(contestants[which].delete, numbers, crowds[which].delete, crowds[which].delete_cpu)
    return crowds


def _together(call: Callable[[int], Ran], numbers: range, wall: list[float], cpu: list[float]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        start = time.perf_counter()
        ran = list(pool.map(call, numbers))
        wall.append(time.perf_counter() - start)
    cpu.append(sum(r.cpu for r in ran) / 1000)
