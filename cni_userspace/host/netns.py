"""Network namespaces, seen from outside and entered for one question.

Owns identity (the boot, and device and inode of the namespace file, which is
what the kernel compares) and the look at one interface name. A path alone
proves nothing: /proc/<pid>/ns/net is another namespace once the pid is reused,
and a file under /run/netns outlives the mount that made it a namespace. Inodes
are given out anew, in the same order, after each boot.
"""

from __future__ import annotations

import os
from errno import EINVAL

from cni_userspace.errors import OwnNetnsError, UnknownContainerError

SELF = "/proc/self/ns/net"
SIOCGIFINDEX = 0x8933  # linux/sockios.h
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
    Raises UnknownContainerError for a namespace of another kind, OSError when
    entering is not permitted.
    """
    import _socket

    home = os.open(SELF, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(target)
        except OSError as error:
            if error.errno == EINVAL:
                raise _no_netns(path) from None
            raise
        finally:
            os.close(target)
        try:
            probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        finally:
            _setns(home)
    finally:
        os.close(home)
    import fcntl

    request = os.fsencode(name).ljust(40, b"\0")  # struct ifreq
    try:
        fcntl.ioctl(probe.fileno(), SIOCGIFINDEX, request)
    except OSError:  # ENODEV
        return False
    finally:
        probe.close()
    return True


def _setns(fd: int) -> None:
    if hasattr(os, "setns"):  # since Python 3.12
        os.setns(fd, CLONE_NEWNET)
        return
    import _ctypes  # what is above it in the package `ctypes` costs 1.5 ms

    program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # dlopen(3): NULL is the program itself
    function = _ctypes.dlsym(program, "setns")
    if _ctypes.call_function(function, (fd, CLONE_NEWNET)):
        _setns_with_reason(fd)


def _setns_with_reason(fd: int) -> None:
    """Try once more, for the errno that the lean way does not keep."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")
