"""CHECK: is everything that ADD made still there and right?

Owns the comparison of record, prevResult, container and files; the engine
compares the machine. Reports every fault at once. Changes nothing.
"""

from __future__ import annotations

from cni_userspace.attach import announce, publish
from cni_userspace.attach.store import ATTACHED
from cni_userspace.attach.undo import describe
from cni_userspace.cni import ipam
from cni_userspace.cni.result import parse
from cni_userspace.errors import CheckError, InvalidConfigError, PluginError, UnknownContainerError
from cni_userspace.host import dirfd, netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from cni_userspace.attach.call import Call
    from cni_userspace.attach.store import Record
    from cni_userspace.cni.result import IP, Interface, Result

LOCK_SECONDS = 15
IPAM_SECONDS = 20


def check(call: Call) -> None:
    """Raise CheckError with all faults, UnknownContainerError where nothing is known."""
    if call.conf.prev_result is None:
        raise InvalidConfigError(
            "CHECK needs prevResult",
            mistakes=["prevResult: is missing; the runtime hands in what ADD returned"],
        )
    previous = parse(call.conf.prev_result, "prevResult")
    if not call.request.netns_override:
        netns.refuse_own(call.request.netns)
    with call.store.lock(call.request.container_id, call.deadline.within(LOCK_SECONDS)):
        records = call.store.of_container(call.request.container_id)
        record = next((r for r in records if r.key == call.key), None)
        if record is None:
            raise UnknownContainerError(
                "there is no record of this attachment",
                details=f"{call.request.ifname} of {call.conf.name} in container {call.request.container_id}",
                hint="it was deleted, or never added on this node",
            )
        faults = [*_record(call, record), *_previous(record, previous), *_files(record, records)]
        faults += call.engines.load(record.engine).check(
            record.plan, record.key, call.deadline.within(call.conf.timeout)
        )
    faults += _addresses(call, record)
    if faults:
        raise CheckError("the attachment is not as ADD made it", details="; ".join(faults))


def _record(call: Call, record: Record) -> Iterator[str]:
    if record.state != ATTACHED:
        yield f"the record says {record.state!r}" + (f": {record.reason}" if record.reason else "")
    if netns.identity(call.request.netns) != record.netns_id:
        yield f"{call.request.netns} is not the network namespace that ADD was given"


def _previous(record: Record, previous: Result) -> Iterator[str]:
    """Compare what ADD returned, as the runtime kept it, with the record."""
    ours = parse(record.result, "the record's result")
    known = {(i.name, i.sandbox): i for i in previous.interfaces}
    for interface in ours.interfaces:
        found = known.get((interface.name, interface.sandbox))
        if found is None:
            yield f"prevResult has no interface {interface.name}"
        else:
            yield from _interface(interface, found)
    addresses = {_address(ip) for ip in previous.ips}
    for ip in ours.ips:
        if _address(ip) not in addresses:
            yield f"prevResult has no address {ip.address} with the gateway {ip.gateway or '-'}"


def _interface(ours: Interface, found: Interface) -> Iterator[str]:
    if found.mac.lower() != ours.mac:
        yield f"prevResult says {ours.name} has the MAC {found.mac or '-'}, ADD gave it {ours.mac or '-'}"
    if found.socket_path and found.socket_path != ours.socket_path:
        yield f"prevResult says {ours.name} has the socket {found.socket_path}, ADD made {ours.socket_path}"


def _address(ip: IP) -> tuple[str, str]:
    return ip.address, ip.gateway


def _files(record: Record, records: Sequence[Record]) -> Iterator[str]:
    told = record.device_info
    if told and not _says(publish.read_device_info(told["file"]), told["info"]):
        yield f"the device-info file {told['file']} does not say what ADD wrote"
    if not record.directory:
        return
    try:
        with dirfd.open_container(record.directory) as directory:
            found = publish.read_interfaces_file(directory.fd)
    except (OSError, PluginError):
        return  # the engine reports the directory itself
    if found != announce.entries(record.directory, records):
        yield f"{record.directory}/{publish.INTERFACES_FILE} does not say what ADD wrote"


def _says(found: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    """Tell whether a device-info file still says what ADD wrote; keys of others do not matter."""
    kind = info["type"]
    told = found.get(kind)
    return found.get("type") == kind and isinstance(told, dict) and {**told, **info[kind]} == told


def _addresses(call: Call, record: Record) -> list[str]:
    if not record.ipam_type:
        return []
    request = call.request.replace(config={**record.config, "prevResult": call.conf.prev_result})
    try:
        seconds = call.deadline.within(IPAM_SECONDS).remaining()
        ipam.check(request, record.ipam_type, deadline_seconds=seconds)
    except (PluginError, TimeoutError) as error:
        return [f"IPAM: {describe(error)}"]
    return []
