"""Memory: the peak of one ADD, and twenty at once within a limit.

Owns a memory cgroup of its own, version 1 or 2, whichever the machine has. The
kernel's account of a process (getrusage(2)) starts with the peak of whoever
started it, so a small program starts the measured one: its own peak is the floor.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.progress import say
from tests.bench.rounds import settle
from tests.bench.timing import FailedError
from tests.support.child import RigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.contestants import Contestant
    from tests.support.switch import Switch

AT_ONCE = 20
LIMIT_MIB = 50
MIB = 1 << 20
FIRST = 2_000_000  # numbers of containers that no other part of the benchmark uses
V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
# Runs the rest of its command line and writes the peak into the file that comes first.
WITNESS = """import os, sys
child = os.fork()
if not child:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(used.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""
ENTER = 'echo 0 >"$0/cgroup.procs" && exec "$@"'


@dataclass(frozen=True)
class Memory:
    """What one contestant needs, in MiB, and how many of twenty failed within the limit.

    `peak` is the process's resident set, with what it shares with others;
    `charged` what a cgroup pays for it, the kernel's part included.
    """

    name: str
    peak: float
    charged: float
    together: float
    failed: int


def measure(switch: Switch, contestants: Sequence[Contestant]) -> list[Memory]:
    """Let each contestant make one port, then twenty at once within the limit."""
    firsts = range(FIRST, FIRST + AT_ONCE * len(contestants), AT_ONCE)
    return [_measure(switch, one, first) for one, first in zip(contestants, firsts, strict=True)]


def _measure(switch: Switch, contestant: Contestant, first: int) -> Memory:
    say(f"memory of {contestant.name}", end=True)
    with tempfile.NamedTemporaryFile("r") as peak:
        witness = [os.path.realpath(sys.executable), "-I", "-S", "-c", WITNESS, peak.name]
        settle(switch)
        contestant.add(first, witness)
        contestant.delete(first)
        resident = int(peak.read()) / 1024
    with _cgroup() as cgroup:
        contestant.add(first, cgroup.enter)
        charged = cgroup.peak()
        contestant.delete(first)
    with _cgroup() as cgroup:
        failed = _crowd(contestant, first, cgroup.enter)
        together = cgroup.peak()
    if failed:
        raise FailedError(f"{contestant.name}: {failed} of {AT_ONCE} fail without any limit")
    with _cgroup(LIMIT_MIB * MIB) as cgroup:
        failed = _crowd(contestant, first, cgroup.enter)
    return Memory(contestant.name, resident, charged, together, failed)


def _crowd(contestant: Contestant, first: int, under: list[str]) -> int:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(lambda number: _fails(contestant, number, under), range(first, first + AT_ONCE)))


def _fails(contestant: Contestant, number: int, under: list[str]) -> bool:
    try:
        contestant.add(number, under)
        contestant.delete(number, under)
    except FailedError as error:
        say(str(error), end=True)
        return True
    return False


@contextmanager
def _cgroup(limit: int = 0) -> Iterator[Cgroup]:
    """Make a cgroup, with a limit where one is given; remove it at the end."""
    old = os.path.exists(f"{V1}/memory.limit_in_bytes")
    if not old:
        _write(f"{V2}/cgroup.subtree_control", "+memory")
    path = os.path.join(V1 if old else V2, f"us-bench-{os.getpid()}")
    os.mkdir(path)
    try:
        if limit:
            _write(f"{path}/{'memory.limit_in_bytes' if old else 'memory.max'}", str(limit))
        yield Cgroup(path, f"{path}/{'memory.max_usage_in_bytes' if old else 'memory.peak'}")
    finally:
        os.rmdir(path)


@dataclass(frozen=True)
class Cgroup:
    """A cgroup, and the kernel's file that tells the most it ever used."""

    path: str
    file: str

    @property
    def enter(self) -> list[str]:
        """Return the program under which another runs in it."""
        return ["/bin/sh", "-c", ENTER, self.path]

    def peak(self) -> float:
        """Return its peak in MiB; 0 where this kernel keeps none (version 2 before Linux 5.19)."""
        try:
            with open(self.file, encoding="ascii") as file:
                return int(file.read()) / MIB
        except FileNotFoundError:
            return 0.0


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise RigError(f"no memory cgroup can be made: {path}: {error.strerror}") from None
