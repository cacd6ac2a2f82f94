"""Which network namespaces live, whatever path they have here.

Owns the answer for sweeps. A path alone is not enough: a sweep may run in a
container that mounts little of the node, where every path looks gone. A
namespace lives while a process is in it or a mount pins it
(network_namespaces(7)); its inode identifies it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from glob import glob

from cni_userspace.host import netns

PINNED = re.compile(r"^net:\[(\d+)\]$")


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
