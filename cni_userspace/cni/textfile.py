"""Text files whose path somebody else chose: opened without waiting, read to a bound.

Owns reading them. A path can name a FIFO, a device or a file without end;
root opens none of them twice.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = 1 << 20
FILE_TYPE = 0o170000  # S_IFMT and S_IFREG of stat(2), without importing `stat`
REGULAR = 0o100000


class UnreadableError(Exception):
    """The file cannot be read; the message says why, `missing` whether it just is not there."""

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        """Keep both."""
        super().__init__(reason)
        self.missing = missing


def read(path: str, *, distrust: Callable[[os.stat_result], str] | None = None) -> str:
    """Return the text of a regular file of at most 1 MiB.

    `distrust` looks at the open file and says why it does not count, or
    returns "". Raises UnreadableError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise UnreadableError(f"cannot be read: {error.strerror}", missing=missing) from None
    try:
        status = os.fstat(descriptor)
        wrong = distrust(status) if distrust else ""
        if status.st_mode & FILE_TYPE != REGULAR:
            wrong = "is no regular file"
        data = b"" if wrong else os.read(descriptor, BYTES + 1)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if wrong or len(data) > BYTES:
        raise UnreadableError(wrong or f"is longer than {BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnreadableError("is no UTF-8 text") from None
