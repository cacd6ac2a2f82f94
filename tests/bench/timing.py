"""Running one program and the clock around it.

Owns the measured moment: from the spawn to the end of the process, as a
runtime or a person waits for it. posix_spawn, because what the parent adds to
both sides makes every ratio look better than it is.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.child import RigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Ran:
    """One run: milliseconds from spawn to end, and what it wrote to stdout."""

    ms: float
    stdout: str


def run(command: Sequence[str], env: Mapping[str, str], stdin: str = "") -> Ran:
    """Run a program (its path absolute) to its end. Raises RigError when it fails."""
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as told:
        given.write(stdin)
        given.seek(0)
        actions = [
            (os.POSIX_SPAWN_DUP2, given.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, told.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, told.fileno(), 2),
        ]
        start = time.perf_counter()
        pid = os.posix_spawn(command[0], tuple(command), env, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        ms = (time.perf_counter() - start) * 1000
        told.seek(0)
        stdout = told.read()
    if status:
        raise RigError(f"{' '.join(command)}: exit {os.waitstatus_to_exitcode(status)}: {stdout}")
    return Ran(ms, stdout)
