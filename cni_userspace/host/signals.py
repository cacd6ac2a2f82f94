"""Signals that end a call: an error while what was made can be taken back, nothing afterwards.

Owns their handlers. Without `as_errors` they end the process as they always
do, which is right as long as nothing has been made. After the first one the
others are ignored, so that nothing interrupts the way back.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C module below `signal`, whose import costs 5 ms

from cni_userspace.errors import TerminatedError

ENDING = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}  # signal(7)


def as_errors() -> None:
    """Raise TerminatedError, wherever the program is, when such a signal comes.

    One that our parent ignores stays ignored: that is how a shell protects a
    program in the background.
    """
    for number in ENDING:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _end)


def ignore() -> None:
    """Let no such signal come through any more."""
    for number in ENDING:
        _signal.signal(number, _signal.SIG_IGN)


def _end(number: int, _frame: object) -> None:
    ignore()
    raise TerminatedError("the call was ended from outside", details=ENDING[number])
