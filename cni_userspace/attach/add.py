"""ADD: from a request to an attachment on record and its result.

Owns the order. The record is written before the first effect; each effect
registers its undo; a failure takes everything back, and what would not go
back is owed on the record. Never repairs in place: an ADD that finds the ruins
of a killed one clears them first.
"""

from __future__ import annotations

from time import time

from cni_userspace.attach import announce
from cni_userspace.attach.store import ADDING, ATTACHED, OWED, Record
from cni_userspace.attach.undo import Undo, describe
from cni_userspace.cni.result import NEWEST, Result, merge, parse, render
from cni_userspace.errors import ConflictError, PluginError, TerminatedError
from cni_userspace.host import netns, signals
from cni_userspace.host.deadline import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cni_userspace.attach.call import Call
    from cni_userspace.attach.engine import Attached, Planned

LOCK_SECONDS = 15
IPAM_SECONDS = 20
BACK_SECONDS = 5  # for each step of the way back, when the call's own time may be over


def add(call: Call) -> dict[str, Any]:
    """Attach; return the CNI result in the config's version. Raises PluginError with nothing left behind."""
    previous = None if call.conf.prev_result is None else parse(call.conf.prev_result, "prevResult")
    netns_id = netns.require(call.request.netns)
    if not call.request.netns_override:
        netns.refuse_own(call.request.netns)
    timeout = call.conf.timeout
    with call.store.lock(call.request.container_id, call.deadline.within(LOCK_SECONDS)):
        siblings = _siblings(call)
        _refuse_duplicates(call, siblings)
        facts_by = call.deadline.within(timeout)
        plan = call.engine.plan(call.request, call.conf, call.node, siblings, facts_by)
        record = _record(call, plan, netns_id)
        call.log.debug("planned", plan=record.plan)
        undo = Undo()
        try:
            call.store.write(record)
            result = _make(call, record, plan, siblings, undo)
            signals.ignore()  # the attachment stands: from here on an end would be told as a failure
        except BaseException as error:
            _take_back(call, record, undo, error)
            raise
    return render(merge(previous, result), call.conf.cni_version)


def _siblings(call: Call) -> list[Record]:
    """Return the container's other attachments; clear the ruins of an earlier one of this identity.

    Ruins are what an unfinished call left, and what a reboot left: no runtime
    calls DEL after one, and some start containers anew under their old id.
    """
    records = call.store.of_container(call.request.container_id)
    ours = [r for r in records if r.key == call.key]
    for ruin in ours:
        if ruin.state == ATTACHED and netns.alive(ruin.netns, ruin.netns_id):
            raise ConflictError(
                "the attachment exists already",
                details=f"container {ruin.key.container_id} has {ruin.key.ifname} of {ruin.key.network}",
                hint="the runtime must DEL before it ADDs again",
            )
        from cni_userspace.attach.delete import take_down

        call.log.warning("clearing what an earlier attachment left", state=ruin.state)
        failures = take_down(ruin, call.engines.load(ruin.engine), call.store, records, call.deadline)
        if failures:
            raise ConflictError(
                "an earlier attachment is not yet cleaned up",
                details="; ".join(failures),
                hint="`userspace gc` shows what is owed",
            )
    return [r for r in records if r.key != call.key]


def _refuse_duplicates(call: Call, siblings: Sequence[Record]) -> None:
    """Refuse an interface name that the container has: as a record or as a kernel device."""
    ifname = call.request.ifname
    for other in siblings:
        if other.key.ifname == ifname and netns.alive(other.netns, other.netns_id):
            raise ConflictError(
                f"the container has an interface {ifname} already",
                details=f"it belongs to the network {other.key.network}",
            )
    if netns.has_interface(call.request.netns, ifname):
        raise ConflictError(
            f"the container has an interface {ifname} already",
            details=f"a kernel interface of that name is in {call.request.netns}",
        )


def _record(call: Call, plan: Planned, netns_id: str) -> Record:
    config = {k: v for k, v in call.conf.raw.items() if k != "prevResult"}
    return Record(
        key=call.key,
        state=ADDING,
        engine=call.conf.engine,
        netns=call.request.netns,
        netns_id=netns_id,
        created=int(time()),
        config=config,
        path=call.request.path,
        args=call.request.args,
        ipam_type=call.conf.ipam_type,
        plan=plan.as_dict(),
        directory=plan.shared_directory,
        device_info=_device_info(call, plan.device_info),
    )


def _device_info(call: Call, info: Mapping[str, Any] | None) -> dict[str, Any]:
    file = call.conf.device_info_file
    return {"file": file, "info": info} if file and info else {}


