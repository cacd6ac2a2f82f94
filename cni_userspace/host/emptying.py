"""Emptying a directory in which a container may have planted what it likes.

Owns that nothing mounted in it loses anything, that no link is followed, and
that no depth is too deep: shutil.rmtree ends at Python's recursion limit, and
it empties what is mounted in a directory before it fails at the mount.
"""

from __future__ import annotations

import errno
import os

ROUNDS = 100_000  # listings of a directory that a container may still be filling


def empty(fd: int, path: str) -> None:
    """Remove everything in an open directory; `path` is for people.

    Raises OSError with the name of what would not go: a mount (EBUSY) or a
    directory that is filled meanwhile (ENOTEMPTY).
    """
    mount = _mount(fd)
    for _ in range(ROUNDS):
        names = os.listdir(fd)
        if not names:
            return
        for name in names:
            _clear(fd, name, mount)
    raise OSError(errno.ENOTEMPTY, "it is filled while it is emptied", path)


def _clear(top: int, name: str, mount: str) -> None:
    """Remove an entry; directories with something in them that are below it come up beside it."""
    if _removed(top, name):
        return
    child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        if _mount(child) != mount:
            raise OSError(errno.EBUSY, "something is mounted there", name)
        for below in os.listdir(child):
            if not _removed(child, below):
                os.rename(below, os.urandom(8).hex(), src_dir_fd=child, dst_dir_fd=top)
    finally:
        os.close(child)
    os.rmdir(name, dir_fd=top)


def _removed(fd: int, name: str) -> bool:
    """Remove an entry; return False for a directory with something in it."""
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
    return True


def _mount(fd: int) -> str:
    """Return the id of the mount that an open file is on (proc_pid_fdinfo(5)): device numbers repeat."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
        return next(line for line in lines if line.startswith("mnt_id"))
