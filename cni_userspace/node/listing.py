"""`userspace list`: every attachment of the node, from records and marks.

Owns the table and the JSON, whose keys stay as docs/reference/list.md tells
them. Changes nothing.
"""

from __future__ import annotations

import json
import sys
from time import time
from typing import TYPE_CHECKING, Any

from cni_userspace.attach.store import Store
from cni_userspace.node import view
from cni_userspace.node.table import table

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.node.devices import Device
    from cni_userspace.node.view import Attachment

COLUMNS = (
    *("CONTAINER", "INTERFACE", "NETWORK", "BRIDGE/PF", "PORT/DEVICE", "VLAN", "LINK"),
    *("RX", "TX", "DROPPED", "AGE", "SOCKET/DRIVER"),
)
SHORT_ID = 12  # as docker and podman show containers
UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--db", action="append", default=[], help="look at this database too (unix:, tcp:)")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="default: table")


def run(options: Namespace, node: NodeFile) -> int:
    """List the attachments; 0 also where a database does not answer, which is said."""
    found = view.look(Store(node.state_dir), node, options.db)
    if options.output == "json":
        listed = [as_json(attachment) for attachment in found.attachments]
        print(json.dumps({"attachments": listed, "unread": list(found.unread)}, indent=2))
        return 0
    complain(found.unread)
    print(render(found.attachments, time()) if found.attachments else "nothing is attached")
    return 0


def complain(unread: Iterable[str]) -> None:
    """Say what could not be read, on stderr."""
    for complaint in unread:
        print(f"not looked at: {complaint}", file=sys.stderr)


def render(attachments: Iterable[Attachment], now: float) -> str:
    """Return the table; `now` in seconds since the epoch."""
    return table(COLUMNS, [_row(attachment, now) for attachment in attachments])


def _row(found: Attachment, now: float) -> tuple[str, ...]:
    key = found.key
    counted = counters(found)
    title = found.title if found.pod.get("name") else key.container_id[:SHORT_ID]
    device = found.device
    drops = [n for n in (counted["rx_dropped"], counted["tx_dropped"]) if n is not None]
    return (
        title,
        key.ifname,
        key.network,
        device.seat if device else found.bridge,
        device.pci if device else found.port_name,
        found.vlan,
        found.link if found.state == "attached" else f"{found.link}, {found.state}",
        _number(counted["rx_packets"]),
        _number(counted["tx_packets"]),
        _number(sum(drops) if drops else None),
        age(now - found.record.created) if found.record and found.record.created else "",
        device.driver if device else found.socket,
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def age(seconds: float) -> str:
    """Return a duration with its two largest units: "3d4h", "12m5s", "0s"."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    parts.append(f"{left}s")
    shown = parts[:2]
    return "".join(part for n, part in enumerate(shown) if n == 0 or not part.startswith("0"))


def counters(found: Attachment) -> dict[str, int | None]:
    """Return packets and drops as the switch, or the kernel, counts them: `rx` came from the container."""
    names = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped")
    if found.device is not None:
        return {name: found.device.counters.get(name) for name in names}
    return {name: None if found.port is None else found.port.count(name) for name in names}


def as_json(found: Attachment) -> dict[str, Any]:
    """Return one attachment as docs/reference/list.md describes it."""
    record, port = found.record, found.port
    ofport = port.interface["ofport"] if port else []
    return {
        "container": found.key.container_id,
        "interface": found.key.ifname,
        "network": found.key.network,
        "pod": dict(found.pod) or None,
        "state": found.state,
        "reason": record.reason if record else "",
        "created": record.created if record and record.created else None,
        "database": found.place,
        "bridge": found.bridge,
        "port": found.port_name,
        "ofport": ofport[0] if ofport else None,
        "vlan": found.vlan,
        "wire": found.wire,
        "socket": found.socket,
        "link": found.link,
        "connected": found.connected,
        **counters(found),
        "engine": found.engine,
        "device": _device(found.device),
    }


def _device(device: Device | None) -> dict[str, Any] | None:
    if device is None:
        return None
    return {
        "pci": device.pci,
        "pf": device.pf,
        "pf_name": device.pf_name,
        "vf": device.vf,
        "driver": device.driver,
        "mode": device.mode,
        "mac": device.mac,
        "mtu": device.mtu or None,
    }
