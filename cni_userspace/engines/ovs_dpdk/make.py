"""Making an attachment: directory, port, socket. Effects only.

Owns their order: the directory stands and vswitchd can reach it before the
port exists, because a port that never connects is no success. Each effect
registers its undo as it succeeds.
"""

from __future__ import annotations

import os

from cni_userspace.attach.engine import Attached
from cni_userspace.cni.result import Interface
from cni_userspace.engines.ovs_dpdk import port, remove
from cni_userspace.engines.ovs_dpdk.conf import CLIENT
from cni_userspace.errors import ConflictError, InputOutputError, UnreachableError
from cni_userspace.host import dirfd, vswitchd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cni_userspace.attach.undo import Undo
    from cni_userspace.engines.ovs_dpdk.planning import Plan
    from cni_userspace.host.deadline import Deadline


def attach(plan: Plan, undo: Undo, deadline: Deadline, addresses: Sequence[str]) -> Attached:
    """Make what was planned; raises PluginError with nothing but registered undos behind it."""
    if plan.anti_spoofing:
        from cni_userspace.engines.ovs_dpdk.flows import plain

        plan = plan.replace(ips=tuple(plain(address) for address in addresses))
    parent = os.path.dirname(plan.directory)
    if plan.in_place:
        with dirfd.open_directory(plan.directory) as directory:
            made = _switch_makes(plan, directory, undo, deadline)
    else:
        with (
            dirfd.open_directory(parent, create=True) as base,
            _container_directory(plan, base, undo) as directory,
        ):
            if plan.interface_type == CLIENT:
                made = _application_makes(plan, directory, undo, deadline)
            else:
                made = _switch_makes(plan, directory, undo, deadline)
    return Attached(
        plan={**plan.as_dict(), **made},
        host=(Interface(name=plan.port),),
        container=Interface(
            name=plan.key.ifname,
            mac=plan.mac,
            mtu=plan.mtu or 0,
            sandbox=plan.netns,
            socket_path=f"{plan.directory}/{plan.socket_name}",
        ),
    )


def _container_directory(plan: Plan, base: dirfd.Directory, undo: Undo) -> dirfd.Directory:
    name = os.path.basename(plan.directory)
    access = dirfd.Access(uid=plan.uid, gid=plan.gid, mode=0o755 if plan.dir_mode is None else plan.dir_mode)
    directory, made = dirfd.make_directory(base, name, access)
    directory_id = ""
    if made:
        undo.add(f"directory {plan.directory}", lambda: remove.directory(plan.directory, directory_id))
    directory_id = directory.identity
    if dirfd.kind(directory, plan.socket_name) not in ("", "socket"):
        directory.close()
        raise ConflictError(
            "the socket's name is taken",
            details=f"{plan.directory}/{plan.socket_name} is no socket",
        )
    return directory


def _application_makes(
    plan: Plan,
    directory: dirfd.Directory,
    undo: Undo,
    deadline: Deadline,
) -> dict[str, object]:
    """Client type: the switch connects to the socket that the application makes."""
    _clear_stale(directory, plan.socket_name)
    if os.path.dirname(plan.switch_path) == plan.link:
        _link(plan, undo)
    _reachable(plan, directory)
    row = _place(plan, undo, deadline)
    return {**row, **_identified(directory)}


def _place(plan: Plan, undo: Undo, deadline: Deadline) -> dict[str, object]:
    if not plan.has_flows:
        return port.place(plan, undo, deadline)
    from cni_userspace.engines.ovs_dpdk import wiring

    return wiring.place(plan, undo, deadline)


def _clear_stale(directory: dirfd.Directory, name: str) -> None:
    """Remove the socket of a dead application: a restarted one could not bind its name."""
    if dirfd.kind(directory, name) == "socket" and not dirfd.has_listener(directory, name):
        dirfd.unlink(directory, name)


def _refuse_taken(directory: dirfd.Directory, name: str) -> None:
    """Refuse a name under which the switch's socket cannot stand."""
    found = dirfd.kind(directory, name)
    if found:
        raise ConflictError(
            "the socket's name is taken",
            details=f"{directory.path}/{name}: "
            + ("a program listens there" if found == "socket" else "it is no socket"),
        )


