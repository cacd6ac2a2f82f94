"""The log: one line per record, on stderr and in the file that `logFile` names.

Owns the form of a line and the care with the file, which a netconf may name.
Never fails a call: a log that cannot be written costs one warning on stderr.
Never lets a message start a line of its own: its words may be a tenant's.
`logging` would cost the ADD path 20 ms.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from time import gmtime, strftime, time_ns

from cni_userspace.jsontext import dumps

LEVELS = ("panic", "error", "warning", "info", "debug", "verbose")  # as Intel's plugin names them
DEFAULT_LEVEL = "warning"
STDERR = 2
_ID_SHOWN = 12  # characters of a containerID, as people know them from docker and crictl
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NS = 1_000_000_000


class _File:
    """A log file that stops trying when it fails."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.broken = not path

    def append(self, line: bytes) -> str:
        """Append a line; return what is wrong with the file, the first time."""
        if self.broken:
            return ""
        try:
            with open(os.open(self.path, _APPEND, 0o600), "wb", buffering=0) as file:
                if S_ISREG(os.fstat(file.fileno()).st_mode):
                    file.write(line)  # one write: lines of parallel calls do not mix
                    return ""
                problem = "it is no regular file"
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            problem = getattr(error, "strerror", None) or str(error)
        self.broken = True
        return problem


class Log:
    """Where the records of one call go; passed on explicitly.

    Records of `level` (one of LEVELS, else ValueError) and of the levels
    before it are written. `file` is the path of a regular file, created 0600,
    or empty.
    """

    def __init__(self, level: str = DEFAULT_LEVEL, file: str = "") -> None:
        """Open nothing yet: the file is opened for each record, so that it can be rotated."""
        self._rank = LEVELS.index(level)
        self._file = _File(file)
        self._about = "- -"

    def about(self, container_id: str, ifname: str) -> Log:
        """Return a log to the same places whose lines name an attachment."""
        log = Log(LEVELS[self._rank])
        log._file = self._file
        log._about = f"{container_id[:_ID_SHOWN] or '-'} {ifname or '-'}"
        return log

    def panic(self, message: str, /, **fields: object) -> None:
        """Record a defect of the plugin."""
        self._write("panic", message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Record why the call fails."""
        self._write("error", message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Record what somebody should look at although the call goes on."""
        self._write("warning", message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        """Record what was done."""
        self._write("info", message, fields)

    def debug(self, message: str, /, **fields: object) -> None:
        """Record how it was done."""
        self._write("debug", message, fields)

    def verbose(self, message: str, /, **fields: object) -> None:
        """Record everything else."""
        self._write("verbose", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if LEVELS.index(level) > self._rank:
            return
        line = self._line(level, message, fields)
        _to_stderr(line)
        problem = self._file.append(line)
        if problem:
            words: dict[str, object] = {"logFile": self._file.path, "problem": problem}
            _to_stderr(self._line("warning", "the log file cannot be written", words))

    def _line(self, level: str, message: str, fields: dict[str, object]) -> bytes:
        now = time_ns()
        moment = f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now // _NS))}.{now % _NS // 1000:06}Z"
        shown = "".join(f" {key}={_plain(str(value))}" for key, value in fields.items())
        return f"{moment} {level} {self._about} {_escaped(message)}{shown}\n".encode()


def _to_stderr(line: bytes) -> None:
    try:
        os.write(STDERR, line)
    except OSError:  # the runtime closed it: there is nobody left to tell
        pass


def _escaped(text: str) -> str:
    return text if text.isprintable() else dumps(text)[1:-1]


def _plain(text: str) -> str:
    quoted = not text or not text.isprintable() or any(c in ' "=\\' for c in text)
    return dumps(text) if quoted else text
