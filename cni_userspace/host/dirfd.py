"""Directories and sockets that a pod may reach: only through descriptors.

Owns every operation below a directory that a container can write. A hostile
container can plant links, FIFOs and directories there while root works, so
nothing in it is ever named by a path that the kernel would resolve anew:
each step opens one component without following links.
"""

from __future__ import annotations

import errno
import os
import stat

from cni_userspace.errors import ConflictError, InputOutputError
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

PUBLIC = 0o755  # what we make above the containers' directories anybody may walk through
STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
WALK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Access(Value):
    """Owner, group and mode that something is to have; None leaves it as it comes."""

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None


class Directory:
    """An open directory; a context that closes it."""

    def __init__(self, fd: int, path: str) -> None:
        """Take over an open descriptor; `path` is for people and records."""
        self.fd = fd
        self.path = path

    def __enter__(self) -> Self:
        """Return the directory."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the descriptor."""
        self.close()

    def close(self) -> None:
        """Close the descriptor; the object is of no use afterwards."""
        os.close(self.fd)

    @property
    def identity(self) -> str:
        """Return "device:inode"."""
        found = os.fstat(self.fd)
        return f"{found.st_dev}:{found.st_ino}"

    def at(self, name: str) -> str:
        """Return a path for calls that take none relative to a descriptor (bind, connect)."""
        return f"/proc/self/fd/{self.fd}/{name}"

    def child(self, name: str) -> Directory:
        """Open a directory in this one; raises OSError (ELOOP or ENOTDIR for a link)."""
        return Directory(os.open(name, WALK, dir_fd=self.fd), f"{self.path}/{name}")


def _components(path: str) -> Iterator[str]:
    return (part for part in path.split("/") if part)


def open_directory(path: str, *, create: bool = False) -> Directory:
    """Open an absolute directory, resolving its links once and none on the way.

    `create` makes the missing part of it (mode 0755). Raises InputOutputError,
    FileNotFoundError where it is missing and not to be created.
    """
    resolved = os.path.realpath(path)
    fd = os.open("/", STEP)
    try:
        for part in _components(resolved):
            deeper = _step(fd, part, create=create)
            os.close(fd)
            fd = deeper
        opened = os.open(".", WALK, dir_fd=fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputOutputError(
            "a directory cannot be opened",
            details=f"{path}: {error.strerror}",
            hint="each part of the path must be a directory that stands still",
        ) from None
    finally:
        os.close(fd)
    return Directory(opened, resolved)


def open_container(path: str) -> Directory:
    """Open a container's directory: the links above it are the node's, it itself must be none.

    Raises FileNotFoundError where it is missing or something else has its
    name, InputOutputError.
    """
    with open_directory(os.path.dirname(path)) as parent:
        try:
            return parent.child(os.path.basename(path))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            raise FileNotFoundError(errno.ENOENT, "is no directory", path) from None


def _step(fd: int, part: str, *, create: bool) -> int:
    try:
        return os.open(part, STEP, dir_fd=fd)
    except FileNotFoundError:
        if not create:
            raise
    try:
        os.mkdir(part, PUBLIC, dir_fd=fd)
        os.chmod(part, PUBLIC, dir_fd=fd)  # whatever the runtime's umask is
    except FileExistsError:  # another call made it meanwhile
        pass
    return os.open(part, STEP, dir_fd=fd)


def make_directory(parent: Directory, name: str, access: Access) -> tuple[Directory, bool]:
    """Open or make a directory in `parent`; tell whether this call made it.

    One that is there keeps its owner and mode. Raises ConflictError when
    something else has the name, InputOutputError where none can be made; none
    is left then.
    """
    try:
        os.mkdir(name, 0o700, dir_fd=parent.fd)
    except FileExistsError:
        return _existing(parent, name), False
    except OSError as error:
        raise _unmade(f"{parent.path}/{name}", error) from None
    try:
        found = parent.child(name)
        try:
            apply_access(found.fd, access)
        except BaseException:
            found.close()
            raise
    except OSError as error:
        os.rmdir(name, dir_fd=parent.fd)
        raise _unmade(f"{parent.path}/{name}", error) from None
    return found, True


def _existing(parent: Directory, name: str) -> Directory:
    try:
        return parent.child(name)
    except OSError as error:
        raise ConflictError(
            "the container's directory cannot be used",
            details=f"{parent.path}/{name}: {error.strerror}",
            hint="something that is no directory has its name",
        ) from None


def _unmade(path: str, error: OSError) -> InputOutputError:
    return InputOutputError(
        "the container's directory cannot be made",
        details=f"{path}: {error.strerror}",
        hint="`sharedDir` must be writable for root",
    )


def access(found: os.stat_result) -> list[int]:
    """Return owner, group and mode in a record's form."""
    return [found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)]


def apply_access(fd: int, access: Access) -> None:
    """Set owner, group and mode of an open file (mode last: chown clears setgid)."""
    if access.uid is not None or access.gid is not None:
        os.fchown(fd, -1 if access.uid is None else access.uid, -1 if access.gid is None else access.gid)
    if access.mode is not None:
        os.fchmod(fd, access.mode)


def kind(directory: Directory, name: str) -> str:
    """Return what stands under a name: "", "socket", "directory", "link" or "other"."""
    try:
        mode = os.stat(name, dir_fd=directory.fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return ""
    for word, test in (("socket", stat.S_ISSOCK), ("directory", stat.S_ISDIR), ("link", stat.S_ISLNK)):
        if test(mode):
            return word
    return "other"


def identity(directory: Directory, name: str) -> str:
    """Return "device:inode" of what stands under a name, or ""."""
    try:
        found = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except FileNotFoundError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def has_listener(directory: Directory, name: str) -> bool:
    """Tell whether a live process has a socket bound under that name.

    A datagram socket cannot connect to a stream socket: the kernel answers
    EPROTOTYPE where one is bound and ECONNREFUSED where only the file is left
    (unix(7), connect(2)). So the question reaches no application: vhost-user
    servers take the first connection for the switch's.
    """
    import _socket

    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect(directory.at(name))
    except OSError as error:
        return error.errno != errno.ECONNREFUSED
    finally:
        probe.close()
    return True


def unlink(directory: Directory, name: str) -> bool:
    """Remove a name that is no directory; tell whether it was there."""
    try:
        os.unlink(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return False
    return True


def remove_tree(parent: Directory, name: str) -> None:
    """Remove a directory with all that is in it, following no link and crossing no mount.

    A missing one is success; raises InputOutputError with what would not go.
    """
    try:
        os.rmdir(name, dir_fd=parent.fd)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise InputOutputError(
                "a directory cannot be removed",
                details=f"{parent.path}/{name}: {error.strerror}",
            ) from None
        _remove_contents(parent, name)


def _remove_contents(parent: Directory, name: str) -> None:
    from cni_userspace.host import emptying  # needed for left-overs alone

    try:
        with parent.child(name) as top:
            emptying.empty(top.fd, top.path)
        os.rmdir(name, dir_fd=parent.fd)
    except OSError as error:
        raise InputOutputError(
            "a directory cannot be emptied",
            details=f"{parent.path}/{name}: {error.strerror} ({error.filename})",
            hint="a mount in it must be unmounted first",
        ) from None
