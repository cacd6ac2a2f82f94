"""Faults from outside, by strace(1): a call of the plugin broken at one system call, of a kind and a number.

Owns the trace of a whole call, which says at which system calls there is
anything to break, the injection, and a call that is halted midway. The plugin has no hook for it. Only what
comes after stdin was read counts: before that, nothing is known and made.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support import caller
from tests.support.child import tail, wait_for
from tests.support.plugin import VARIABLE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from tests.support.plugin import Outcome, Plugin

CHANGING = (
    *("mkdir", "mkdirat", "rmdir", "symlink", "symlinkat", "link", "linkat", "unlink", "unlinkat"),
    *("rename", "renameat", "renameat2", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat"),
    *("write", "ftruncate", "connect", "sendto", "clone", "clone3", "vfork", "setns", "flock"),
)
LOOKING = (
    "openat",
    "recvfrom",
    "readlinkat",
    "getdents64",
    "poll",
    "wait4",
    "socket",
    "memfd_create",
    "pipe2",
)
FILLING = ("mkdir", "mkdirat", "symlinkat", "linkat", "rename", "renameat", "write")  # may say ENOSPC
IMPORTED = (".pyc", ".py", ".so", ".zip", ".pth", "__pycache__")
SECONDS = 30.0  # for a call to get to the point where it halts
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT = os.path.dirname(os.path.realpath(os.environ.get(VARIABLE) or sys.executable))
CODE = (f"{ROOT}/cni_userspace", sys.base_prefix, BUILT, "/usr/lib", "/lib")
STDIN = re.compile(r'0(<[^>]*>)?, "\{')
PATH = re.compile(r'"(/[^"]*)"|<(/[^>]*)>')
LINE = re.compile(r"^(\w+)\((.*)")


@dataclass(frozen=True)
class Point:
    """One system call of a run: the `number`th of its kind; `words` are what strace says of it."""

    kind: str
    number: int
    words: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.kind} {self.number}: {self.words[:150]}"


def points(plugin: Plugin, cni: Mapping[str, str], stdin: bytes, kinds: tuple[str, ...]) -> list[Point]:
    """Run a call unbroken and return its system calls of these kinds, but for those of imports.

    It should not be the first call of all, which also writes what it compiled.
    """
    log = os.path.join(plugin.directory, "trace")
    wanted = ",".join(f"?{kind}" for kind in (*kinds, "read"))
    before = ["strace", "-qq", "-y", "-s", "200", "-o", log, "-e", f"trace={wanted}"]
    caller.call(plugin, cni, stdin, before=before).succeeded()
    with open(log, encoding="utf-8", errors="replace") as lines:
        return _parse(lines.read().splitlines(), kinds)


def _parse(lines: list[str], kinds: tuple[str, ...]) -> list[Point]:
    count: Counter[str] = Counter()
    found = []
    started = False
    for line in lines:
        if (match := LINE.match(line)) is None:
            continue
        kind, words = match.groups()
        count[kind] += 1
        started = started or (kind == "read" and STDIN.match(words) is not None)
        if started and kind in kinds and not _of_imports(words):
            found.append(Point(kind=kind, number=count[kind], words=words))
    return found


def _of_imports(words: str) -> bool:
    """Tell whether a call is the interpreter's own, by the paths that it names."""
    paths = [quoted or opened for quoted, opened in PATH.findall(words)]
    return any(path.endswith(IMPORTED) or path.startswith(CODE) for path in paths)


def broken(  # noqa: PLR0913  a call, a place and a fault
    plugin: Plugin,
    cni: Mapping[str, str],
    stdin: bytes,
    point: Point,
    fault: str,
    *,
    onwards: bool = False,
) -> Outcome:
    """Run a call with a fault at a point: `signal=KILL`, `signal=TERM` or `error=EIO` and the like.

    `onwards` breaks every later call of the kind, too. A fault that comes too
    late is none: the call succeeds then.
    """
    inject = f"inject={point.kind}:{fault}:when={point.number}{'+' if onwards else ''}"
    before = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={point.kind}", "-e", inject]
    return caller.call(plugin, cni, stdin, before=before)


@contextmanager
def halted(plugin: Plugin, cni: Mapping[str, str], conf: Mapping[str, Any], point: Point) -> Iterator[Halt]:
    """Start a call and give it when it stands still right after a point; afterwards it goes on.

    What it would have done by then is done. Its outcome is there after the
    context. Raises RigError where it does not get there.
    """
    log = os.path.join(plugin.directory, "halted")
    inject = f"inject={point.kind}:signal=STOP:when={point.number}"
    before = ["strace", "-qq", "-o", log, "-e", f"trace={point.kind}", "-e", inject]
    halt = Halt(caller.begin(plugin, cni, conf, before=before))
    wait_for(
        f"halt at {point}", lambda: "stopped by SIGSTOP" in tail(log, 2), SECONDS, proof=lambda: tail(log)
    )
    try:
        yield halt
    finally:
        with open(f"/proc/{halt.process.pid}/task/{halt.process.pid}/children", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGCONT)
        halt.outcome = caller.finish(halt.process)
    os.unlink(log)


class Halt:
    """A call that stands still."""

    outcome: Outcome

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Keep the process, which is strace."""
        self.process = process
