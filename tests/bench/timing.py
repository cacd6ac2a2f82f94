"""Running one program and the clock around it.

Owns the measured moment: from the spawn to the end of the process, as a
runtime or a person waits for it. posix_spawn, because what the parent adds to
both sides makes every ratio look better than it is. CPU time is the kernel's
account of the finished process.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class FailedError(Exception):
    """A measured program failed; its time means nothing."""


@dataclass(frozen=True)
class Ran:
    """One run: milliseconds from spawn to end, those on a processor, and what it wrote."""

    ms: float
    cpu: float
    stdout: str


def run(command: Sequence[str], env: Mapping[str, str], stdin: str = "") -> Ran:
    """Run a program (its path absolute) to its end. Raises FailedError when it fails."""
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as told,
        tempfile.TemporaryFile("w+") as said,
    ):
        given.write(stdin)
        given.seek(0)
        actions = [
            (os.POSIX_SPAWN_DUP2, given.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, told.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, said.fileno(), 2),
        ]
        start = time.perf_counter()
        pid = os.posix_spawn(command[0], tuple(command), env, file_actions=actions)
        _, status, used = os.wait4(pid, 0)
        ms = (time.perf_counter() - start) * 1000
        told.seek(0)
        said.seek(0)
        stdout, stderr = told.read(), said.read()
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise FailedError(f"{' '.join(command)}: exit {code}: {stdout}{stderr}")
    return Ran(ms, (used.ru_utime + used.ru_stime) * 1000, stdout)