def _make(
    call: Call,
    record: Record,
    plan: Planned,
    siblings: Sequence[Record],
    undo: Undo,
) -> Result:
    addresses = _Addresses(call, undo)
    attached = call.engine.attach(plan, undo, call.deadline, addresses.assign)
    for warning in attached.warnings:
        call.log.warning(warning)
    result = merge(None, _result(call, attached, addresses.assign()))
    info = plan.device_info if attached.device_info is None else attached.device_info
    finished = record.replace(
        state=ATTACHED,
        plan=attached.plan,
        device_info=_device_info(call, info),
        result=render(result, NEWEST),
        entry=announce.entry(plan, info, result, call.key),
    )
    if attached.device_info is not None:  # learnt just now: on record before a file tells it
        call.store.write(finished.replace(state=ADDING))
    finished = _announce(finished, siblings, undo)
    call.store.write(finished)
    return result


class _Addresses:
    """What IPAM assigns to one attachment, at the moment when its engine asks."""

    def __init__(self, call: Call, undo: Undo) -> None:
        """Assign nothing yet."""
        self._call = call
        self._undo = undo
        self._assigned: Result | None = None

    def assign(self) -> Result:
        """Return the addresses; IPAM is called the first time. Raises PluginError."""
        if self._assigned is None:
            self._assigned = _assigned(self._call, self._undo)
        return self._assigned


def _assigned(call: Call, undo: Undo) -> Result:
    """Have IPAM assign addresses; its DEL is due even when its ADD fails (specification, section 4).

    Where both fail nothing was assigned that anybody could release, so nothing
    is owed: an IPAM plugin that only ever fails must not keep a pod for ever.
    """
    kind = call.conf.ipam_type
    if not kind:
        return Result()
    from cni_userspace.cni import ipam

    request = call.request.replace(config=call.conf.raw)
    try:
        seconds = call.deadline.within(IPAM_SECONDS).remaining()
        assigned = ipam.add(request, kind, deadline_seconds=seconds)
    except PluginError:
        try:
            ipam.delete(request, kind, deadline_seconds=BACK_SECONDS)
        except PluginError as error:
            call.log.warning("IPAM failed to release what it failed to assign", reason=describe(error))
        raise
    undo.add("IPAM", lambda: ipam.delete(request, kind, deadline_seconds=BACK_SECONDS))
    return assigned


def _result(call: Call, attached: Attached, addresses: Result) -> Result:
    """Return our part of the result: exactly one interface with a sandbox, the IPs on it."""
    return Result(
        interfaces=(*attached.host, attached.container),
        ips=addresses.ips,
        routes=addresses.routes,
        dns=call.conf.raw.get("dns") or addresses.dns,
    )


def _announce(record: Record, siblings: Sequence[Record], undo: Undo) -> Record:
    """Tell the container: the device-info file that the runtime named, the file beside the socket.

    Returns the record with what the way back of the former needs.
    """
    if record.device_info:
        undo.add("device-info file", lambda: announce.withdraw(record))
        record = announce.write(record)
    if record.directory:
        undo.add("interfaces file", lambda: announce.refresh(record.directory, siblings))
        announce.refresh(record.directory, (*siblings, record))
    return record


def _take_back(call: Call, record: Record, undo: Undo, error: BaseException) -> None:
    """Undo everything; keep as owed what would not go. A signal interrupts none of it."""
    signals.ignore()
    failures = undo.run()
    if isinstance(error, TerminatedError) and not failures:
        failures = _clear(call, record)  # it can come between an effect and its undo's registration
    if not failures:
        failures = _forget(call, record)
    if not failures:
        return
    reason = "; ".join(failures)
    call.log.error("a failed ADD could not be taken back wholly", reason=reason)
    if isinstance(error, PluginError):
        error.details = f"{error.details}; not taken back, and owed: {reason}".lstrip("; ")
    try:
        call.store.write(record.replace(state=OWED, reason=reason))
    except PluginError as unwritten:
        call.log.error("the debt could not be noted", reason=describe(unwritten))  # noqa: TRY400  not logging's


def _clear(call: Call, record: Record) -> list[str]:
    from cni_userspace.attach.delete import take_down

    records = call.store.of_container(record.key.container_id)
    return take_down(record, call.engine, call.store, records, Deadline(BACK_SECONDS))


def _forget(call: Call, record: Record) -> list[str]:
    try:
        call.store.delete(record.key)
    except OSError as error:
        return [f"record: {describe(error)}"]
    return []
