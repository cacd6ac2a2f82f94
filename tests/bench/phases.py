"""Phases: where the time of one ADD goes, seen from outside by strace.

Owns the cuts. strace stops the program at a few calls only (--seccomp-bpf), so
that what it adds is small, and it is added to all. The cuts are what every
client of the database does: it connects, it asks for a new configuration
(`next_cfg`), it hears that ovs-vswitchd has done it (`cur_cfg`), it ends. A
CNI plugin also reads its stdin: what comes before is the start of the program
alone.
"""

from __future__ import annotations

import re
import tempfile
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.progress import say
from tests.bench.rounds import settle
from tests.support.child import RigError
from tests.support.need import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.contestants import Contestant
    from tests.support.switch import Switch

START = "start of the program"
READ = "its modules and its input"
LOOK = "questions, records, files"
WAIT = "ovs-vswitchd"
REST = "result, records, files"
NAMES = (START, READ, LOOK, WAIT, REST)
ROUNDS = 10
FIRST = 3_000_000  # numbers of containers that no other part of the benchmark uses
CALLS = "execve,read,connect,sendto,sendmsg,write,recvfrom,recvmsg,exit_group"
LINE = re.compile(r"^\d+ +(\d+\.\d+) (\w+)\((.*)")

Phases = dict[str, float]


def measure(switch: Switch, contestants: Sequence[Contestant], rounds: int = ROUNDS) -> dict[str, Phases]:
    """Return the median of each phase in milliseconds, by contestant."""
    strace = find("strace")
    if strace is None:
        raise RigError("there is no strace on this machine")
    found: dict[str, list[Phases]] = {contestant.name: [] for contestant in contestants}
    for turn in range(rounds):
        say(f"phases: round {turn + 1} of {rounds}", end=turn == rounds - 1)
        for contestant in contestants:
            with tempfile.NamedTemporaryFile("r") as trace:
                options = [
                    "-f",
                    "--seccomp-bpf",
                    "-ttt",
                    "-s",
                    "65536",
                    "-e",
                    f"trace={CALLS}",
                    "-o",
                    trace.name,
                ]
                settle(switch)
                contestant.add(FIRST, [strace, *options, "--"])
                contestant.delete(FIRST)
                found[contestant.name].append(cut(trace.read(), switch.socket))
    return {name: {p: median(one[p] for one in all_) for p in NAMES} for name, all_ in found.items()}


def cut(trace: str, socket: str) -> Phases:
    """Cut the lines of one run into phases; raise RigError where it did not do what a client does."""
    calls = [(float(m[1]), m[2], m[3]) for m in map(LINE.match, trace.splitlines()) if m]
    start = _first(calls, "execve", "")
    connected = _first(calls, "connect", socket)
    asked = max(
        (at for at, name, rest in calls if name in ("sendto", "sendmsg", "write") and "next_cfg" in rest),
        default=0,
    )
    done = max(
        (at for at, name, rest in calls if name.startswith("recv") and "cur_cfg" in rest and at > asked),
        default=0,
    )
    if not asked or not done:
        raise RigError("the traced program asked ovs-vswitchd for nothing, or heard nothing of it")
    read = min(
        (at for at, name, rest in calls if name == "read" and rest.startswith("0,")), default=connected
    )
    cuts = [start, read, connected, asked, done, _first(calls, "exit_group", "")]
    return {name: (end - begin) * 1000 for name, begin, end in zip(NAMES, cuts, cuts[1:], strict=False)}


def _first(calls: list[tuple[float, str, str]], name: str, word: str) -> float:
    found = [at for at, called, rest in calls if called == name and word in rest]
    if not found:
        raise RigError(f"the traced program never called {name}")
    return found[0]
