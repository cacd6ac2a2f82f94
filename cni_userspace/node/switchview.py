"""A switch as its database tells it: bridges, ports, what they count.

Owns the one transaction that reads it, and plain values instead of OVSDB's.
vswitchd writes the statistics every 5 s (other_config:stats-update-interval,
ovs-vswitchd.conf.db(5)), so they are that old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cni_userspace.attach.store import Key
from cni_userspace.engines.ovs_dpdk import marks
from cni_userspace.engines.ovs_dpdk.rows import CLOSED_VLAN
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import Ovsdb, atoms, mapping

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 5
Row = dict[str, Any]
PORT_COLUMNS = ("name", "tag", "trunks", "vlan_mode", "cvlans", "protected", "external_ids")
INTERFACE_COLUMNS = (
    *("name", "type", "ofport", "error", "link_state", "mtu", "options", "status", "statistics"),
    *("external_ids", "ingress_policing_rate", "ingress_policing_burst"),
)


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port as the switch has it; columns as plain values: sets as lists, maps as dicts."""

    bridge: str
    port: Row
    interface: Row

    @property
    def name(self) -> str:
        """The port's name."""
        return str(self.port["name"])

    @property
    def key(self) -> Key | None:
        """Whose port it is by its marks, None where it bears none of ours."""
        ids = self.port["external_ids"]
        if ids.get("owner") != marks.OWNER["owner"]:
            return None
        return Key(
            network=ids.get("cni-network", ""),
            container_id=ids.get("cni-container-id", ""),
            ifname=ids.get("cni-ifname", ""),
        )

    @property
    def connected(self) -> bool:
        """Whether an application is on its socket (or, of another kind of port, whether its link is up)."""
        return bool(self.interface["link_state"] == ["up"])

    def count(self, name: str) -> int | None:
        """Return a counter; None where the switch does not count it (dpdkvhostuser in OVS 3.1)."""
        found = self.interface["statistics"].get(name)
        return None if found is None else int(found)


@dataclass(frozen=True, kw_only=True)
class Switch:
    """The bridges and ports in one database."""

    place: str
    bridges: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()


def read(place: str, *, everything: bool = False) -> Switch:
    """Read a database in one transaction. Raises SwitchError, TimeoutError."""
    ours = [] if everything else [marks.condition(marks.OWNER)]
    with Ovsdb(place, Deadline(SECONDS)) as database:
        bridges, ports, interfaces = database.transact(
            [
                _select("Bridge", [], ("name", "ports")),
                _select("Port", ours, ("_uuid", "interfaces", *PORT_COLUMNS)),
                _select("Interface", ours, ("_uuid", *INTERFACE_COLUMNS)),
            ],
        )
    below = {row["_uuid"][1]: _plain(row, INTERFACE_COLUMNS) for row in interfaces["rows"]}
    home = {uuid[1]: row["name"] for row in bridges["rows"] for uuid in atoms(row["ports"])}
    found = []
    for row in ports["rows"]:
        uuid, inner = row["_uuid"][1], [u[1] for u in atoms(row["interfaces"]) if u[1] in below]
        if uuid in home and inner:  # a bond shows its first interface
            found.append(Port(bridge=home[uuid], port=_plain(row, PORT_COLUMNS), interface=below[inner[0]]))
    return Switch(
        place=place,
        bridges=tuple(sorted(row["name"] for row in bridges["rows"])),
        ports=tuple(sorted(found, key=lambda p: (p.bridge, p.name))),
    )


def vlan_text(mode: str, tag: int | None, trunks: Iterable[int], customers: Iterable[int] = ()) -> str:
    """Return what a port does with tags, in words: "10", "trunk 10,20-25", "native 7, trunk all"."""
    if list(trunks) == [CLOSED_VLAN]:
        return ""  # the learning switch takes no part in this port; its wire is told elsewhere
    inner, outer = ranges(customers), ranges(trunks)
    if mode == "dot1q-tunnel":
        return f"tunnel {tag}" + (f" of {inner}" if inner else "")
    if mode.startswith("native-"):
        return f"{mode.replace('-untagged', '')} {tag}, trunk {outer or 'all'}"
    if mode == "trunk" or (not mode and outer):
        return f"trunk {outer or 'all'}"
    return "" if tag is None else str(tag)


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as "1,5-7"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _select(table: str, where: list[Any], columns: Iterable[str]) -> Row:
    return {"op": "select", "table": table, "where": where, "columns": list(columns)}


def _plain(row: Row, columns: Iterable[str]) -> Row:
    """Return columns as plain values: maps as dicts, everything that may be a set as a list."""
    maps = ("external_ids", "options", "status", "statistics")
    lone = ("name", "type", "protected", "ingress_policing_rate", "ingress_policing_burst")
    return {
        column: mapping(row[column])
        if column in maps
        else row[column]
        if column in lone
        else atoms(row[column])
        for column in columns
    }
