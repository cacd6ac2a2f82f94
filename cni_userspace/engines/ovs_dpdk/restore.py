"""Restoring flows: what a bridge lost, and what moved, put right from the marks.

Owns the comparison of the switch's flows with what the marks in its database
ask for. vswitchd forgets all flows when it ends, and may number ports anew;
the marks outlive it. Needs no record, so it works for attachments of another
node file, too. Writes flows of our cookies only, and nothing where nothing is
wrong.
"""

from __future__ import annotations

from cni_userspace.engines.ovs_dpdk import ends
from cni_userspace.engines.ovs_dpdk.flows import End, additions, flows, removal
from cni_userspace.engines.ovs_dpdk.look import rundir_of
from cni_userspace.errors import SwitchError
from cni_userspace.host import openflow
from cni_userspace.host.ovsdb import Ovsdb
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from cni_userspace.attach.store import Key
    from cni_userspace.host.deadline import Deadline


PASSES = 5


class Restored(Value):
    """An attachment whose flows were not right, and are now."""

    end: End
    missing: int  # flows that were not there
    foreign: int  # flows under its cookie that were not of our making, or of another number


def restore(place: str, deadline: Deadline, *, empty: Collection[str] = ()) -> list[Restored]:
    """Put the flows of every attachment right; return those that were wrong.

    `empty` are bridges whose vswitchd has just started: there everything is
    written without looking first, which saves a call while the port is open.
    A bridge that nobody serves is left out: it has no flows to be wrong.

    Takes no lock, so that an ADD that waits for vswitchd holds up nobody's
    protection. Instead it looks again after it has written, until it finds
    nothing wrong: what ADD and DEL did meanwhile stands in the database, and
    only what was written here can have been out of date. Raises SwitchError
    (where it finds no end, too), TimeoutError.
    """
    put_right: dict[Key, Restored] = {}
    with Ovsdb(place, deadline) as database:
        for _ in range(PASSES):
            everyone = ends.with_flows(database)
            found = _wrong(database, place, everyone, deadline, empty)
            if not found:
                return list(put_right.values())
            put_right = {**{r.end.key: r for r in found}, **put_right}
            _write(database, place, everyone, [r.end for r in found], deadline)
            _forget_gone(database, place, [r.end for r in found], deadline)
            empty = ()
    names = ", ".join(f"{r.end.port} on {r.end.bridge}" for r in found)
    raise SwitchError("flows do not stay as they are restored", details=names, hint="who else writes them?")


def _write(
    database: Ovsdb,
    place: str,
    everyone: Sequence[End],
    wrong: Sequence[End],
    deadline: Deadline,
) -> None:
    for bridge in sorted({end.bridge for end in wrong}):
        changes: list[str] = []
        for end in (end for end in wrong if end.bridge == bridge):
            changes += additions(end, ends.other(database, bridge, end, everyone))
        openflow.apply(openflow.management(rundir_of(place), bridge), changes, deadline)


def _forget_gone(database: Ovsdb, place: str, written: Sequence[End], deadline: Deadline) -> None:
    """Delete the flows of attachments that a DEL took away while theirs were written."""
    present = {end.key for end in ends.with_flows(database)}
    for end in (end for end in written if end.key not in present):
        openflow.apply(openflow.management(rundir_of(place), end.bridge), [removal(end.cookie)], deadline)


def _wrong(
    database: Ovsdb,
    place: str,
    everyone: Iterable[End],
    deadline: Deadline,
    empty: Collection[str],
) -> list[Restored]:
    everyone = [end for end in everyone if end.ofport > 0]
    found = []
    for bridge in sorted({end.bridge for end in everyone}):
        there: dict[str, set[str]] = {}
        if bridge not in empty:
            try:
                told = openflow.dump(openflow.management(rundir_of(place), bridge), deadline)
            except openflow.BridgeDownError:
                continue
            for cookie, flow in told:
                there.setdefault(cookie, set()).add(flow)
        for end in (e for e in everyone if e.bridge == bridge):
            wanted = set(flows(end, ends.other(database, bridge, end, everyone)))
            has = there.get(end.cookie, set())
            if wanted != has:
                found.append(Restored(end=end, missing=len(wanted - has), foreign=len(has - wanted)))
    return found


def hold(place: str, deadline: Deadline) -> None:
    """Have the next vswitchd pass no frame until `release` is called for it.

    Open_vSwitch other_config:flow-restore-wait (ovs-vswitchd.conf.db(5)) is
    read by a vswitchd that starts; for one that runs it means nothing.
    """
    with Ovsdb(place, deadline) as database:
        database.transact_and_wait([_waiting("true")])


def release(place: str, deadline: Deadline) -> None:
    """Let the vswitchd that has just started pass frames, now that its flows are there."""
    with Ovsdb(place, deadline) as database:
        database.transact_and_wait([_waiting("false")])


def _waiting(value: str) -> dict[str, object]:
    key = "flow-restore-wait"
    mutations = [
        ["other_config", "delete", ["set", [key]]],
        ["other_config", "insert", ["map", [[key, value]]]],
    ]
    return {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": mutations}
