"""DEL: taking an attachment away, whatever is left of it.

Owns that DEL gets there from the record or, where none is left, from the
marks; that every step is tried although others fail; and that what could not
be finished stays on record as owed, because many runtimes call DEL only once.
Needs no key of the netconf: Multus 4.2 strips them (see docs/explanation).
"""

from __future__ import annotations

from cni_userspace.attach import announce
from cni_userspace.attach.store import OWED
from cni_userspace.attach.undo import describe
from cni_userspace.cni.request import Request
from cni_userspace.errors import (
    ConflictError,
    InputOutputError,
    PluginError,
    SwitchError,
    TerminatedError,
    TryAgainError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cni_userspace.attach.call import Call
    from cni_userspace.attach.engine import Engine, Marked
    from cni_userspace.attach.store import Record, Store
    from cni_userspace.host.deadline import Deadline

LOCK_SECONDS = 15
STEP_SECONDS = 10
IPAM_SECONDS = 20


def delete(call: Call) -> None:
    """Detach; a repeat, and anything missing, is success.

    Raises TryAgainError (code 11) when something would not go; it is owed
    then. Raises InputOutputError where the state directory itself fails: what
    the marks know is gone then.
    """
    try:
        with call.store.lock(call.request.container_id, call.deadline.within(LOCK_SECONDS)):
            failures = _by_record(call)
    except TimeoutError:
        raise
    except (InputOutputError, OSError) as error:
        failures = _without_record(call)
        raise InputOutputError(
            "the attachment's record cannot be read or removed",
            details="; ".join([describe(error), *failures]),
            hint="" if failures else "all else that the switch knows of the attachment has been removed",
        ) from None
    if failures:
        raise TryAgainError(
            "the attachment could not be removed wholly",
            details="; ".join(failures),
            hint="the rest is owed: any later call of the plugin, or `userspace gc --yes`, finishes it",
        )


def _by_record(call: Call) -> list[str]:
    records = call.store.of_container(call.request.container_id)
    record = next((r for r in records if r.key == call.key), None)
    if record is not None:
        engine = call.engines.load(record.engine)
        return take_down(record, engine, call.store, records, call.deadline)
    failures = _without_record(call)
    if not failures:
        call.store.delete(call.key)
    return failures


def take_down(
    record: Record,
    engine: Engine,
    store: Store,
    records: Sequence[Record],
    deadline: Deadline,
) -> list[str]:
    """Remove what a record stands for, and the record; return what would not go.

    `records` are all of the container; its lock must be held. What would not
    go by the deadline, or because a signal ended it, leaves the record, as owed.
    """
    try:
        failures = _take_all(record, engine, store, records, deadline)
    except TerminatedError as error:
        failures = [describe(error)]
    if not failures:
        store.delete(record.key)
        return []
    try:
        store.write(record.replace(state=OWED, reason="; ".join(failures)))
    except PluginError as error:
        failures.append(describe(error))
    return failures


def _take_all(
    record: Record,
    engine: Engine,
    store: Store,
    records: Sequence[Record],
    deadline: Deadline,
) -> list[str]:
    others = [r for r in records if r.key != record.key]
    failures = engine.detach(record.plan, record.key, deadline, lambda: _release(record, deadline))
    failures += _unannounce(record, others)
    last = not store.shares(record.key, record.directory)
    return failures + engine.clean_directory(record.plan, last=last)


def remove_marked(found: Marked, engine: Engine, store: Store, deadline: Deadline) -> list[str]:
    """Remove what only the marks still know; return what would not go.

    What has a record is left to it: another call may have attached meanwhile.
    """
    try:
        with store.lock(found.key.container_id, deadline.within(LOCK_SECONDS)):
            return [] if store.read(found.key) is not None else _take_marked(found, engine, store, deadline)
    except (PluginError, OSError) as error:
        return [describe(error)]


def _take_marked(found: Marked, engine: Engine, store: Store, deadline: Deadline) -> list[str]:
    failures = engine.detach(found.plan, found.key, deadline, list)  # what IPAM assigned is not known
    directory = found.plan.get("directory", "")
    if directory and not found.plan.get("in_place"):
        failures += _attempt("interfaces file", lambda: _refresh_beside(found, directory, store))
    last = not store.shares(found.key, directory) and not _marked_beside(found, engine, deadline)
    return failures + engine.clean_directory(found.plan, last=last)


def _refresh_beside(found: Marked, directory: str, store: Store) -> None:
    others = [r for r in store.of_container(found.key.container_id) if r.key != found.key]
    _refresh(directory, others)


def _marked_beside(found: Marked, engine: Engine, deadline: Deadline) -> bool:
    """Tell whether the marks know of others in the same directory; True where they cannot be read."""
    try:
        marked = engine.marked(found.plan["place"], deadline.within(STEP_SECONDS))
    except (SwitchError, OSError):
        return True
    return any(m.key != found.key and m.plan.get("directory") == found.plan.get("directory") for m in marked)


def _without_record(call: Call) -> list[str]:
    """Remove what the marks know of an attachment that has no record, or one that cannot be read."""
    failures = []
    for engine in call.engines.every():
        place = engine.place(call.conf, call.node)
        if place:
            failures += _take_marked_at(place, engine, call)
    _release_unknown(call)
    return failures


def _take_marked_at(place: str, engine: Engine, call: Call) -> list[str]:
    try:
        marked = engine.marked(place, call.deadline.within(STEP_SECONDS))
    except (SwitchError, TimeoutError, OSError) as error:
        if call.store.has_file(call.key):
            return [f"the record cannot be read, and neither can the marks: {describe(error)}"]
        # Nothing is known of this attachment. A node without a switch has none.
        call.log.warning("no record, and no marks to be read", place=place, reason=describe(error))
        return []
    failures = []
    for found in marked:
        if found.key == call.key:
            failures += _take_marked(found, engine, call.store, call.deadline)
    return failures


def _release(record: Record, deadline: Deadline) -> list[str]:
    """Have the addresses released, with the config that ADD got."""
    if not record.ipam_type:
        return []
    request = Request(
        command="DEL",
        container_id=record.key.container_id,
        netns=record.netns,
        ifname=record.key.ifname,
        path=record.path,
        args=record.args,
        config=record.config,
    )
    return _attempt("IPAM", lambda: _release_by(request, record.ipam_type, deadline))


def _release_by(request: Request, ipam_type: str, deadline: Deadline) -> None:
    from cni_userspace.cni import ipam

    ipam.delete(request, ipam_type, deadline_seconds=deadline.within(IPAM_SECONDS).remaining())


def _release_unknown(call: Call) -> None:
    """Have IPAM release by the config at hand, as the specification asks.

    What ADD was assigned is released with its record, so a failure here is
    told and passed over: a config that Multus stripped to `ipam.type`, or one
    that never worked, must not make DEL fail for ever.
    """
    if not call.conf.ipam_type:
        return
    request = call.request.replace(config=call.conf.raw)
    for failure in _attempt("IPAM", lambda: _release_by(request, call.conf.ipam_type, call.deadline)):
        call.log.warning("there is no record, and IPAM released nothing", reason=failure)


def _unannounce(record: Record, others: Sequence[Record]) -> list[str]:
    failures = []
    if record.device_info:
        failures += _attempt("device-info file", lambda: announce.withdraw(record))
    if record.directory:
        failures += _attempt("interfaces file", lambda: _refresh(record.directory, others))
    return failures


def _refresh(directory: str, others: Sequence[Record]) -> None:
    """Rewrite the file beside the sockets. What the pod planted in its place must not hold up a DEL."""
    try:
        announce.refresh(directory, others)
    except ConflictError:
        pass


def _attempt(what: str, step: Any) -> list[str]:  # noqa: ANN401  any call without arguments
    try:
        step()
    except (PluginError, OSError) as error:
        return [f"{what}: {describe(error)}"]
    return []
