"""Private directories over paths that a program has built in.

cnitool and podman keep libcni's cache in /var/lib/cni, Multus writes device
information below /run/k8s.cni.cncf.io, and none of them can be told otherwise.
`shadowed` gives the command line that runs such a program in a mount namespace
of its own with other directories in those places; `Namespace` keeps one such
namespace open for programs that mount things for each other (podman). The
host's directories must never be written to; the only trace is an empty
directory where there was none (a mount needs something to cover).
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COVER_AND_RUN = 'while [ "$1" != -- ]; do mount --bind "$2" "$1"; shift 2; done; shift; exec "$@"'


def shadowed(shadows: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` with each shadow's value in the place of its key.

    Mounts that the host makes later are seen inside, and none leaves it
    ("slave" propagation, mount_namespaces(7)). Both directories are made if
    they are missing.
    """
    pairs: list[str] = []
    for place, private in shadows.items():
        os.makedirs(place, exist_ok=True)
        os.makedirs(private, exist_ok=True)
        pairs += [place, private]
    enter = ["unshare", "--mount", "--propagation", "slave", "sh", "-ec", _COVER_AND_RUN, "sh"]
    return [*enter, *pairs, "--", *command]


class Namespace:
    """A mount namespace that stays: what one command mounts in it the next one sees."""

    def __init__(self, shadows: Mapping[str, str]) -> None:
        """Make the namespace and cover the places."""
        holder = ["sh", "-c", "echo ready; exec sleep infinity"]
        line = ["setpriv", "--pdeathsig", "KILL", "--", *shadowed(shadows, holder)]
        self._holder = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        if self._holder.stdout is None or self._holder.stdout.readline() != "ready\n":
            raise OSError(f"no mount namespace with {dict(shadows)}: exit {self._holder.wait()}")

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs `command` inside."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--wd=/", *command]

    def close(self) -> None:
        """Let the namespace go; it ends with the last program in it."""
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()

    def __enter__(self) -> Self:
        """Return the namespace."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
