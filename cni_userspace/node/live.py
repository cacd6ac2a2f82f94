"""Which network namespaces live, whatever path they have here.

Owns the answer for sweeps, and whether this process can give it at all. A path
alone is not enough: a sweep may run in a container that mounts little of the
node, where every path looks gone. A namespace lives while a process is in it or
a mount pins it (network_namespaces(7)); its inode identifies it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from glob import glob

from cni_userspace.host import netns

PINNED = re.compile(r"^net:\[(\d+)\]$")
HOST_PID = f"pid:[{0xEFFFFFFC}]"  # PROC_PID_INIT_INO of linux/proc_ns.h: the same on every machine
HOST_USER = f"user:[{0xEFFFFFFD}]"  # PROC_USER_INIT_INO
CAP_SYS_PTRACE = 19  # linux/capability.h


def inodes() -> frozenset[int]:
    """Return the inode of every network namespace that a visible process or mount holds."""
    found = set()
    for path in glob("/proc/[0-9]*/ns/net"):
        with suppress(OSError):  # the process ended meanwhile
            found.add(os.stat(path).st_ino)
    for table in ("/proc/self/mountinfo", "/proc/1/mountinfo"):
        with suppress(OSError), open(table, encoding="utf-8", errors="replace") as lines:
            roots = (line.split()[3] for line in lines)  # proc_pid_mountinfo(5): the fourth field
            found.update(int(m[1]) for root in roots if (m := PINNED.match(root)))
    return frozenset(found)


def lives(path: str, known: str, live: frozenset[int]) -> bool:
    """Tell whether an attachment's namespace (an identity of `host.netns`) still lives."""
    if netns.alive(path, known):
        return True
    boot, _, rest = known.partition(":")
    inode = rest.rpartition(":")[2]
    return boot == netns.boot() and inode.isdecimal() and int(inode) in live


def blindness(proc: str = "/proc") -> str:
    """Return why this process does not see the namespaces of all the host's processes, "" if it does.

    /proc shows the processes of the process namespace that it was mounted in
    (pid_namespaces(7)): the host's if process 1 there is the host's, or if we
    are the host's ourselves, for no other /proc has a `self` for us. A
    process's namespaces are shown to who could trace it (proc_pid_ns(5)).
    `proc` is for tests.
    """
    if HOST_PID not in (_link(f"{proc}/self/ns/pid"), _link(f"{proc}/1/ns/pid")):
        return "it runs in a process namespace of its own"
    if _link(f"{proc}/self/ns/user") != HOST_USER:
        return "it runs in a user namespace of its own"
    return "" if _capable(proc) else "it lacks CAP_SYS_PTRACE"


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # process 1 need not be ours to look at
        return ""


def _capable(proc: str) -> bool:
    with open(f"{proc}/self/status", encoding="utf-8", errors="replace") as status:
        told = dict(line.split(":", 1) for line in status if ":" in line)
    return bool(int(told.get("CapEff", "0"), 16) >> CAP_SYS_PTRACE & 1)
