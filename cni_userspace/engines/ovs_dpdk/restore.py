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
from cni_userspace.host.ovsdb import DatabaseDownError, Ovsdb
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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

    One bridge that refuses its flows keeps no other from getting them.

    Takes no lock, so that an ADD that waits for vswitchd holds up nobody's
    protection. Instead it looks again after it has written, until it finds
    nothing wrong: what ADD and DEL did meanwhile stands in the database, and
    only what was written here can have been out of date. Raises SwitchError
    (where it finds no end, too) with what the first such bridge said, and
    TimeoutError.
    """
    put_right: list[Restored] = []
    refusals: list[SwitchError] = []
    with Ovsdb(place, deadline) as database:
        for bridge in sorted({end.bridge for end in ends.with_flows(database)}):
            try:
                put_right += _restore(database, place, bridge, deadline, is_empty=bridge in empty)
            except DatabaseDownError:
                raise
            except SwitchError as error:
                refusals.append(error)
    if refusals:
        raise refusals[0]
    return put_right


def _restore(
    database: Ovsdb, place: str, bridge: str, deadline: Deadline, *, is_empty: bool
) -> list[Restored]:
    """Put the flows of one bridge's attachments right; return those that were wrong."""
    management = openflow.management(rundir_of(place), bridge)
    put_right: dict[Key, Restored] = {}
    for _ in range(PASSES):
        everyone = [end for end in ends.with_flows(database) if end.bridge == bridge]
        found = _wrong(database, management, everyone, deadline, is_empty=is_empty)
        if not found:
            return list(put_right.values())
        put_right = {**{r.end.key: r for r in found}, **put_right}
        changes: list[str] = []
        for end in (r.end for r in found):
            changes += additions(end, ends.other(database, bridge, end, everyone))
        openflow.apply(management, changes, deadline)
        _forget_gone(database, management, [r.end for r in found], deadline)
        is_empty = False
    names = ", ".join(f"{r.end.port} on {bridge}" for r in found)
    raise SwitchError("flows do not stay as they are restored", details=names, hint="who else writes them?")


def _forget_gone(database: Ovsdb, management: str, written: Sequence[End], deadline: Deadline) -> None:
    """Delete the flows of attachments that a DEL took away while theirs were written."""
    present = {end.key for end in ends.with_flows(database)}
    for end in (end for end in written if end.key not in present):
        openflow.apply(management, [removal(end.cookie)], deadline)


def _wrong(
    database: Ovsdb,
    management: str,
    everyone: Sequence[End],
    deadline: Deadline,
    *,
    is_empty: bool,
) -> list[Restored]:
    there: dict[str, set[str]] = {}
    if not is_empty:
        try:
            told = openflow.dump(management, deadline)
        except openflow.BridgeDownError:
            return []
        for cookie, flow in told:
            there.setdefault(cookie, set()).add(flow)
    found = []
    for end in (end for end in everyone if end.ofport > 0):
        wanted = set(flows(end, ends.other(database, end.bridge, end, everyone)))
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
