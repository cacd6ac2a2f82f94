"""What must not be taken from the node: a device that the node itself lives by.

Owns the refusals before a network device leaves, each with its reason. Facts
that shape it: nobody can log in to repair a node whose default route went into
a pod; a bridge or bond that loses a port says nothing; and taking a PF away
takes its VFs' settings away from everybody.
"""

from __future__ import annotations

from cni_userspace.errors import ConflictError, InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cni_userspace.engines.sriov.planning import Plan
    from cni_userspace.host.netlink import Link, Netlink
    from cni_userspace.host.sysfs import Sysfs

_SOCKETS = ("tcp", "tcp6", "udp", "udp6")
_LOCAL = 1  # the column of the local address in /proc/net/tcp (proc_net_tcp.rst)
_WORD = 8  # hexadecimal digits of the words that IPv6 addresses are printed in


def in_use(home: Netlink, link: Link, sysfs: Sysfs) -> str:
    """Return why the node needs a network device itself, "" if it does not."""
    if link.master:
        master = home.link_at(link.master)
        return f"{link.name} is a port of {master.name if master else link.master}"
    upper = sysfs.uppers(link.name)
    if upper:
        return f"{link.name} carries {', '.join(upper)}"
    if link.index in home.default_routes():
        return f"{link.name} carries the node's default route"
    used = {hexadecimal(a.address) for a in home.addresses(link.index)} & set(_bound())
    if used:
        return f"programs of the node use an address of {link.name}"
    return ""


def vfs_of_a_whole_pf(plan: Plan, sysfs: Sysfs) -> None:
    """Raise ConflictError for a PF that has VFs."""
    count = sysfs.num_vfs(plan.pf)
    if count:
        raise ConflictError(
            "a PF that has VFs cannot be handed over",
            details=f"{plan.pf} has {count}",
            hint=f"echo 0 > /sys/bus/pci/devices/{plan.pf}/sriov_numvfs, where nobody uses them",
        )


def mtu_out_of_range(plan: Plan, link: Link) -> None:
    """Raise InvalidConfigError for an MTU that the device cannot have."""
    if plan.mtu is None or link.min_mtu <= plan.mtu <= (link.max_mtu or plan.mtu):
        return
    raise InvalidConfigError(
        f"{link.name} cannot have that MTU",
        mistakes=[f"mtu: {plan.mtu} is not within {link.min_mtu} and {link.max_mtu}"],
    )


def _bound() -> Iterator[str]:
    """Yield the local addresses of the node's sockets, as the kernel prints them."""
    for name in _SOCKETS:
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as table:
                lines = iter(table)
                next(lines, None)
                for line in lines:
                    yield line.split()[_LOCAL].partition(":")[0]
        except FileNotFoundError:  # a kernel without IPv6
            continue


def hexadecimal(address: str) -> str:
    """Return an address as /proc/net/tcp prints it: words in the machine's own byte order."""
    from _socket import AF_INET, AF_INET6, inet_pton

    plain = address.partition("/")[0]
    packed = inet_pton(AF_INET6 if ":" in plain else AF_INET, plain)
    words = [packed[i : i + 4] for i in range(0, len(packed), 4)]
    from sys import byteorder

    return "".join(f"{int.from_bytes(word, byteorder):08X}" for word in words)
