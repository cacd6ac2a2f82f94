"""Who is wired to whom, read from the marks in the switch's database.

Owns the reading alone: which attachments with flows a bridge has, and the
number of the port that each is wired to. The marks are the only state of a
segment, so it is whole after any crash, and needs no record.
"""

from __future__ import annotations

from cni_userspace.cni import forms
from cni_userspace.engines.ovs_dpdk import marks
from cni_userspace.engines.ovs_dpdk.flows import End, plain
from cni_userspace.host.ovsdb import atoms, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cni_userspace.attach.store import Key
    from cni_userspace.host.ovsdb import Ovsdb

WIRES = {"segment": "cni-segment", "peer_port": "cni-peer-port"}


def on_wire(database: Ovsdb, bridge: str, wire: Mapping[str, str]) -> list[End]:
    """Return the ends of a wire ({"segment": name} or {"peer_port": name}) on a bridge."""
    wanted = {**marks.OWNER, "cni-bridge": bridge, **{WIRES[kind]: name for kind, name in wire.items()}}
    return _read(database, [marks.condition(wanted)])


def with_flows(database: Ovsdb) -> list[End]:
    """Return every attachment in the switch that has flows."""
    found = _read(database, [marks.condition(marks.OWNER)])
    return [end for end in found if end.anti_spoofing or end.wired]


def of(database: Ovsdb, key: Key) -> End | None:
    """Return one attachment, None where no port carries its marks."""
    return next(iter(_read(database, [marks.condition(marks.identity(key))])), None)


def other(database: Ovsdb, bridge: str, end: End, ends: Iterable[End]) -> int | None:
    """Return the number of the port that an end is wired to, None where it is not there."""
    if end.peer_port:
        return ofport(database, bridge, end.peer_port)
    others = [
        found.ofport
        for found in ends
        if (found.bridge, found.segment) == (bridge, end.segment)
        and found.key != end.key
        and found.ofport > 0
    ]
    return others[0] if len(others) == 1 else None


def ofport(database: Ovsdb, bridge: str, name: str) -> int | None:
    """Return the number of a port by its name, None where the bridge has no such port in use."""
    interfaces, ports, bridges = database.transact(
        [
            _select("Interface", [["name", "==", name]], ["ofport"]),
            _select("Port", [["name", "==", name]], ["_uuid"]),
            _select("Bridge", [["name", "==", bridge]], ["ports"]),
        ],
    )
    if not (interfaces["rows"] and ports["rows"] and bridges["rows"]):
        return None
    if ports["rows"][0]["_uuid"] not in atoms(bridges["rows"][0]["ports"]):
        return None
    number = _number(interfaces["rows"][0])
    return number if number > 0 else None


def _read(database: Ovsdb, where: list[Any]) -> list[End]:
    (ports,) = database.transact([_select("Port", where, ["name", "external_ids"])])
    names = [row["name"] for row in ports["rows"]]
    columns = ["name", "ofport", "ofport_request", "external_ids"]
    answers = database.transact([_select("Interface", [["name", "==", name]], columns) for name in names])
    interfaces = {row["name"]: row for answer in answers for row in answer["rows"]}
    return [
        _end(row["name"], mapping(row["external_ids"]), interfaces[row["name"]])
        for row in ports["rows"]
        if row["name"] in interfaces
    ]


def _end(name: str, found: Mapping[str, str], interface: Mapping[str, Any]) -> End:
    mac, ips = _addresses(mapping(interface["external_ids"]).get("attached-mac", ""), found)
    return End(
        key=marks.key_of(found),
        bridge=found.get("cni-bridge", ""),
        port=name,
        ofport=_number(interface),
        mac=mac,
        ips=ips,
        anti_spoofing=found.get("cni-anti-spoofing") == "true",
        segment=found.get("cni-segment", ""),
        peer_port=found.get("cni-peer-port", ""),
    )


def _addresses(told: str, found: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return (MAC, IPs) of the marks; ("", ()), with which nothing may be sent, where one is spoilt.

    They become words of ovs-ofctl's input, in one bundle with others' flows,
    so one bad word would keep all of them from being written.
    """
    try:
        ips = tuple(plain(ip) for ip in found.get(marks.IPS, "").split())
    except (OSError, ValueError):
        return "", ()
    mac = forms.plain_mac(told)
    return (mac, ips) if mac else ("", ())


def _number(interface: Mapping[str, Any]) -> int:
    """Return an interface's number; one that vswitchd has not read yet will get what it asks for."""
    for column in ("ofport", "ofport_request"):
        for number in atoms(interface.get(column, ["set", []])):
            return int(number)
    return 0


def _select(table: str, where: list[Any], columns: list[str]) -> dict[str, Any]:
    return {"op": "select", "table": table, "where": where, "columns": columns}
