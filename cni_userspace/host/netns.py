"""Network namespaces, seen from outside and entered for one thing at a time.

Owns identity (the boot, and device and inode of the namespace file, which is
what the kernel compares), entering and leaving, and the look at one interface
name. Never leaves this process in another namespace than its own. A path alone
proves nothing: /proc/<pid>/ns/net is another namespace once the pid is reused,
and a file under /run/netns outlives the mount that made it a namespace. Inodes
are given out anew, in the same order, after each boot.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C module below `signal`, whose import costs 5 ms
import os

from cni_userspace.errors import OwnNetnsError, UnknownContainerError

SELF = "/proc/self/ns/net"
OWN_THREAD = "/proc/thread-self/ns/net"  # setns(2) moves one thread
SYSCTL = "/proc/sys/net"
SIOCGIFINDEX = 0x8933  # linux/sockios.h
NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
CLONE_NEWNET = 0x40000000  # linux/sched.h
BOOT_ID = "/proc/sys/kernel/random/boot_id"  # random(4)
BOOT_CHARACTERS = 8


def identity(path: str) -> str:
    """Return "boot:device:inode" of a namespace, or "" where none is at that path."""
    try:
        found = os.stat(path)
        own = os.stat(SELF)
    except (OSError, ValueError):  # ValueError: a record's or a mark's path that can be none
        return ""
    if found.st_dev != own.st_dev:  # no nsfs: a left-over mount point
        return ""
    return f"{boot()}:{found.st_dev}:{found.st_ino}"


def boot() -> str:
    """Return what tells this boot of the node from others."""
    descriptor = os.open(BOOT_ID, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, BOOT_CHARACTERS).decode()
    finally:
        os.close(descriptor)


def alive(path: str, known: str) -> bool:
    """Tell whether the namespace that once had this identity is still at the path."""
    return bool(path) and identity(path) == known != ""


def require(path: str) -> str:
    """Return the namespace's identity; raise UnknownContainerError (code 3) if there is none."""
    found = identity(path)
    if not found:
        raise _no_netns(path)
    return found


def _no_netns(path: str) -> UnknownContainerError:
    return UnknownContainerError(
        "the container's network namespace does not exist",
        details=f"CNI_NETNS {path} is no network namespace",
        hint="the runtime makes it before it calls the plugin; by hand: ip netns add",
    )


def refuse_own(path: str) -> None:
    """Raise OwnNetnsError (code 8, as the Go skeleton does) where the namespace is this process's own."""
    if identity(path) == identity(SELF):
        raise OwnNetnsError(
            "CNI_NETNS is the plugin's own network namespace",
            details=f"CNI_NETNS {path}",
            hint="a container has a namespace of its own; CNI_NETNS_OVERRIDE=1 permits this one",
        )


def has_interface(path: str, name: str) -> bool:
    """Tell whether the namespace holds a kernel interface of that name.

    Enters the namespace for one ioctl (netdevice(7)) and leaves it again.
    Raises UnknownContainerError where none is, OSError when entering is not
    permitted.
    """
    import _socket

    target = opened(path)
    try:
        with Inside(target):
            probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    finally:
        os.close(target)
    import fcntl

    request = os.fsencode(name).ljust(40, b"\0")  # struct ifreq
    try:
        fcntl.ioctl(probe.fileno(), SIOCGIFINDEX, request)
    except OSError:  # ENODEV
        return False
    finally:
        probe.close()
    return True


def opened(path: str, known: str = "") -> int:
    """Return a descriptor of the namespace at a path, which holds it whatever becomes of the path.

    With `known`, an identity, it must be that one. Raises UnknownContainerError
    (code 3) otherwise, PermissionError.
    """
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError:
        raise
    except (OSError, ValueError):
        raise _no_netns(path) from None
    try:
        kind = fcntl.ioctl(fd, NS_GET_NSTYPE)
    except OSError:  # ENOTTY: no namespace
        kind = 0
    if kind == CLONE_NEWNET and (not known or identity(f"/proc/self/fd/{fd}") == known):
        return fd
    os.close(fd)
    raise _no_netns(path)


class Inside:
    """This thread in the namespace of a descriptor, while the context lasts.

    For what asks where its caller is: sockets when they are made,
    /proc/sys/net when it is opened. Signals wait outside: one that became an
    error on the way home (host.signals) would leave the call's way back, which
    undoes what it made, in the container. Never wait in it. Raises OSError
    (EPERM without CAP_SYS_ADMIN).
    """

    def __init__(self, fd: int) -> None:
        """Name the namespace."""
        self._fd = fd
        self._home = -1
        self._heard: set[int] = set()

    def __enter__(self) -> None:
        """Go there; where that fails, this thread is at home."""
        self._heard = _hear_nothing()
        try:
            self._home = os.open(OWN_THREAD, os.O_RDONLY | os.O_CLOEXEC)
            self._go()
        except BaseException:
            self.__exit__()
            raise

    def _go(self) -> None:
        _setns(self._fd)

    def __exit__(self, *_: object) -> None:
        """Go home, then let signals in."""
        try:
            if self._home >= 0:
                _setns(self._home)
        finally:
            if self._home >= 0:
                os.close(self._home)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._heard)


def _hear_nothing() -> set[int]:
    """Block all signals and return those that were blocked; what is pending raises its error now."""
    before: set[int] = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
    try:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    except BaseException:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        raise
    return before


class Temporary:
    """A namespace that nobody else sees; a context manager that gives its descriptor.

    It ends with its last descriptor and socket; the kernel then brings home
    what hardware is left in it, under the name it has there, some time later.
    """

    def __init__(self) -> None:
        """Make nothing yet."""
        self._fd = -1

    def __enter__(self) -> int:
        """Make it (unshare(2)) and go home at once. Raises OSError."""
        with _Fresh():
            self._fd = os.open(OWN_THREAD, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        os.close(self._fd)


class _Fresh(Inside):
    def __init__(self) -> None:
        super().__init__(-1)

    def _go(self) -> None:
        if hasattr(os, "unshare"):  # since Python 3.12
            os.unshare(CLONE_NEWNET)
        else:
            _call("unshare", CLONE_NEWNET)


def sysctl(fd: int, key: str, value: str) -> None:
    """Set /proc/sys/net/<key> of a namespace, "ipv4/conf/net1/arp_notify" for instance.

    Raises OSError: ENOENT where the kernel has no such key, EROFS where /proc/sys
    is read-only.
    """
    with Inside(fd):
        opened_there = os.open(f"{SYSCTL}/{key}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(opened_there, value.encode())
    finally:
        os.close(opened_there)


def _setns(fd: int) -> None:
    if hasattr(os, "setns"):  # since Python 3.12
        os.setns(fd, CLONE_NEWNET)
    else:
        _call("setns", fd, CLONE_NEWNET)


def _call(name: str, *arguments: int) -> None:
    """Call a function of the C library that Python 3.11 lacks."""
    import _ctypes  # what is above it in the package `ctypes` costs 1.5 ms

    program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # dlopen(3): NULL is the program itself
    if _ctypes.call_function(_ctypes.dlsym(program, name), arguments):
        _call_for_the_reason(name, arguments)


def _call_for_the_reason(name: str, arguments: tuple[int, ...]) -> None:
    """Try once more, for the errno that the lean way does not keep."""
    import ctypes

    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
