"""The port: one transaction, one wait, and what vswitchd really did.

Owns the truth about success: the database takes rows that vswitchd cannot
serve, and `ovs-vsctl` exits 0 for them. A port is made when vswitchd has
caught up and its interface has an ofport above 0; link and MTU come only when
the application connects.
"""

from __future__ import annotations

from cni_userspace.engines.ovs_dpdk import marks, rows
from cni_userspace.errors import ConflictError, SwitchError
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import Ovsdb, TransactionError, atoms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cni_userspace.attach.undo import Undo
    from cni_userspace.engines.ovs_dpdk.planning import Plan

UNDO_SECONDS = 5


class BridgeGoneError(ConflictError):
    """The bridge, which was there, is gone: another call has deleted it with its last port."""


def place(plan: Plan, undo: Undo, deadline: Deadline) -> dict[str, object]:
    """Make the port and wait for vswitchd; return its ofport.

    Raises ConflictError for a name or path in use, SwitchError when vswitchd
    refuses or does not answer. The row is registered for removal before it is
    sent, by a mark that only this call knows: an answer that never comes does
    not say whether the transaction stands.
    """
    undo.add(f"port {plan.port}", lambda: take_back(plan, made_bridge=made_bridge))
    made_bridge = False
    create = not plan.bridge_exists
    with Ovsdb(plan.place, deadline) as database:
        while True:
            operations, meanings = rows.insertion(plan, create_bridge=create)
            made_bridge = create
            try:
                database.transact_and_wait(operations)
            except TransactionError as error:
                create = _after_refusal(plan, error, meanings, create=create)
                made_bridge = False
                deadline.remaining()
                continue
            except TimeoutError:
                raise SwitchError(
                    "ovs-vswitchd did not answer in time",
                    details=f"port {plan.port} on {plan.bridge}: nothing within {deadline.seconds:g} s",
                    hint="is ovs-vswitchd running, and not stuck? `ovs-appctl version` asks it",
                ) from None
            return {"ofport": _read_back(plan, database), "bridge_made": made_bridge}


def _after_refusal(plan: Plan, error: TransactionError, meanings: list[str], *, create: bool) -> bool:
    """Say what a refused transaction means; return whether the next try must create the bridge."""
    meaning = meanings[error.failed] if 0 <= error.failed < len(meanings) else ""
    if meaning == rows.PORT:
        raise ConflictError(
            "the port exists already",
            details=f"a port or interface named {plan.port} stands in {plan.place}",
            hint="an earlier attachment was not deleted: `userspace gc` lists left-overs",
        )
    if meaning == rows.PATH:
        raise ConflictError(
            "another port uses the same socket",
            details=f"an interface has vhost-server-path={plan.switch_path}",
            hint="two ports on one socket never both connect; `userspace gc` lists left-overs",
        )
    if meaning == rows.NUMBER:
        raise number_taken(plan.ofport_request, plan.place)
    if meaning != rows.BRIDGE:
        raise error
    if not create and not plan.create_bridge:
        raise BridgeGoneError(
            f"the bridge {plan.bridge} has gone meanwhile",
            details=f"bridge = {plan.bridge} in {plan.place}",
        )
    return not create


def number_taken(number: int | None, place: str) -> ConflictError:
    """Return what an ADD says of an OpenFlow port number that another interface has."""
    return ConflictError(
        "the OpenFlow port number is taken",
        details=f"another interface has, or asks for, ofport {number} in {place}",
        hint="leave `ofport_request` out, or choose another",
    )


def _read_back(plan: Plan, database: Ovsdb) -> int:
    (found,) = database.transact([interface_query(plan.port)])
    row: dict[str, Any] = found["rows"][0] if found["rows"] else {"ofport": ["set", []], "error": ["set", []]}
    ofport = (atoms(row["ofport"]) or [0])[0]
    words = (atoms(row["error"]) or [""])[0]
    if ofport > 0 and plan.ofport_request not in (None, ofport):
        raise ConflictError(
            "the OpenFlow port number is taken",
            details=f"ofport_request = {plan.ofport_request} on {plan.bridge}; ovs-vswitchd gave {ofport}",
            hint="flows that name the number would meet another port; ovs-vswitchd counts from 1 itself, "
            "so ask for a high number",
        )
    if ofport > 0:
        return int(ofport)
    if words or ofport:
        raise SwitchError(
            "ovs-vswitchd refused the port",
            details=f"port {plan.port} on {plan.bridge}: {words or 'no reason given'}",
            hint="ovs-vswitchd's log says more",
        )
    raise SwitchError(
        "ovs-vswitchd did not take the port",
        details=f"port {plan.port} got no number: the bridge {plan.bridge} itself is not up",
        hint=f"ovs-vsctl get bridge {plan.bridge} datapath_type, and ovs-vswitchd's log",
    )


def interface_query(port: str) -> dict[str, Any]:
    """Return a select of what vswitchd says of an interface."""
    return {
        "op": "select",
        "table": "Interface",
        "where": [["name", "==", port]],
        "columns": ["ofport", "error"],
    }


def take_back(plan: Plan, *, made_bridge: bool) -> None:
    """Remove the rows of this very ADD; a repeat is success."""
    deadline = Deadline(UNDO_SECONDS)
    with Ovsdb(plan.place, deadline) as database:
        remove_marked(database, {**marks.OWNER, "cni-attempt": plan.attempt})
        if made_bridge:
            remove_empty_bridge(database, plan.bridge)


def remove_marked(database: Ovsdb, wanted: dict[str, str], *, wait: bool = False) -> int:
    """Remove every port that carries the marks, and its QoS row; return how many ports there were.

    With `wait` it returns when vswitchd has done it; TimeoutError then means
    that the rows are gone and vswitchd has not answered.
    """
    found = database.transact([rows.marked_ports(wanted), rows.marked_qos(wanted)])
    ports, qos = ([row["_uuid"][1] for row in part["rows"]] for part in found)
    if ports or qos:
        run = database.transact_and_wait if wait else database.transact
        run(rows.removal(ports, qos))
    return len(ports)


def remove_empty_bridge(database: Ovsdb, name: str) -> bool:
    """Delete a bridge that is ours and has no port but its own; tell whether it went.

    Emptiness is proven in the deleting transaction itself: a port that comes
    in between makes it fail, and the bridge stays.
    """
    (found,) = database.transact([rows.own_bridge(name)])
    if not found["rows"]:
        return False
    uuid, ports = found["rows"][0]["_uuid"][1], atoms(found["rows"][0]["ports"])
    if len(ports) > 1:
        return False
    try:
        database.transact(rows.bridge_removal(name, uuid, ports))
    except TransactionError:
        return False
    return True
