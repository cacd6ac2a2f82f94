"""CHECK: the switch and the directory, compared with what ADD made.

Reads only. Tolerates that no application is connected (link down, MTU 0):
CHECK may run right after ADD. In server mode a restart of vswitchd makes a new
socket; the one in the container's directory then is dead, and only its missing
listener shows it.
"""

from __future__ import annotations

import os

from cni_userspace.attach.undo import describe
from cni_userspace.engines.ovs_dpdk import marks, rows
from cni_userspace.engines.ovs_dpdk.conf import CLIENT
from cni_userspace.engines.ovs_dpdk.remove import FLOWS
from cni_userspace.errors import PluginError
from cni_userspace.host import dirfd, vswitchd
from cni_userspace.host.ovsdb import Ovsdb, atoms, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from cni_userspace.attach.store import Key
    from cni_userspace.host.deadline import Deadline

PORT_COLUMNS = ["_uuid", "tag", "trunks", "vlan_mode", "cvlans", "protected", "qos", "external_ids"]
QOS_COLUMNS = ["_uuid", "type", "other_config"]
INTERFACE_COLUMNS = [
    "type",
    "options",
    "mtu_request",
    "ofport_request",
    "ingress_policing_rate",
    "ingress_policing_burst",
    "ofport",
    "error",
    "external_ids",
]


