"""Rows: the OVSDB operations of an attachment. Pure.

Owns the one transaction that makes a port: what must not exist yet is proven
by `wait` operations inside it, so no lock is needed against other calls or
other programs. Bridge.ports is changed by mutation only: rewriting the set is
what makes adding a port slow on a switch with many (openvswitch/ovs-issues
176). Column names: ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

from cni_userspace.engines.ovs_dpdk import marks
from cni_userspace.engines.ovs_dpdk.conf import CLIENT
from cni_userspace.host.ovsdb import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cni_userspace.engines.ovs_dpdk.planning import Plan

    Operation = dict[str, Any]

BRIDGE = "bridge"
PORT = "port"
PATH = "path"


def absent(table: str, where: list[Any], column: str) -> Operation:
    """Return a wait that fails at once when a row matches."""
    return {
        "op": "wait",
        "table": table,
        "where": [where],
        "columns": [column],
        "until": "==",
        "rows": [],
        "timeout": 0,
    }


def bridge_is(name: str, *, there: bool) -> Operation:
    """Return a wait that fails at once unless the bridge is there, or is not."""
    wait = absent("Bridge", ["name", "==", name], "name")
    return {**wait, "rows": [{"name": name}]} if there else wait


def insertion(plan: Plan, *, create_bridge: bool) -> tuple[list[Operation], list[str]]:
    """Return the operations that make a port, and per operation what its failure means ("" for nothing)."""
    path = ["options", "includes", as_map({"vhost-server-path": plan.switch_path})]
    guards = [
        (bridge_is(plan.bridge, there=not create_bridge), BRIDGE),
        (absent("Port", ["name", "==", plan.port], "name"), PORT),
        (absent("Interface", ["name", "==", plan.port], "name"), PORT),
        (absent("Interface", path, "name"), PATH),
    ]
    inserts = [
        {"op": "insert", "table": "Interface", "uuid-name": "iface", "row": interface_row(plan)},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "port",
            "row": {**port_row(plan), "interfaces": ["named-uuid", "iface"]},
        },
        *_into_bridge(plan, create=create_bridge),
        {"op": "comment", "comment": f"cni-userspace: ADD {plan.key.container_id} {plan.key.ifname}"},
    ]
    operations = [operation for operation, _ in guards] + inserts
    return operations, [meaning for _, meaning in guards] + [""] * len(inserts)


def interface_row(plan: Plan) -> dict[str, Any]:
    """Return the columns of the Interface row."""
    row: dict[str, Any] = {
        "name": plan.port,
        "type": plan.interface_type,
        "external_ids": as_map(marks.of_interface(plan.as_dict(), plan.key)),
    }
    if plan.interface_type == CLIENT:
        row["options"] = as_map({"vhost-server-path": plan.switch_path})
    if plan.mtu is not None:
        row["mtu_request"] = plan.mtu
    if plan.ofport_request is not None:
        row["ofport_request"] = plan.ofport_request
    return row


def port_row(plan: Plan) -> dict[str, Any]:
    """Return the columns of the Port row but for its interface."""
    told = as_map(marks.of_port(plan.as_dict(), plan.key))
    row: dict[str, Any] = {"name": plan.port, "external_ids": told}
    if plan.vlan is not None:
        row["tag"] = plan.vlan
    if plan.trunk:
        row["trunks"] = ["set", list(plan.trunk)]
        row["vlan_mode"] = vlan_mode(plan.vlan, plan.trunk)
    return row


def vlan_mode(vlan: int | None, trunk: Sequence[int]) -> str | None:
    """Return the mode that is written beside a trunk; None leaves it to the switch."""
    if not trunk:
        return None
    return "trunk" if vlan is None else "native-untagged"


def _into_bridge(plan: Plan, *, create: bool) -> list[Operation]:
    if not create:
        mutation = ["ports", "insert", ["set", [["named-uuid", "port"]]]]
        where = [["name", "==", plan.bridge]]
        return [{"op": "mutate", "table": "Bridge", "where": where, "mutations": [mutation]}]
    local = {"name": plan.bridge, "type": "internal"}
    ports = ["set", [["named-uuid", "local"], ["named-uuid", "port"]]]
    bridge = {
        "name": plan.bridge,
        "datapath_type": "netdev",
        "external_ids": as_map(marks.OWNER),
        "ports": ports,
    }
    return [
        {"op": "insert", "table": "Interface", "uuid-name": "localiface", "row": local},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "local",
            "row": {"name": plan.bridge, "interfaces": ["named-uuid", "localiface"]},
        },
        {"op": "insert", "table": "Bridge", "uuid-name": "bridge", "row": bridge},
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "bridge"]]]]],
        },
    ]


def marked_ports(wanted: dict[str, str]) -> Operation:
    """Return a select of the ports that carry all the given marks."""
    columns = ["_uuid", "name", "external_ids"]
    return {"op": "select", "table": "Port", "where": [marks.condition(wanted)], "columns": columns}


def removal(ports: list[str]) -> list[Operation]:
    """Return the operations that take ports (uuids) out of whatever bridge holds them.

    The database collects the Port and Interface rows itself.
    """
    operations = []
    for uuid in ports:
        one = ["set", [["uuid", uuid]]]
        operations.append(
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["ports", "includes", one]],
                "mutations": [["ports", "delete", one]],
            },
        )
    return operations


def own_bridge(name: str) -> Operation:
    """Return a select of the bridge if it carries our mark."""
    where = [["name", "==", name], marks.condition(marks.OWNER)]
    return {"op": "select", "table": "Bridge", "where": where, "columns": ["_uuid", "ports"]}


def bridge_removal(name: str, uuid: str, ports: list[Any]) -> list[Operation]:
    """Return the operations that delete a bridge, proving that its ports are still those."""
    return [
        {
            "op": "wait",
            "table": "Bridge",
            "where": [["_uuid", "==", ["uuid", uuid]]],
            "columns": ["ports"],
            "until": "==",
            "rows": [{"ports": ["set", ports]}],
            "timeout": 0,
        },
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "delete", ["set", [["uuid", uuid]]]]],
        },
        {"op": "comment", "comment": f"cni-userspace: the bridge {name} is empty"},
    ]
