"""Cases: two commands that do the same job, taken in turns. `python -m tests.bench.cases FILE`.

Owns the comparison that needs no switch of ours: a case is two commands, each
with what puts things back afterwards, outside the clock. `VERSION` against the
start of an interpreter is one. Whatever else is to be compared is a case in a
JSON file: `./dev bench --cases FILE` measures it in the same run, and where the
rig is a virtual machine this module alone runs in it: it needs Python's
standard library and nothing else, and prints JSON.

    [{"name": "ADD of a function", "most": 1.5,
      "ours": {"name": "userspace", "argv": [...], "env": {...}, "stdin": "...", "after": {...}},
      "theirs": {"name": "host-device", "argv": [...], ...}}]
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tests.bench import timing
from tests.bench.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 30
WARM_UP = 2  # rounds that are not counted


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program (its path absolute), its input, and what takes its effect back."""

    name: str
    argv: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    stdin: str = ""
    after: Command | None = None

    def run(self) -> timing.Ran:
        """Run it on the clock, and what comes after it outside."""
        ran = timing.run(self.argv, self.env, self.stdin)
        if self.after is not None:
            timing.run(self.after.argv, self.after.env, self.after.stdin)
        return ran


@dataclass(frozen=True, kw_only=True)
class Case:
    """Ours and theirs; our median may be `most` times theirs."""

    name: str
    ours: Command
    theirs: Command
    most: float


@dataclass(frozen=True, kw_only=True)
class Paired:
    """What a case's two sides took, round by round: milliseconds, and those on a processor."""

    name: str
    most: float
    ours: str
    theirs: str
    ours_ms: list[float] = field(default_factory=list)
    theirs_ms: list[float] = field(default_factory=list)
    ours_cpu: list[float] = field(default_factory=list)
    theirs_cpu: list[float] = field(default_factory=list)


def measure(cases: Sequence[Case], rounds: int) -> list[Paired]:
    """Run every case's two sides in turns, and the cases in turns too."""
    found = [Paired(name=c.name, most=c.most, ours=c.ours.name, theirs=c.theirs.name) for c in cases]
    for turn in range(-WARM_UP, rounds):
        say(f"{', '.join(c.name for c in cases)}: round {turn + 1} of {rounds}", end=turn == rounds - 1)
        for case, paired in zip(cases, found, strict=True):
            sides = [(case.ours, paired.ours_ms, paired.ours_cpu)]
            sides.append((case.theirs, paired.theirs_ms, paired.theirs_cpu))
            for command, ms, cpu in sides if turn % 2 else reversed(sides):
                ran = command.run()
                if turn >= 0:
                    ms.append(ran.ms)
                    cpu.append(ran.cpu)
    return found


def read(path: str) -> list[Case]:
    """Read cases from a JSON file."""
    with open(path, encoding="utf-8") as file:
        return [_case(found) for found in json.load(file)]


def _case(found: dict[str, Any]) -> Case:
    return Case(**{**found, "ours": _command(found["ours"]), "theirs": _command(found["theirs"])})


def _command(found: dict[str, Any]) -> Command:
    after = found.get("after")
    return Command(
        **{
            "name": os.path.basename(found["argv"][0]),
            **found,
            "after": None if after is None else _command(after),
        }
    )


def main(arguments: Sequence[str]) -> int:
    """Measure the cases of a file; print JSON."""
    found = measure(read(arguments[0]), ROUNDS)
    json.dump([asdict(paired) for paired in found], sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
