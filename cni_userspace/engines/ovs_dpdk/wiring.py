"""Wiring: flows made before the port, kept right with its peer, taken away after it.

Owns the order that lets nothing pass unseen: an OpenFlow port number is
chosen, the flows by that number are written, and only then does the port come
into being, under this very number; when it goes, vswitchd has let go of it
before its flows go. Two calls on one wire are kept apart by a lock of the
database server, which frees it when a caller dies: one lock per bridge and
wire, so that others are not held up.

Every change of flows is one run of ovs-ofctl with one bundle: all or nothing.
"""

from __future__ import annotations

from cni_userspace.attach import naming
from cni_userspace.engines.ovs_dpdk import ends, marks, port, rows
from cni_userspace.engines.ovs_dpdk.flows import End, additions, flows, removal
from cni_userspace.engines.ovs_dpdk.look import rundir_of
from cni_userspace.errors import ConflictError, PluginError, SwitchError
from cni_userspace.host import openflow
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import Ovsdb, TransactionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cni_userspace.attach.store import Key
    from cni_userspace.attach.undo import Undo
    from cni_userspace.engines.ovs_dpdk.conf import OvsConf
    from cni_userspace.engines.ovs_dpdk.planning import Plan

UNDO_SECONDS = 5
FIRST_NUMBER = 32768  # the switch gives out the lowest free ones
NUMBERS = 32000
TRIES = 8
PAIR = 2


def require_flows(options: OvsConf) -> None:
    """Raise SwitchError where no flow can be written on this node at all."""
    if not rundir_of(options.socket_file):
        raise SwitchError(
            "flows cannot be written: with a remote database the bridge's management socket is elsewhere",
            details=f"socket_file = {options.socket_file}",
            hint="name the switch's own unix socket, or do without `antiSpoofing`, `segment` and `peerPort`",
        )
    openflow.program()


def obstacle(options: OvsConf, deadline: Deadline, *, bridge_exists: bool) -> str:
    """Return why an attachment cannot have the flows that it asks for, "" where it can: key, value, reason.

    Raises as `require_flows` does.
    """
    require_flows(options)
    wire = wire_of({"segment": options.segment, "peer_port": options.peer_port})
    if not wire:
        return ""
    with Ovsdb(options.socket_file, deadline) as database:
        found = ends.on_wire(database, options.bridge, wire)
        if options.segment:
            return _third(f'$.segment: "{options.segment}"', found, PAIR)
        shown = f'$.peerPort: "{options.peer_port}"'
        if not bridge_exists or ends.ofport(database, options.bridge, options.peer_port) is None:
            return f"{shown} is no port of the bridge {options.bridge} that the switch serves"
        if _is_ours(database, options.peer_port):
            return f"{shown} is an attachment's port; two attachments are wired by naming one `segment`"
        return _third(shown, found, 1)


def _third(shown: str, found: list[End], most: int) -> str:
    if len(found) < most:
        return ""
    names = " and ".join(f"{end.key.container_id}/{end.key.ifname}" for end in found)
    return f"{shown} is taken: {names} {'are' if len(found) > 1 else 'is'} wired by it already"


def _is_ours(database: Ovsdb, name: str) -> bool:
    wanted = rows.marked_ports(marks.OWNER)
    (found,) = database.transact([{**wanted, "where": [*wanted["where"], ["name", "==", name]]}])
    return bool(found["rows"])


