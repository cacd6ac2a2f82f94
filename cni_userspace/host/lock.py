"""Locks between processes: flock on a directory, with a deadline.

Owns how to wait for a lock. The lock file is the directory that holds what is
locked, so nothing is left over when the directory goes; whoever waited for a
directory that was removed meanwhile starts anew. The kernel frees the lock of
a process that dies (flock(2)), so a lock is never stale.
"""

from __future__ import annotations

import fcntl
import os

from cni_userspace.errors import TryAgainError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from cni_userspace.host.deadline import Deadline

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectoryLock:
    """The exclusive lock of one directory, made if missing (mode 0700).

    `fd` is the open directory. Leaving the context removes the directory when
    it is empty, and releases the lock.
    """

    def __init__(self, path: str, deadline: Deadline, whose: str = "container") -> None:
        """Name the directory; its parent must exist when the lock is entered. `whose` is for messages."""
        self._path = path
        self._deadline = deadline
        self._whose = whose
        self.fd = -1

    def __enter__(self) -> Self:
        """Take the lock; raise TryAgainError (code 11) when it stays held, OSError."""
        try:
            while True:
                fd = self._attempt()
                if fd >= 0:
                    self.fd = fd
                    return self
                _require_time(self._path, self._deadline, self._whose)
        except BaseException:
            self._tidy()
            raise

    def _attempt(self) -> int:
        """Return the locked directory, -1 where its holder removed it meanwhile."""
        try:
            os.mkdir(self._path, 0o700)
        except FileExistsError:
            pass
        try:
            fd = os.open(self._path, _OPEN)
        except FileNotFoundError:  # removed between the two calls
            return -1
        try:
            take(fd, self._path, self._deadline, self._whose)
            current = _same(fd, self._path)
        except BaseException:
            os.close(fd)
            raise
        if current:
            return fd
        os.close(fd)
        return -1

    def _tidy(self) -> None:
        """Remove the directory after a failure, if it is empty and nobody has its lock."""
        try:
            fd = os.open(self._path, _OPEN)
        except OSError:  # the failure that brought us here is told
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(fd, self._path):
                os.rmdir(self._path)
        except OSError:
            pass
        finally:
            os.close(fd)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the directory if it is empty, release the lock."""
        try:
            os.rmdir(self._path)
        except OSError:  # not empty: it holds records, which is its purpose
            pass
        os.close(self.fd)


def _same(fd: int, path: str) -> bool:
    mine = os.fstat(fd)
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def take(fd: int, what: str, deadline: Deadline, whose: str = "container") -> None:
    """Take the exclusive flock of an open file within the deadline.

    Raises TryAgainError. Must run in the main thread when it has to wait.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _wait(fd, what, deadline, whose)


def _wait(fd: int, what: str, deadline: Deadline, whose: str) -> None:
    import signal  # 5 ms that only a caller who has to wait pays

    def ring(_signum: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, deadline.remaining())
        fcntl.flock(fd, fcntl.LOCK_EX)
    except TimeoutError:
        raise _stayed_held(what, deadline, whose) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _require_time(what: str, deadline: Deadline, whose: str) -> None:
    try:
        deadline.remaining()
    except TimeoutError:
        raise _stayed_held(what, deadline, whose) from None


def _stayed_held(what: str, deadline: Deadline, whose: str) -> TryAgainError:
    return TryAgainError(
        f"another call works on the same {whose}",
        details=f"the lock {what} stayed held for {deadline.seconds:g} s",
        hint="`fuser -v` on that directory names the process that holds it",
    )
