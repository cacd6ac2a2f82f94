"""OpenFlow: flows written and read through ovs-ofctl on a bridge's management socket.

Owns the two calls of that program that are made, and nothing of what a flow
means. The socket is named by its path, so a private switch works, and a
bridge of another switch with the same name is never touched. Must not be
imported by a call that writes no flow: the program costs a process.

Why ovs-ofctl and no library, and why one bundle: docs/decisions/0014-flows-through-ovs-ofctl.md.
"""

from __future__ import annotations

import _socket
import os

from cni_userspace.errors import SwitchError
from cni_userspace.host import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from cni_userspace.host.deadline import Deadline

PROGRAM = "ovs-ofctl"
PLACES = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)  # a runtime's PATH may be short
DUMP_BYTES = 256 << 20  # a million flows of this plugin's length
VERSION = "OpenFlow14"  # the first with bundles (ovs-ofctl(8), --bundle)


class BridgeDownError(SwitchError):
    """Nobody serves the bridge's management socket: it has no flows that anybody could read or write."""


def program() -> str:
    """Return the path of ovs-ofctl; raise SwitchError with the way out where there is none."""
    for place in (*os.environ.get("PATH", "").split(":"), *PLACES):
        path = f"{place}/{PROGRAM}"
        if place.startswith("/") and os.access(path, os.X_OK):
            return path
    raise SwitchError(
        f"{PROGRAM} is not on this node, and flows are written with it",
        details=f"looked for in PATH and in {', '.join(PLACES)}",
        hint="install it (Debian: openvswitch-switch; openvswitch-common has it, too), "
        "or do without `antiSpoofing`, `segment` and `peerPort`",
    )


def management(rundir: str, bridge: str) -> str:
    """Return the path of a bridge's management socket (ovs-vswitchd(8), "OpenFlow")."""
    return f"{rundir}/{bridge}.mgmt"


def require(path: str) -> None:
    """Raise BridgeDownError unless somebody listens on a management socket."""
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect(path)
    except OSError as error:
        raise BridgeDownError(
            "the bridge's management socket does not answer",
            details=f"connect to {path}: {error.strerror or error}",
            hint="is ovs-vswitchd running?",
        ) from None
    finally:
        probe.close()


def apply(path: str, changes: Iterable[str], deadline: Deadline) -> None:
    """Make all changes at once, or none: lines as ovs-ofctl(8) reads them, "add ..." and "delete ...".

    A repeat is success. Raises BridgeDownError, SwitchError with the program's
    words, TimeoutError.
    """
    require(path)
    _run(("--bundle", "add-flows", f"unix:{path}", "-"), "\n".join((*changes, "")), deadline)


def dump(path: str, deadline: Deadline, match: str = "") -> list[tuple[str, str]]:
    """Return (cookie, flow) of every flow, or of those that match ("cookie=0x1/-1").

    A flow reads "priority=1,in_port=2 actions=drop", fields in ovs-ofctl's
    order, without counters and names. Raises as `apply` does.
    """
    require(path)
    words = ("--no-stats", "--no-names", "dump-flows", f"unix:{path}", *((match,) if match else ()))
    found = []
    for line in _run(words, "", deadline).splitlines():
        fields = line.strip().split(", ")
        if not fields[0].startswith("cookie="):  # without a cookie it is none of ours: it is then left out
            found.append(("0x0", line.strip()))
        else:
            found.append((fields[0].removeprefix("cookie="), ", ".join(fields[1:])))
    return found


def _run(words: tuple[str, ...], stdin: str, deadline: Deadline) -> str:
    argv = (program(), "-O", VERSION, *words)
    with open(os.memfd_create("stderr"), "rb") as said:
        done = processes.run(
            argv,
            env=processes.given_environment(),
            stdin=stdin,
            deadline_seconds=deadline.remaining(),
            stderr=said.fileno(),
            output_bytes=DUMP_BYTES,
        )
        said.seek(0)
        words_said = said.read().decode(errors="replace").strip()
    if done.returncode:
        raise SwitchError(
            "the switch refused the flows",
            details=f"{' '.join(argv[3:])}: {words_said or f'exit {done.returncode}'}",
            hint=f"does the bridge's column `protocols` leave out {VERSION}?",
        )
    return done.stdout