def wire_of(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return what a plan is wired by: {"segment": name}, {"peer_port": name} or {}."""
    return {kind: plan[kind] for kind in ends.WIRES if plan.get(kind)}


def lock_name(bridge: str, wire: Mapping[str, str]) -> str:
    """Return the name of the lock of one wire, or of one OpenFlow port number ({"number": "5"})."""
    kind, name = next(iter(wire.items()))
    return f"cni_userspace_{naming.digest(bridge, kind, name, length=20)}"


def place(plan: Plan, undo: Undo, deadline: Deadline) -> dict[str, object]:
    """Write the flows, make the port; return what was learnt.

    Raises as `port.place` does, and ConflictError for a third end of a wire.
    """
    while True:
        try:
            with Ovsdb(plan.place, deadline) as database:
                return _place(plan, database, undo, deadline)
        except port.BridgeGoneError:  # the last port of our own bridge went meanwhile
            if not plan.create_bridge:
                raise
            deadline.remaining()


def _place(plan: Plan, database: Ovsdb, undo: Undo, deadline: Deadline) -> dict[str, object]:
    wire = wire_of(plan.as_dict())
    if wire:
        database.lock(lock_name(plan.bridge, wire))
    made = _ensure_bridge(plan, database, undo)
    plan = plan.replace(
        ofport_request=_claim_number(plan, database),
        bridge_exists=True,
        create_bridge=False,
    )
    me = _end(plan)
    present = ends.on_wire(database, plan.bridge, wire) if wire else []
    shown, most = ("peerPort", 1) if plan.peer_port else ("segment", PAIR)
    if present and (wrong := _third(f"`{shown}` {next(iter(wire.values()))}", present, most)):
        raise ConflictError("the wire has its ends already", details=wrong)
    other = ends.other(database, plan.bridge, me, present)
    changes = [*additions(me, other), *(line for end in present for line in additions(end, me.ofport))]
    undo.add(f"flows {me.cookie}", lambda: release(plan.as_dict(), plan.key, Deadline(UNDO_SECONDS)))
    openflow.apply(openflow.management(plan.rundir, plan.bridge), changes, deadline)
    learnt = port.place(plan, undo, deadline)
    return {**learnt, "bridge_made": made, "ofport_request": plan.ofport_request, "ips": list(plan.ips)}


def _ensure_bridge(plan: Plan, database: Ovsdb, undo: Undo) -> bool:
    """Make the bridge where it is missing: flows need it before the port."""
    if not plan.create_bridge:
        return False
    operations = [rows.bridge_is(plan.bridge, there=False), *rows.bridge_creation(plan.bridge, [])]
    try:
        database.transact_and_wait(operations)
    except TransactionError as error:
        if error.failed != 0:
            raise
        return False  # it is there
    except BaseException:  # an answer that never comes does not say whether the transaction stands
        undo.add(f"bridge {plan.bridge}", lambda: _remove_bridge(plan))
        raise
    undo.add(f"bridge {plan.bridge}", lambda: _remove_bridge(plan))
    return True


def _remove_bridge(plan: Plan) -> None:
    with Ovsdb(plan.place, Deadline(UNDO_SECONDS)) as database:
        port.remove_empty_bridge(database, plan.bridge)


def _claim_number(plan: Plan, database: Ovsdb) -> int:
    """Return the port's OpenFlow number, which no interface has or asks for and no other call gets meanwhile.

    A flow takes the place of one with the same match, whatever their cookies:
    flows by another attachment's number would replace its own, and the way
    back of the refused ADD would then leave that one unguarded. So the number
    is proven free before any flow is written, under a lock that is held until
    the port's row is there. Raises ConflictError, TimeoutError.
    """
    number = plan.ofport_request or _free_number(database, plan.key)
    database.lock(lock_name(plan.bridge, {"number": str(number)}))
    if _taken(database, [number]):
        raise port.number_taken(number, plan.place)
    return number


def _free_number(database: Ovsdb, key: Key) -> int:
    """Return an OpenFlow port number that no interface has or asks for at this moment."""
    seed = naming.cookie(key.network, key.container_id, key.ifname)
    numbers = [FIRST_NUMBER + (seed + step) % NUMBERS for step in range(TRIES)]
    taken = _taken(database, numbers)
    free = [number for number in numbers if number not in taken]
    if not free:
        raise ConflictError("no free OpenFlow port number was found", details=f"tried {numbers}")
    return free[0]


def _taken(database: Ovsdb, numbers: Sequence[int]) -> set[int]:
    """Return those of the numbers that an interface of the switch has or asks for."""
    asked = [(number, column) for number in numbers for column in ("ofport", "ofport_request")]
    answers = database.transact(
        [
            {"op": "select", "table": "Interface", "where": [[column, "==", number]], "columns": ["name"]}
            for number, column in asked
        ],
    )
    return {number for (number, _), answer in zip(asked, answers, strict=True) if answer["rows"]}


def _end(plan: Plan) -> End:
    return End(
        key=plan.key,
        bridge=plan.bridge,
        port=plan.port,
        ofport=plan.ofport_request or 0,
        mac=plan.mac,
        ips=plan.ips,
        anti_spoofing=plan.anti_spoofing,
        segment=plan.segment,
        peer_port=plan.peer_port,
    )


def remove(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> None:
    """Remove the port, and then its flows; the peer's drop from then on. A repeat is success.

    Where nobody serves the bridge there are no flows, and the row is the
    caller's to remove.
    """
    try:
        openflow.require(openflow.management(rundir_of(plan["place"]), plan["bridge"]))
    except openflow.BridgeDownError:
        return
    wire = wire_of(plan)
    with Ovsdb(plan["place"], deadline) as database:
        if wire:
            database.lock(lock_name(plan["bridge"], wire))
        port.remove_marked(database, marks.identity(key), wait=True)
        _release(plan, key, database, deadline)


def release(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> None:
    """Remove an attachment's flows; the peer's drop from then on. The port must be gone."""
    wire = wire_of(plan)
    with Ovsdb(plan["place"], deadline) as database:
        if wire:
            database.lock(lock_name(plan["bridge"], wire))
        _release(plan, key, database, deadline)


def _release(plan: Mapping[str, Any], key: Key, database: Ovsdb, deadline: Deadline) -> None:
    wire, bridge = wire_of(plan), plan["bridge"]
    left = [end for end in ends.on_wire(database, bridge, wire) if end.key != key] if wire else []
    gone = End(key=key, port="", ofport=0, mac="")
    changes = [removal(gone.cookie)]
    for end in left:
        changes += additions(end, ends.other(database, bridge, end, left))
    try:
        openflow.apply(openflow.management(rundir_of(plan["place"]), bridge), changes, deadline)
    except openflow.BridgeDownError:
        pass  # the flows went with the bridge, or with vswitchd


def faults(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Return how an attachment's flows differ from what they should be, one sentence each."""
    bridge = plan["bridge"]
    with Ovsdb(plan["place"], deadline) as database:
        me = ends.of(database, key)
        if me is None:  # the caller says so
            return []
        me = me.replace(
            bridge=bridge,
            mac=plan["mac"],
            ips=tuple(plan.get("ips") or ()),
            anti_spoofing=bool(plan.get("anti_spoofing")),
            segment=plan.get("segment", ""),
            peer_port=plan.get("peer_port", ""),
        )
        wire = wire_of(plan)
        other = ends.other(database, bridge, me, ends.on_wire(database, bridge, wire) if wire else [])
    said = []
    if me.peer_port and other is None:
        said.append(
            f"the port {me.peer_port}, to which the attachment is wired, is not on the bridge {bridge}"
        )
    try:
        management = openflow.management(rundir_of(plan["place"]), bridge)
        found = {flow for _, flow in openflow.dump(management, deadline, f"cookie={me.cookie}/-1")}
    except PluginError as error:
        return [*said, f"the flows of {bridge} cannot be read: {error.msg} ({error.details})"]
    wanted = set(flows(me, other))
    return [
        *said,
        *(f"the flow is missing: {flow}" for flow in sorted(wanted - found)),
        *(f"the flow is not of ADD's making: {flow}" for flow in sorted(found - wanted)),
    ]
