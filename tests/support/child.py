"""Daemons that a rig starts: ours alone, and gone when we are.

Owns one child process: its output goes into a file, it is ended by its own
pid, and the kernel kills it when the thread that started it ends (so start it
from the main thread). Must never look for processes by name.
"""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GRACE_SECONDS = 10.0
POLL_SECONDS = 0.01
T = TypeVar("T")


class RigError(Exception):
    """A rig did not do what it was made for; the text holds the end of its log."""


class Child:
    """A program in the background."""

    def __init__(
        self,
        command: Sequence[str],
        log: str,
        *,
        env: Mapping[str, str] | None = None,
        talk: bool = False,
    ) -> None:
        """Start it; stdout and stderr are appended to `log`; `talk` keeps its stdin open for `say`."""
        self.log = log
        with open(log, "ab") as sink:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=None if env is None else dict(env),
                process_group=0,  # a terminal's Ctrl-C is for us, who then end it in order
            )
        self.pid = self._process.pid
        self._stopped = False

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self._process.poll() is None

    def say(self, line: str) -> None:
        """Write one line to its stdin."""
        if self._process.stdin is None:
            raise RigError(f"{self.log}: started without `talk`")
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def pause(self) -> None:
        """Stop it where it stands (SIGSTOP): it lives and does not answer."""
        self._process.send_signal(signal.SIGSTOP)
        self._stopped = True

    def go_on(self) -> None:
        """Let it run again (SIGCONT)."""
        if self._stopped and self.alive():
            self._process.send_signal(signal.SIGCONT)
        self._stopped = False

    def kill(self) -> None:
        """End it as a crash does (SIGKILL)."""
        self._process.kill()
        self._process.wait()
        self._close()

    def end(self) -> None:
        """Ask it to end (SIGTERM), kill it where it does not; once more is fine."""
        self.go_on()
        if self.alive():
            self._process.terminate()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # what it did not read is lost with it

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return tail(self.log, lines)


def tail(path: str, lines: int = 15) -> str:
    """Return the last lines of a file, or that there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except FileNotFoundError:
        return f"(no {path})"


def wait_for(what: str, look: Callable[[], T | None], seconds: float, *, proof: Callable[[], str]) -> T:
    """Return the first answer of `look` that counts as true; raise RigError with the proof at the end."""
    end = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > end:
            raise RigError(f"{what}: not within {seconds:.0f} s\n{proof()}")
        time.sleep(POLL_SECONDS)
