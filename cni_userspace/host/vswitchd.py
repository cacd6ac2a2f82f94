"""The ovs-vswitchd process, as far as the node shows it.

Owns finding it and asking what it could reach. It often runs as a user of its
own or in a container, and a vhost-user port whose socket it cannot reach is
accepted by the database and never connects. Never guesses: where the process
is not visible, the answer is None and the caller says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys

from cni_userspace.value import Value

PIDFILE = "ovs-vswitchd.pid"
CAP_DAC_OVERRIDE = 1  # linux/capability.h
CAP_DAC_READ_SEARCH = 2
LINKS = 40  # as many as the kernel follows (path_resolution(7))
FLOCK_BYTES = 32  # struct flock on 64-bit Linux: short type, short whence, long start, long len, int pid
FLOCK_PID = 24
ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER = 0x02, 0x04, 0x08, 0x10, 0x20  # linux/posix_acl.h


class Credentials(Value):
    """What the kernel asks when a process walks a path."""

    uid: int
    groups: frozenset[int]
    search_all: bool


def find(rundir: str) -> int | None:
    """Return vswitchd's pid as this namespace sees it, or None.

    The holder of the lock on its pidfile is the living one (ovs-vswitchd(8)
    locks it for its lifetime); the kernel translates the pid between
    namespaces, which the number in the file does not.
    """
    try:
        fd = os.open(f"{rundir}/{PIDFILE}", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, _native(fcntl.F_WRLCK).ljust(FLOCK_BYTES, b"\0"))
    except OSError:
        return None
    finally:
        os.close(fd)
    held = answer[:2] != _native(fcntl.F_UNLCK)
    pid = int.from_bytes(answer[FLOCK_PID : FLOCK_PID + 4], sys.byteorder, signed=True)
    return pid if held and pid > 0 else None


def _native(number: int) -> bytes:
    """Return a C short; the module `struct` costs 0.2 ms."""
    return number.to_bytes(2, sys.byteorder)


def credentials(pid: int) -> Credentials | None:
    """Read the process's filesystem identity from /proc (proc_pid_status(5)), None if it is gone."""
    fields: dict[str, list[str]] = {}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                fields[name] = value.split()
    except OSError:
        return None
    caps = int(fields["CapEff"][0], 16)
    return Credentials(
        uid=int(fields["Uid"][3]),
        groups=frozenset(int(g) for g in (fields["Gid"][3], *fields["Groups"])),
        search_all=bool(caps & (1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)),
    )


def may_search(fd: int, who: Credentials) -> bool:
    """Tell whether mode bits and access list let that process pass through an open directory."""
    found = os.fstat(fd)
    if who.search_all:
        return True
    if found.st_uid == who.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    entries = _acl(fd)
    if entries:
        return _acl_grants(entries, found.st_gid, who)
    if found.st_gid in who.groups:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _acl(fd: int) -> list[tuple[int, bool, int]]:
    """Return (tag, may search, id) of each entry of an access list; [] without one.

    The form is linux/posix_acl_xattr.h: a version, then 8 bytes for each.
    """
    try:
        raw = os.getxattr(f"/proc/self/fd/{fd}", "system.posix_acl_access")
    except OSError:  # there is none, or the file system has no such thing
        return []
    entries = [raw[start : start + 8] for start in range(4, len(raw), 8)]
    return [
        (int.from_bytes(e[:2], "little"), bool(e[2] & 1), int.from_bytes(e[4:], "little")) for e in entries
    ]


def _acl_grants(entries: list[tuple[int, bool, int]], owning_group: int, who: Credentials) -> bool:
    """Follow acl(5), "Access check algorithm", for a process that is not the owner."""
    mask = next((search for tag, search, _ in entries if tag == ACL_MASK), True)
    for tag, search, number in entries:
        if tag == ACL_USER and number == who.uid:
            return search and mask
    groups = [
        search
        for tag, search, number in entries
        if (tag == ACL_GROUP and number in who.groups)
        or (tag == ACL_GROUP_OBJ and owning_group in who.groups)
    ]
    if groups:
        return any(groups) and mask
    return any(search for tag, search, _ in entries if tag == ACL_OTHER)


def obstacle(rundir: str, path: str, wanted: str) -> str:
    """Return what keeps vswitchd from reaching a directory, "" where nothing does or nobody can tell.

    Walks the path in the process's own mount namespace and root, follows
    links as that process would, and compares the end with `wanted`
    ("device:inode"). Raises OSError only where /proc does not let us look.
    """
    pid = find(rundir) if rundir else None
    who = None if pid is None else credentials(pid)
    if who is None:
        return ""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _walk(root, path, who, wanted)
    finally:
        os.close(root)


def _walk(root: int, path: str, who: Credentials, wanted: str) -> str:
    left = [p for p in reversed(path.split("/")) if p]
    here, shown, links = os.dup(root), "", 0
    try:
        while True:
            found = os.fstat(here)
            if not stat.S_ISDIR(found.st_mode):
                return f"{shown} is no directory there"
            if not may_search(here, who):
                return (
                    f"its user (uid {who.uid}) may not enter {shown or '/'} ({stat.filemode(found.st_mode)})"
                )
            if not left:
                same = f"{found.st_dev}:{found.st_ino}" == wanted
                return "" if same else f"{shown} is another directory in its mount namespace"
            part = left.pop()
            try:
                deeper = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            except OSError as error:
                missing = error.errno == errno.ENOENT
                return f"{shown}/{part} {'does not exist' if missing else 'is hidden'} in its mount namespace"
            if stat.S_ISLNK(os.fstat(deeper).st_mode):
                os.close(deeper)
                links += 1
                if links > LINKS:
                    return f"{shown}/{part} is a loop of links"
                target = os.readlink(part, dir_fd=here)
                left.extend(p for p in reversed(target.split("/")) if p)
                if target.startswith("/"):
                    os.close(here)
                    here, shown = os.dup(root), ""
                continue
            os.close(here)
            here, shown = deeper, f"{shown}/{part}"
    finally:
        os.close(here)