def check(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Return what is missing or wrong, one sentence each."""
    faults: list[str] = []
    try:
        faults += _rows(plan, key, deadline)
    except (PluginError, OSError) as error:
        faults.append(describe(error))
    try:
        faults += _flows(plan, key, deadline)
    except (PluginError, OSError) as error:
        faults.append(describe(error))
    try:
        faults += _paths(plan)
    except (PluginError, OSError) as error:
        faults.append(describe(error))
    return faults


def _rows(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> Iterator[str]:
    named = ["name", "==", plan["port"]]
    with Ovsdb(plan["place"], deadline) as database:
        ports, interfaces, bridges, qos = database.transact(
            [
                {"op": "select", "table": "Port", "where": [named], "columns": PORT_COLUMNS},
                {"op": "select", "table": "Interface", "where": [named], "columns": INTERFACE_COLUMNS},
                {
                    "op": "select",
                    "table": "Bridge",
                    "where": [["name", "==", plan["bridge"]]],
                    "columns": ["ports"],
                },
                {**rows.marked_qos(marks.identity(key)), "columns": QOS_COLUMNS},
            ],
        )
    if not bridges["rows"]:
        yield f"the bridge {plan['bridge']} does not exist"
    if not ports["rows"] or not interfaces["rows"]:
        yield f"the port {plan['port']} does not exist"
        return
    port, interface = ports["rows"][0], interfaces["rows"][0]
    if bridges["rows"] and port["_uuid"] not in atoms(bridges["rows"][0]["ports"]):
        yield f"the port {plan['port']} is not on the bridge {plan['bridge']}"
    yield from _marks(plan, key, port, interface)
    yield from _port_columns(plan, port)
    yield from _qos(plan, port, qos["rows"])
    yield from _interface_columns(plan, interface)


def _flows(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    if not any(plan.get(name) for name in FLOWS):
        return []
    from cni_userspace.engines.ovs_dpdk import wiring

    return wiring.faults(plan, key, deadline)


def _marks(
    plan: Mapping[str, Any],
    key: Key,
    port: Mapping[str, Any],
    interface: Mapping[str, Any],
) -> Iterator[str]:
    for table, row, wanted in (
        ("Port", port, marks.of_port(plan, key)),
        ("Interface", interface, marks.of_interface(plan, key)),
    ):
        found = mapping(row["external_ids"])
        for name, value in wanted.items():
            if found.get(name) != value:
                yield _differs(f"{table} external_ids:{name}", found.get(name), value)


def _port_columns(plan: Mapping[str, Any], port: Mapping[str, Any]) -> Iterator[str]:
    wanted = rows.port_columns(plan)
    for column, shown in (("tag", "VLAN tag"), ("vlan_mode", "vlan_mode")):
        yield from _scalar(shown, port[column], wanted.get(column))
    for column in ("trunks", "cvlans"):
        found, asked = sorted(atoms(port[column])), atoms(wanted.get(column, ["set", []]))
        if found != asked:
            yield _differs(column, found, asked)
    yield from _scalar("protected", port["protected"], wanted.get("protected", False))


def _interface_columns(plan: Mapping[str, Any], interface: Mapping[str, Any]) -> Iterator[str]:
    if interface["type"] != plan["interface_type"]:
        yield _differs("interface type", interface["type"], plan["interface_type"])
    wanted = rows.interface_columns(plan)
    told, asked = mapping(interface["options"]), mapping(wanted.get("options"))
    for name in ("vhost-server-path", "tx-retries-max"):
        if told.get(name) != asked.get(name):
            yield _differs(f"options:{name}", told.get(name), asked.get(name))
    for column in ("mtu_request", "ofport_request"):
        yield from _scalar(column, interface[column], wanted.get(column))
    for column in ("ingress_policing_rate", "ingress_policing_burst"):
        yield from _scalar(column, interface[column], wanted.get(column, 0))
    ofport = (atoms(interface["ofport"]) or [0])[0]
    error = (atoms(interface["error"]) or [""])[0]
    if ofport <= 0:
        yield f"ovs-vswitchd does not serve the port {plan['port']}: {error or 'it has no ofport'}"
    elif plan.get("ofport_request") not in (None, ofport):
        yield _differs("ofport", ofport, plan["ofport_request"])


def _scalar(what: str, value: Any, wanted: object) -> Iterator[str]:  # noqa: ANN401  OVSDB's notation
    found = (atoms(value) or [None])[0]
    if found != wanted:
        yield _differs(what, found, wanted)


def _qos(plan: Mapping[str, Any], port: Mapping[str, Any], qos: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Compare the port's QoS with the plan; `qos` are the rows that carry our marks."""
    used = atoms(port["qos"])
    if not plan.get("egress_shaping"):
        if used:
            yield "the port has a QoS row, and ADD made none"
        return
    if not qos:
        yield "the QoS row of the port does not exist"
        return
    if qos[0]["_uuid"] not in used:
        yield "the port does not use its QoS row"
    yield from _scalar("QoS type", qos[0]["type"], rows.QOS_TYPE)
    found, wanted = mapping(qos[0]["other_config"]), rows.qos_config(plan)
    for name, value in wanted.items():
        if found.get(name) != value:
            yield _differs(f"QoS other_config:{name}", found.get(name), value)


def _paths(plan: Mapping[str, Any]) -> Iterator[str]:
    path = plan["directory"]
    try:
        directory = dirfd.open_container(path)
    except FileNotFoundError:
        yield f"the directory {path} does not exist"
        return
    with directory:
        faults = list(_directory(plan, directory))
        yield from faults
        if plan["interface_type"] != CLIENT:
            yield from _socket(plan, directory)
        elif not faults:
            yield from _reachable(plan)


def _directory(plan: Mapping[str, Any], directory: dirfd.Directory) -> Iterator[str]:
    path = plan["directory"]
    if plan.get("directory_id") and directory.identity != plan["directory_id"]:
        yield f"the directory {path} is another one than ADD made"
    if plan.get("own_directory"):
        yield from _access(plan.get("directory_access"), os.fstat(directory.fd), path)
    if os.path.dirname(plan["switch_path"]) == plan.get("link"):
        yield from _short_link(plan)


def _access(wanted: Sequence[int] | None, found: os.stat_result, path: str) -> Iterator[str]:
    """Compare owner, group and mode with what ADD left; a record without them knows nothing."""
    names = ("owner", "group", "mode")
    for name, value, made in zip(names, dirfd.access(found), wanted or (), strict=False):
        if value != made:
            shown = (oct(value), oct(made)) if name == "mode" else (value, made)
            yield _differs(f"{name} of {path}", *shown)


def _reachable(plan: Mapping[str, Any]) -> Iterator[str]:
    """Ask anew what ADD asked: vswitchd may run as another user now, a directory above have another mode."""
    folder = os.path.dirname(plan["switch_path"])
    obstacle = vswitchd.obstacle(plan["rundir"], folder, plan.get("directory_id", ""))
    if obstacle:
        yield f"ovs-vswitchd cannot reach {plan['switch_path']}: {obstacle}"


def _short_link(plan: Mapping[str, Any]) -> Iterator[str]:
    try:
        target = os.readlink(plan["link"])
    except OSError as error:
        yield f"the short link {plan['link']} is gone: {error.strerror}"
        return
    if target != plan["directory"]:
        yield _differs(f"short link {plan['link']}", target, plan["directory"])


def _socket(plan: Mapping[str, Any], directory: dirfd.Directory) -> Iterator[str]:
    name = plan["socket_name"]
    path = f"{plan['directory']}/{name}"
    if dirfd.kind(directory, name) != "socket":
        yield f"the socket {path} does not exist"
        return
    if not plan.get("in_place") and dirfd.identity(directory, name) != plan.get("socket_id"):
        yield f"the socket {path} is another one than the switch made"
    elif not dirfd.has_listener(directory, name):
        yield (
            f"the socket {path} is dead: ovs-vswitchd ended since it made it, "
            "and the container must be started anew (with dpdkvhostuserclient it reconnects by itself)"
        )
    found = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    yield from _access(plan.get("socket_access"), found, path)


def _differs(what: str, found: object, wanted: object) -> str:
    return f"{what} is {found!r}, ADD made it {wanted!r}"
