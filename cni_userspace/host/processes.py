"""Other programs: run one, with its input, its output and an end.

Owns the life of a child process. Never runs a shell, never leaves a child
behind, never waits without an end: a runtime kills a plugin that hangs, and
would leave its work half made. posix_spawn instead of `subprocess`, whose
import costs the ADD path 8 ms. Needs Linux 5.3 (pidfd_open).
"""

from __future__ import annotations

import os
import sys
from _signal import SIGKILL, SIGPIPE, SIGXFSZ  # type: ignore[import-not-found]  # `signal` costs 5 ms
from errno import EFBIG, ETXTBSY
from select import POLLIN, poll
from time import sleep

from cni_userspace.host.deadline import Deadline
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_OUTPUT_BYTES = 1 << 20
STDERR = 2
_BLOCK = 1 << 16
_RETRY_SECONDS = 0.05


class Finished(Value):
    """How a program ended: its exit code (negative: the signal that killed it) and stdout."""

    returncode: int
    stdout: str


def given_environment() -> dict[str, str]:
    """Return the environment that this program was started with.

    PyInstaller's start-up puts the bundle before everything else in
    LD_LIBRARY_PATH (and keeps the old value); another program with that would
    load the bundle's libraries instead of its own.
    """
    environ = dict(os.environ)
    if hasattr(sys, "frozen"):
        before = environ.pop("LD_LIBRARY_PATH_ORIG", None)
        environ.pop("LD_LIBRARY_PATH", None)
        if before is not None:
            environ["LD_LIBRARY_PATH"] = before
    return environ


def run(  # noqa: PLR0913  what a process has
    argv: tuple[str, ...],
    *,
    env: Mapping[str, str],
    stdin: str = "",
    deadline_seconds: float,
    stderr: int = STDERR,
    output_bytes: int = MAX_OUTPUT_BYTES,
) -> Finished:
    """Run a program to its end and return its exit code and output.

    `argv[0]` is the executable's path (PATH is not searched); `stderr` is the
    descriptor that becomes its standard error, by default ours. Returns when
    the program has ended, even if a child of it still holds the pipe. Undecodable
    output is replaced. An executable that is just being written (ETXTBSY, an
    installation under way) is tried again until the deadline.

    Raises TimeoutError at the deadline and OSError (EFBIG) for more than
    `output_bytes`, both after the program and its process group were killed;
    OSError where it cannot be started.
    """
    deadline = Deadline(deadline_seconds)
    with open(os.memfd_create("stdin"), "wb", buffering=0) as feed:
        feed.write(stdin.encode())
        feed.seek(0)
        source, sink = os.pipe()
        with open(source, "rb", buffering=0):
            try:
                pid = _spawn(argv, env, (feed.fileno(), sink, stderr), deadline)
            finally:
                os.close(sink)
            try:
                output = _collect(pid, source, deadline, output_bytes)
            except BaseException:
                _kill(pid)
                raise
    _, status = os.waitpid(pid, 0)
    return Finished(returncode=os.waitstatus_to_exitcode(status), stdout=output.decode(errors="replace"))


def _spawn(argv: tuple[str, ...], env: Mapping[str, str], fds: Sequence[int], deadline: Deadline) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)]
    while True:
        try:
            return os.posix_spawn(
                argv[0],
                argv,
                env,
                file_actions=actions,
                setpgroup=0,  # a group of its own, so that its children can be killed with it
                setsigmask=(),
                setsigdef=(SIGPIPE, SIGXFSZ),  # Python ignores them, and ignoring is inherited
            )
        except OSError as error:
            if error.errno != ETXTBSY:
                raise
            deadline.remaining()
            sleep(_RETRY_SECONDS)


def _collect(pid: int, source: int, deadline: Deadline, most: int) -> bytes:
    pieces: list[bytes] = []
    os.set_blocking(source, False)
    process = os.pidfd_open(pid)
    try:
        events = poll()
        events.register(source, POLLIN)
        events.register(process, POLLIN)
        while True:
            ready = [fd for fd, _ in events.poll(deadline.remaining() * 1000)]
            if source in ready and not _drain(source, pieces, most):
                events.unregister(source)
            if process in ready:
                _drain(source, pieces, most)  # what it wrote between the two looks
                return b"".join(pieces)
    finally:
        os.close(process)


def _drain(source: int, pieces: list[bytes], most: int) -> bool:
    """Read what is there; tell whether more can come."""
    while True:
        try:
            piece = os.read(source, _BLOCK)
        except BlockingIOError:
            return True
        if not piece:
            return False
        pieces.append(piece)
        if sum(map(len, pieces)) > most:
            raise OSError(EFBIG, f"more than {most} bytes of output")


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, SIGKILL)
    except ProcessLookupError:  # it has left its group
        os.kill(pid, SIGKILL)
    os.waitpid(pid, 0)
