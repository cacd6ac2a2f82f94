"""GC and debts: taking away what nobody will ask for any more.

Owns three sweeps: of one network by the runtime's list (CNI GC), of owed
records at the start of every call, and of what a node's operator asks for
(`node.gc` decides, this module acts). Continues after failures and reports
them all. Touches records and marks of ours only.
"""

from __future__ import annotations

from cni_userspace.attach.delete import remove_marked, take_down
from cni_userspace.attach.undo import describe
from cni_userspace.cni import ipam
from cni_userspace.errors import InvalidConfigError, PluginError, TryAgainError
from cni_userspace.host.deadline import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cni_userspace.attach.call import Call
    from cni_userspace.attach.engine import Engine, Marked
    from cni_userspace.attach.store import Key, Record, Store
    from cni_userspace.cni.log import Log

LOCK_SECONDS = 10
STEP_SECONDS = 10
IPAM_SECONDS = 20
SETTLE_SECONDS = 2
SETTLE_RECORDS = 8
SETTLE_LOCK_SECONDS = 0.05  # somebody else is at work on it


def gc(call: Call) -> None:
    """Remove this network's attachments that the runtime does not list; raise TryAgainError for failures.

    Without a list nothing is removed (InvalidConfigError): an absent list is
    no empty one. Only the network of that name is looked at: another runtime
    on the node has networks of its own.
    """
    listed = call.conf.valid_attachments
    if listed is None:
        raise InvalidConfigError(
            "GC needs the list of valid attachments",
            mistakes=["cni.dev/valid-attachments: is missing; nothing was removed"],
        )
    valid = set(listed)

    def stale(key: Key) -> bool:
        return key.network == call.conf.name and (key.container_id, key.ifname) not in valid

    failures = []
    for record in [r for r in call.store.all() if stale(r.key)]:
        failures += _remove(record, call)
    for engine in call.engines.every():
        for found in _marked(engine, call, failures):
            if stale(found.key):
                failures += remove_marked(found, engine, call.store, call.deadline)
    if call.conf.ipam_type:
        try:
            seconds = call.deadline.within(IPAM_SECONDS).remaining()
            ipam.gc(call.request.replace(config=call.conf.raw), call.conf.ipam_type, deadline_seconds=seconds)
        except (PluginError, TimeoutError) as error:
            failures.append(f"IPAM: {describe(error)}")
    if failures:
        raise TryAgainError("some stale attachments could not be removed", details="; ".join(failures))


def _remove(record: Record, call: Call) -> list[str]:
    try:
        engine = call.engines.load(record.engine)
    except PluginError as error:  # another version's
        return [describe(error)]
    return remove_record(record, engine, call.store, call.deadline)


def _marked(engine: Engine, call: Call, failures: list[str]) -> list[Marked]:
    place = engine.place(call.conf, call.node)
    try:
        return engine.marked(place, call.deadline.within(STEP_SECONDS)) if place else []
    except (PluginError, OSError) as error:
        failures.append(f"marks: {describe(error)}")
        return []


def remove_record(
    record: Record,
    engine: Engine,
    store: Store,
    deadline: Deadline,
    *,
    lock_seconds: float = LOCK_SECONDS,
) -> list[str]:
    """Take down one recorded attachment under its container's lock; return what would not go.

    Only while the record is the one that was judged: another call may have
    settled it meanwhile, and attached the container anew.
    """
    try:
        with store.lock(record.key.container_id, deadline.within(lock_seconds)):
            records = store.of_container(record.key.container_id)
            current = next((r for r in records if r.key == record.key), None)
            return take_down(record, engine, store, records, deadline) if current == record else []
    except (PluginError, OSError) as error:
        return [describe(error)]


def settle(store: Store, load: Callable[[str], Engine], log: Log) -> None:
    """Try owed clean-ups again, within a small deadline; never fails the call that it precedes.

    The debts that were tried longest ago come first, so that one which cannot
    be settled does not hold up the others.
    """
    deadline = Deadline(SETTLE_SECONDS)
    for record in store.owed()[:SETTLE_RECORDS]:
        try:
            deadline.remaining()
            engine = load(record.engine)
            failures = remove_record(record, engine, store, deadline, lock_seconds=SETTLE_LOCK_SECONDS)
        except (PluginError, OSError) as error:
            failures = [describe(error)]
        outcome = "; ".join(failures) or "settled"
        log.info("owed clean-up", owed=f"{record.key.container_id}/{record.key.ifname}", outcome=outcome)
