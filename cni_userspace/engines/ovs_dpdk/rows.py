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
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cni_userspace.engines.ovs_dpdk.planning import Plan

    Operation = dict[str, Any]

BRIDGE = "bridge"
PORT = "port"
PATH = "path"
NUMBER = "number"
CLOSED_VLAN = 4095
LISTS = (("trunks", "trunk"), ("cvlans", "cvlans"))
QOS_TYPE = "egress-policer"
BYTES_PER_KBIT = 125


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
        *_number_guards(plan),
    ]
    inserts = [
        *_qos(plan),
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


def _number_guards(plan: Plan) -> list[tuple[Operation, str]]:
    """Return waits that prove an OpenFlow port number free: flows by that number stand before the port."""
    if not plan.has_flows:
        return []
    columns = ("ofport", "ofport_request")
    return [(absent("Interface", [c, "==", plan.ofport_request], "name"), NUMBER) for c in columns]


def interface_row(plan: Plan) -> dict[str, Any]:
    """Return the columns of the Interface row."""
    told = plan.as_dict()
    return {
        "name": plan.port,
        "type": plan.interface_type,
        "external_ids": as_map(marks.of_interface(told, plan.key)),
        **interface_columns(told),
    }


def interface_columns(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan, in the record's form, asks of an Interface; what is left out stays as it is."""
    options = {}
    if plan["interface_type"] == CLIENT:
        options["vhost-server-path"] = plan["switch_path"]
    if plan.get("tx_retries_max") is not None:
        options["tx-retries-max"] = str(plan["tx_retries_max"])
    rate, burst = plan.get("ingress_policing") or (0, 0)
    found = {
        "options": as_map(options) if options else None,
        "mtu_request": plan.get("mtu"),
        "ofport_request": plan.get("ofport_request"),
        "ingress_policing_rate": rate or None,
        "ingress_policing_burst": burst or None,
    }
    return {column: value for column, value in found.items() if value is not None}


def port_row(plan: Plan) -> dict[str, Any]:
    """Return the columns of the Port row but for its interface."""
    told = plan.as_dict()
    row = {
        "name": plan.port,
        "external_ids": as_map(marks.of_port(told, plan.key)),
        **port_columns(told),
    }
    return {**row, "qos": ["named-uuid", "qos"]} if plan.egress_shaping else row


def port_columns(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan, in the record's form, asks of a Port; what is left out stays as it is."""
    if is_closed(plan):
        return {"vlan_mode": "trunk", "trunks": ["set", [CLOSED_VLAN]]}
    mode = plan.get("vlan_mode") or vlan_mode(plan.get("vlan"), plan.get("trunk") or ())
    lists = {column: ["set", list(plan[key])] for column, key in LISTS if plan.get(key)}
    found = {"tag": plan.get("vlan"), "vlan_mode": mode, "protected": plan.get("protected") or None}
    return {**{column: value for column, value in found.items() if value is not None}, **lists}


def is_closed(plan: Mapping[str, Any]) -> bool:
    """Tell whether the learning switch takes no part in a port.

    Such a port carries nothing but a VLAN that no frame may have (4095 is
    reserved, IEEE 802.1Q), so it is shut where its flows are lost, too: flows
    that name it as their output pay no regard to VLANs. (They do to
    `protected`, which would have shut it to forged frames of VLAN 4095.)
    """
    return bool(plan.get("segment") or plan.get("peer_port") or plan.get("wiring") == "none")


def vlan_mode(vlan: int | None, trunk: Sequence[int]) -> str | None:
    """Return the mode that is written beside a trunk; None leaves it to the switch."""
    if not trunk:
        return None
    return "trunk" if vlan is None else "native-untagged"


def qos_config(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of the QoS row: bytes per second, and bytes (ovs-vswitchd.conf.db(5))."""
    rate, burst = plan["egress_shaping"]
    return {"cir": str(rate * BYTES_PER_KBIT), "cbs": str(burst * BYTES_PER_KBIT)}


def _qos(plan: Plan) -> list[Operation]:
    """Return the insert of the QoS row: a root row, which no port takes with it when it goes."""
    if not plan.egress_shaping:
        return []
    told = plan.as_dict()
    row = {
        "type": QOS_TYPE,
        "other_config": as_map(qos_config(told)),
        "external_ids": as_map({**marks.identity(plan.key), "cni-attempt": plan.attempt}),
    }
    return [{"op": "insert", "table": "QoS", "uuid-name": "qos", "row": row}]


def _into_bridge(plan: Plan, *, create: bool) -> list[Operation]:
    if not create:
        mutation = ["ports", "insert", ["set", [["named-uuid", "port"]]]]
        where = [["name", "==", plan.bridge]]
        return [{"op": "mutate", "table": "Bridge", "where": where, "mutations": [mutation]}]
    return bridge_creation(plan.bridge, ["port"])


def bridge_creation(name: str, ports: list[str]) -> list[Operation]:
    """Return the operations that make a bridge of ours with its own port and those named (named-uuids)."""
    bridge = {
        "name": name,
        "datapath_type": "netdev",
        "external_ids": as_map(marks.OWNER),
        "ports": ["set", [["named-uuid", port] for port in ("local", *ports)]],
    }
    local = {"name": name, "type": "internal"}
    return [
        {"op": "insert", "table": "Interface", "uuid-name": "localiface", "row": local},
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "local",
            "row": {"name": name, "interfaces": ["named-uuid", "localiface"]},
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


def marked_qos(wanted: dict[str, str]) -> Operation:
    """Return a select of the QoS rows that carry all the given marks."""
    return {"op": "select", "table": "QoS", "where": [marks.condition(wanted)], "columns": ["_uuid"]}


def removal(ports: Sequence[str], qos: Sequence[str] = ()) -> list[Operation]:
    """Return the operations that take ports (uuids) out of whatever bridge holds them, and delete QoS rows.

    The database collects the Port and Interface rows itself, but only after it
    has looked for references to a deleted row: they go first.
    """
    operations: list[Operation] = []
    for uuid in qos:
        used = ["qos", "==", ["uuid", uuid]]
        operations += [
            {"op": "update", "table": "Port", "where": [used], "row": {"qos": ["set", []]}},
            {"op": "delete", "table": "QoS", "where": [["_uuid", "==", ["uuid", uuid]]]},
        ]
    for uuid in ports:
        one: list[Any] = ["set", [["uuid", uuid]]]
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
