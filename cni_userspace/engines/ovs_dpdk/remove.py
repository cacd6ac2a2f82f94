"""Taking an attachment away: port, socket, link, directory.

Owns that each step is tried whatever became of the others, that a repeat is
success, and that nothing goes that is not ours: rows by their marks, sockets
and directories by the identity (device and inode) that ADD noted. Works from
a record's plan or from the fewer words that the marks keep.
"""

from __future__ import annotations

import os

from cni_userspace.attach.undo import describe
from cni_userspace.engines.ovs_dpdk import marks, port
from cni_userspace.engines.ovs_dpdk.conf import CLIENT
from cni_userspace.errors import PluginError
from cni_userspace.host import dirfd
from cni_userspace.host.ovsdb import Ovsdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from cni_userspace.attach.store import Key
    from cni_userspace.host.deadline import Deadline

FLOWS = ("anti_spoofing", "segment", "peer_port")  # an attachment with one of them has flows of its own


def detach(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Remove the port, and the sockets of both ends; return what would not go."""
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        (f"socket {plan.get('switch_path', '')}", lambda: _stale_socket(plan)),
        (f"port {plan.get('port', '')}", lambda: _port(plan, key, deadline)),
        (f"socket {plan.get('socket_name', '')}", lambda: _socket(plan)),
    )
    failures = []
    for what, step in steps:
        try:
            step()
        except (PluginError, OSError) as error:
            failures.append(f"{what}: {describe(error)}")
    return failures


def _port(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> None:
    if any(plan.get(name) for name in FLOWS):
        from cni_userspace.engines.ovs_dpdk import wiring

        wiring.remove(plan, key, deadline)
    with Ovsdb(plan["place"], deadline) as database:
        port.remove_marked(database, marks.identity(key))
        if plan.get("delete_bridge") and plan.get("bridge"):
            port.remove_empty_bridge(database, plan["bridge"])


def _socket(plan: Mapping[str, Any]) -> None:
    """Remove the socket from the container's directory.

    In client mode it is the application's file under the name that is ours; in
    server mode it is the switch's, which ADD moved there.
    """
    directory, name = plan.get("directory"), plan.get("socket_name")
    if not directory or not name or plan.get("in_place"):
        return
    wanted = "" if plan.get("interface_type") == CLIENT else plan.get("socket_id", "")
    socket(directory, name, wanted)


def _stale_socket(plan: Mapping[str, Any]) -> None:
    """Server mode: remove the switch's own socket where a crash keeps vswitchd from doing it.

    A living one closes and removes it with the port. Done while the row still
    keeps others from the port's name.
    """
    path = plan.get("switch_path")
    if plan.get("interface_type") == CLIENT or not path:
        return
    try:
        opened = dirfd.open_directory(os.path.dirname(path))
    except FileNotFoundError:
        return
    with opened:
        name = os.path.basename(path)
        if dirfd.kind(opened, name) == "socket" and not dirfd.has_listener(opened, name):
            dirfd.unlink(opened, name)


def socket(directory: str, name: str, wanted: str) -> None:
    """Remove a socket under a name; with `wanted` only that very one. A missing one is success."""
    try:
        opened = dirfd.open_container(directory)
    except FileNotFoundError:
        return
    with opened:
        is_ours = not wanted or dirfd.identity(opened, name) == wanted
        if is_ours and dirfd.kind(opened, name) == "socket":
            dirfd.unlink(opened, name)


def clean_directory(plan: Mapping[str, Any], *, last: bool) -> list[str]:
    """After the last attachment: remove the short link, and the directory if it is ours.

    The link goes whoever made it: of two interfaces in one directory the longer
    name may need one and the shorter not.
    """
    if not last or not plan.get("directory"):
        return []
    failures = []
    try:
        if plan.get("link"):
            link(plan["link"], plan["directory"])
        if plan.get("own_directory"):
            directory(plan["directory"], plan.get("directory_id", ""))
    except (PluginError, OSError) as error:
        failures.append(describe(error))
    return failures


def link(path: str, target: str) -> None:
    """Remove a short link if it leads where ours did; a missing one is success."""
    try:
        opened = dirfd.open_directory(os.path.dirname(path))
    except FileNotFoundError:
        return
    with opened:
        name = os.path.basename(path)
        if dirfd.kind(opened, name) == "link" and os.readlink(name, dir_fd=opened.fd) == target:
            dirfd.unlink(opened, name)


def directory(path: str, wanted: str) -> None:
    """Remove the container's directory with what is left in it; with `wanted` only that very one."""
    try:
        parent = dirfd.open_directory(os.path.dirname(path))
    except FileNotFoundError:
        return
    with parent:
        name = os.path.basename(path)
        is_ours = not wanted or dirfd.identity(parent, name) == wanted
        if is_ours and dirfd.kind(parent, name) == "directory":
            dirfd.remove_tree(parent, name)
