"""What the container is told of its attachments, kept in step with the records.

Owns which words go into the device-info file that the runtime named and into
the file beside the sockets. The latter is always made from the records of the
container: the pod can write there, so what stands in it is nobody's word.
"""

from __future__ import annotations

from cni_userspace.attach import publish
from cni_userspace.attach.store import OWED
from cni_userspace.host import dirfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cni_userspace.attach.engine import Planned
    from cni_userspace.attach.store import Key, Record
    from cni_userspace.cni.result import Result


def entry(plan: Planned, info: Mapping[str, Any] | None, result: Result, key: Key) -> dict[str, Any]:
    """Return what the file beside the socket says of one interface; `result` is our part alone.

    docs/reference/interfaces-file.md describes it: what has no value is left out.
    """
    container = next(i for i in result.interfaces if i.sandbox)
    ips = [{"address": ip.address} | ({"gateway": ip.gateway} if ip.gateway else {}) for ip in result.ips]
    told = {
        "ifname": key.ifname,
        "network": key.network,
        "deviceInfo": info,
        "socketfile": plan.socketfile,
        "mac": container.mac,
        "mtu": container.mtu,
        "ips": ips,
        "routes": [dict(route) for route in result.routes],
        "dns": dict(result.dns),
    }
    return {name: value for name, value in told.items() if value}


def write(record: Record) -> Record:
    """Write the device-info file; return the record with what was there before."""
    previous = publish.write_device_info(record.device_info["file"], record.device_info["info"])
    return record.replace(device_info={**record.device_info, "previous": previous})


def withdraw(record: Record) -> None:
    """Remove the device-info file if it is still ours, or restore what was there."""
    told = record.device_info
    publish.remove_device_info(told["file"], told["info"], told.get("previous"))


def refresh(directory: str, records: Iterable[Record]) -> None:
    """Make the file beside the sockets say what the records of that directory say.

    Without any record the file goes; a missing directory is success.
    """
    try:
        opened = dirfd.open_container(directory)
    except FileNotFoundError:
        return
    with opened:
        publish.write_interfaces_file(opened.fd, entries(directory, records))


def entries(directory: str, records: Iterable[Record]) -> dict[str, Any]:
    """Return what the file in a directory should say, by interface name.

    Nothing of what is owed: it is gone for the container. And of two interfaces
    in a full directory, none could ever be removed if its file had to be
    written for the other.
    """
    there = [r for r in records if r.directory == directory and r.state != OWED]
    return {r.key.ifname: r.entry for r in there if r.entry}