def _link(plan: Plan, undo: Undo) -> None:
    """Link the container's directory under a short name."""
    with dirfd.open_directory(os.path.dirname(plan.link), create=True) as links:
        name = os.path.basename(plan.link)
        try:
            os.symlink(plan.directory, name, dir_fd=links.fd)
        except FileExistsError:
            if dirfd.kind(links, name) != "link" or os.readlink(name, dir_fd=links.fd) != plan.directory:
                raise ConflictError(
                    "the short link's name is taken",
                    details=f"{plan.link} does not lead to {plan.directory}",
                ) from None
            return  # another interface of the same container made it
    undo.add(f"link {plan.link}", lambda: remove.link(plan.link, plan.directory))


def _reachable(plan: Plan, directory: dirfd.Directory) -> None:
    """Refuse a path that vswitchd cannot walk."""
    obstacle = vswitchd.obstacle(plan.rundir, os.path.dirname(plan.switch_path), directory.identity)
    if obstacle:
        raise UnreachableError(
            "ovs-vswitchd cannot reach the socket's directory, so the port would never connect",
            details=f"{plan.switch_path}: {obstacle}",
            hint="choose a `sharedDir` that its user may traverse and that is mounted into its container, "
            "or widen it with `group` and `dirMode`",
        )


def _switch_makes(
    plan: Plan, directory: dirfd.Directory, undo: Undo, deadline: Deadline
) -> dict[str, object]:
    """Server type: the switch makes the socket, and we move it into the container's directory."""
    with dirfd.open_directory(os.path.dirname(plan.switch_path)) as sockets:
        if not plan.in_place and os.fstat(sockets.fd).st_dev != os.fstat(directory.fd).st_dev:
            raise InputOutputError(
                "the switch's socket cannot be linked into the shared directory",
                details=f"{sockets.path} and {directory.path} are on different filesystems",
                hint=f"put `sharedDir` on the filesystem of {sockets.path}, or make it that directory",
            )
        if not plan.in_place:
            _clear_stale(directory, plan.socket_name)
            _refuse_taken(directory, plan.socket_name)
        _clear_stale(sockets, plan.port)
        _refuse_taken(sockets, plan.port)
        row = _place(plan, undo, deadline)
        _open_to_container(plan, sockets)
        if not plan.in_place:
            _share(plan, sockets, directory, undo)
        return {
            **row,
            **_identified(directory),
            "socket_id": dirfd.identity(directory, plan.socket_name),
            "socket_access": dirfd.access(
                os.stat(plan.socket_name, dir_fd=directory.fd, follow_symlinks=False)
            ),
        }


def _identified(directory: dirfd.Directory) -> dict[str, object]:
    """Return what CHECK and DEL recognise the directory by: another interface may have made it."""
    return {"directory_id": directory.identity, "directory_access": dirfd.access(os.fstat(directory.fd))}


def _open_to_container(plan: Plan, sockets: dirfd.Directory) -> None:
    """Give the socket its owner, group and mode: vswitchd makes it 0755 of its own user."""
    if dirfd.kind(sockets, plan.port) != "socket":
        raise InputOutputError(
            "the switch made no socket",
            details=f"{plan.switch_path} does not exist, although the port is up",
            hint="is other_config:vhost-sock-dir newer than the running ovs-vswitchd?",
        )
    access = dirfd.Access(uid=plan.uid, gid=plan.gid, mode=plan.socket_mode)
    dirfd.apply_to_socket(sockets, plan.port, access)


def _share(plan: Plan, sockets: dirfd.Directory, directory: dirfd.Directory, undo: Undo) -> None:
    """Move the socket into the container's directory.

    Its own name does not stay in the switch's: there, a crash would leave it,
    and a vswitchd that finds it cannot bind the port's socket, now or later
    (OVS 3.1.0, DPDK 22.11: it then closes descriptors that it uses elsewhere,
    each time it looks at that port). vswitchd does not miss it.
    """
    try:
        os.link(
            plan.port, plan.socket_name, src_dir_fd=sockets.fd, dst_dir_fd=directory.fd, follow_symlinks=False
        )
    except OSError as error:
        raise InputOutputError(
            "the switch's socket cannot be linked into the shared directory",
            details=f"{plan.switch_path} -> {directory.path}/{plan.socket_name}: {error.strerror}",
            hint=f"put `sharedDir` on the filesystem of {sockets.path}, or make it that directory",
        ) from None
    wanted = dirfd.identity(directory, plan.socket_name)
    undo.add(f"socket {plan.socket_name}", lambda: remove.socket(plan.directory, plan.socket_name, wanted))
    dirfd.unlink(sockets, plan.port)
