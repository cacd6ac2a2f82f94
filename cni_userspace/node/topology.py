"""`userspace topology`: bridges, ports, wires, PFs, VFs and attachments, as text, SVG or JSON.

Owns the picture as a value (`Drawn`) and its text. Ports of others are drawn
too: a wire may end at one. Changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cni_userspace.attach.store import Store
from cni_userspace.host.sysfs import Sysfs, is_address
from cni_userspace.node import listing, view
from cni_userspace.node.devices import BOUND, GONE, UNKNOWN, UP
from cni_userspace.node.switchview import vlan_text

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator, Sequence

    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.node.devices import Device
    from cni_userspace.node.switchview import Port, Switch
    from cni_userspace.node.view import Attachment, View

NOTHING = "there is no bridge"


@dataclass(frozen=True, kw_only=True)
class Plug:
    """A port of a bridge or a device of a PF, and what hangs on it."""

    port: str  # its name; a device's PCI address
    number: int | None  # in OpenFlow; a VF's index
    kind: str  # the Interface's type, the device's driver; "gone" or "unknown" where an attachment has none
    vlan: str
    up: bool
    container: str = ""  # a title: the pod, else the beginning of the containerID; "" for others' ports
    interface: str = ""
    network: str = ""
    wire: str = ""
    link: str = ""  # a device's, in words


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A point-to-point connection on a bridge; a lone end has one port."""

    name: str
    ports: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """A bridge with its ports and wires."""

    name: str
    database: str
    plugs: tuple[Plug, ...]
    wires: tuple[Wire, ...]


@dataclass(frozen=True, kw_only=True)
class Pf:
    """A PF with those of its VFs that are attached, or attached as a whole."""

    name: str  # its network device on the node; "" if it has none here
    pci: str
    vfs: int  # that it has now
    plugs: tuple[Plug, ...]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What is drawn."""

    bridges: tuple[Bridge, ...]
    pfs: tuple[Pf, ...] = ()
    unread: tuple[str, ...] = ()


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--db", action="append", default=[], help="look at this database too (unix:, tcp:)")
    parser.add_argument(
        "-o", "--output", choices=("text", "svg", "json"), default="text", help="default: text"
    )


def run(options: Namespace, node: NodeFile) -> int:
    """Draw; 0 also where a database does not answer, which is said."""
    found = view.look(Store(node.state_dir), node, options.db, everything=True)
    drawn = draw(found)
    if options.output == "json":
        print(json.dumps(asdict(drawn), indent=2))
        return 0
    listing.complain(drawn.unread)
    if options.output == "svg":
        from cni_userspace.node.svg import render

        print(render(drawn))
    else:
        print("\n".join(text(drawn)) or NOTHING)
    return 0


def draw(found: View) -> Drawn:
    """Return the picture of what was found."""
    bridges = [_bridge(name, switch, found) for switch in found.switches for name in switch.bridges]
    bridges += _unseen(found, {(b.database, b.name) for b in bridges})
    return Drawn(bridges=tuple(bridges), pfs=tuple(_pfs(found, Sysfs())), unread=found.unread)


def _pfs(found: View, sysfs: Sysfs) -> Iterator[Pf]:
    below: dict[str, list[tuple[Device, Attachment]]] = {}
    for attachment in found.attachments:
        if attachment.device is not None:
            below.setdefault(attachment.device.pf, []).append((attachment.device, attachment))
    for pci, pairs in sorted(below.items()):
        pairs.sort(key=lambda pair: -1 if pair[0].vf is None else pair[0].vf)
        yield Pf(
            name=next((device.pf_name for device, _ in pairs if device.pf_name), ""),
            pci=pci,
            vfs=sysfs.num_vfs(pci) if is_address(pci) else 0,
            plugs=tuple(_device(device, attachment) for device, attachment in pairs),
        )


def _device(device: Device, attachment: Attachment) -> Plug:
    return Plug(
        port=device.pci,
        number=device.vf,
        kind=device.link if device.link in (GONE, UNKNOWN) else device.driver,
        vlan=device.vlan,
        up=device.link in (UP, BOUND),
        container=_title(attachment),
        interface=attachment.key.ifname,
        network=attachment.key.network,
        link=device.link,
    )


def _bridge(name: str, switch: Switch, found: View) -> Bridge:
    here = [a for a in found.attachments if (a.place, a.bridge) == (switch.place, name)]
    ours = {a.port_name: a for a in here if a.port is not None}
    plugs = [
        _plug(port, ours.get(port.name))
        for port in switch.ports
        if port.bridge == name and port.name != name  # the bridge's own port is no news
    ]
    plugs += [_lost(a) for a in here if a.port is None]
    return Bridge(name=name, database=switch.place, plugs=tuple(plugs), wires=tuple(_wires(here)))


def _unseen(found: View, seen: set[tuple[str, str]]) -> Iterator[Bridge]:
    """Yield the bridges that only records speak of."""
    places = sorted({(a.place, a.bridge) for a in found.attachments if a.bridge} - seen)
    for place, name in places:
        here = [a for a in found.attachments if (a.place, a.bridge) == (place, name)]
        plugs = tuple(_lost(a) for a in here)
        yield Bridge(name=name, database=place, plugs=plugs, wires=tuple(_wires(here)))


def _plug(port: Port, attachment: Attachment | None) -> Plug:
    numbers = port.interface["ofport"]
    row = port.port
    vlan = vlan_text((row["vlan_mode"] or [""])[0], (row["tag"] or [None])[0], row["trunks"], row["cvlans"])
    return Plug(
        port=port.name,
        number=numbers[0] if numbers else None,
        kind=port.interface["type"] or "system",
        vlan=vlan,
        up=port.connected,
        container=_title(attachment),
        interface=attachment.key.ifname if attachment else "",
        network=attachment.key.network if attachment else "",
        wire=attachment.wire if attachment else "",
    )


def _lost(attachment: Attachment) -> Plug:
    """Return an attachment whose port the database does not show."""
    return Plug(
        port=attachment.port_name,
        number=None,
        kind=attachment.link,
        vlan=attachment.vlan,
        up=False,
        container=_title(attachment),
        interface=attachment.key.ifname,
        network=attachment.key.network,
        wire=attachment.wire,
    )


def _title(attachment: Attachment | None) -> str:
    if attachment is None:
        return ""
    return attachment.title if attachment.pod.get("name") else attachment.key.container_id[: listing.SHORT_ID]


def _wires(attachments: Sequence[Attachment]) -> Iterator[Wire]:
    names: dict[str, list[str]] = {}
    for attachment in attachments:
        if attachment.wire:
            names.setdefault(attachment.wire, []).append(attachment.port_name)
    for name, ports in sorted(names.items()):
        peer = name.removeprefix("port:")
        yield Wire(name=name, ports=tuple(ports if peer == name else [*ports, peer]))


# --- text


def text(drawn: Drawn) -> Iterator[str]:
    """Yield the tree's lines."""
    for database in dict.fromkeys(b.database for b in drawn.bridges):
        yield database
        yield from _below([_tree(b) for b in drawn.bridges if b.database == database])
    if drawn.pfs:
        yield "SR-IOV"
        yield from _below([_pf_tree(pf) for pf in drawn.pfs])


def _tree(bridge: Bridge) -> list[str]:
    """Return a bridge's lines: its name, then what is on it."""
    lines = _aligned(bridge.plugs)
    lines += [f"wire {wire.name}: {' <-> '.join(wire.ports)}{_lone(wire)}" for wire in bridge.wires]
    return [bridge.name, *_below([[line] for line in lines])]


def _pf_tree(pf: Pf) -> list[str]:
    """Return a PF's lines: its name and how many of its VFs are attached, then those, or itself."""
    count = sum(plug.number is not None for plug in pf.plugs)
    told = f"{count} of {pf.vfs} VFs attached" if pf.vfs or count else ""
    head = "  ".join(filter(None, (pf.name, pf.pci, told)))
    return [head, *_below([[line] for line in _aligned(pf.plugs)])]


def _aligned(plugs: Sequence[Plug]) -> list[str]:
    rows = [_cells(plug) for plug in plugs]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))] if rows else []
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _lone(wire: Wire) -> str:
    return " (a lone end)" if len(wire.ports) == 1 else ""


def _cells(plug: Plug) -> tuple[str, ...]:
    number = "" if plug.number is None else str(plug.number)
    hangs = f"{plug.container} {plug.interface}" if plug.container else f"({plug.kind})"
    state = plug.kind if plug.kind in (GONE, UNKNOWN) else _up(plug)
    return (plug.port, number, hangs, state, f"VLAN {plug.vlan}" if plug.vlan else "")


def _up(plug: Plug) -> str:
    if plug.link:
        return f"{plug.link}, {plug.kind}"
    if plug.container:
        return "connected" if plug.up else "waiting"
    return "up" if plug.up else "down"


def _below(blocks: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of each block, drawn as branches."""
    blocks = list(blocks)
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        for line_number, line in enumerate(block):
            head = ("└─ " if last else "├─ ") if line_number == 0 else ("   " if last else "│  ")
            yield head + line
