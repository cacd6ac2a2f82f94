"""The topology as SVG: wires to the left, bridges and PFs with what is on them, containers to the right.

Pure: from a `topology.Drawn` to text. Colours follow the reader's light or
dark scheme; a renderer that knows no such scheme shows the light one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from cni_userspace.node.topology import NOTHING, Bridge, Drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cni_userspace.node.topology import Pf, Plug

ROW, HEAD, GAP, MARGIN = 28, 38, 26, 24
BRIDGE_WIDTH, BOX_WIDTH, BETWEEN = 380, 270, 130
LANE, LABEL = 16, 150
CHARACTERS = 26  # that fit in a box
WIRE_COLOURS = 5
STYLE = """
  text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2430; }
  .mono { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: 12px; }
  .head { font-weight: 600; font-size: 14px; }
  .faint { fill: #667085; font-size: 11px; }
  .page { fill: #ffffff; }
  .bridge { fill: #f3f6fb; stroke: #9fb2cf; }
  .box { fill: #fbf8f1; stroke: #cdb98a; }
  .line { stroke: #d5dce8; }
  .link { fill: none; stroke: #2f7d4f; stroke-width: 1.6; }
  .waiting { stroke: #98a2b3; stroke-dasharray: 5 4; }
  .up { fill: #2f9e5b; stroke: #2f9e5b; }
  .pin { fill: #ffffff; }
  .down { fill: #ffffff; stroke: #98a2b3; stroke-width: 1.5; }
  .wire { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
  .w0 { stroke: #2b6cb0; } .w1 { stroke: #b7487a; } .w2 { stroke: #b7791f; }
  .w3 { stroke: #6b46c1; } .w4 { stroke: #2c7a7b; }
  text.w0 { fill: #2b6cb0; stroke: none; } text.w1 { fill: #b7487a; stroke: none; }
  text.w2 { fill: #97620f; stroke: none; } text.w3 { fill: #6b46c1; stroke: none; }
  text.w4 { fill: #2c7a7b; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ef; } .faint { fill: #98a2b3; } .page { fill: #14171d; }
    .bridge { fill: #1c2330; stroke: #4a5f80; } .box { fill: #26221a; stroke: #7d6a3d; }
    .line { stroke: #313a4a; } .link { stroke: #5cc98a; } .waiting { stroke: #667085; }
    .up { fill: #5cc98a; stroke: #5cc98a; } .down { fill: #14171d; stroke: #667085; }
    .pin { fill: #14171d; }
    .w0 { stroke: #7db4ee; } .w1 { stroke: #f08fb9; } .w2 { stroke: #e9b65c; }
    .w3 { stroke: #b79cf2; } .w4 { stroke: #6fcfcf; }
    text.w0 { fill: #7db4ee; } text.w1 { fill: #f08fb9; } text.w2 { fill: #e9b65c; }
    text.w3 { fill: #b79cf2; } text.w4 { fill: #6fcfcf; }
  }
"""


@dataclass(kw_only=True)
class _Sheet:
    """What is drawn so far, and where the ports are."""

    parts: list[str] = field(default_factory=list)
    bottom: float = MARGIN
    places: dict[tuple[str, str, str], float] = field(default_factory=dict)  # database, bridge, port: its y

    def add(self, part: str) -> None:
        self.parts.append(part)

    def text(self, x: float, y: float, words: str, *, style: str = "", anchor: str = "start") -> None:
        kind = f' class="{style}"' if style else ""
        self.add(f'<text x="{x:g}" y="{y:g}"{kind} text-anchor="{anchor}">{_safe(words)}</text>')

    def panel(self, x: float, y: float, width: float, height: float, style: str) -> None:
        self.add(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="9" class="{style}"/>')


def render(drawn: Drawn) -> str:
    """Return the picture as one SVG document."""
    drawn = Drawn(bridges=(*drawn.bridges, *map(_panel, drawn.pfs)))
    lanes = max((len(b.wires) for b in drawn.bridges), default=0)
    left = MARGIN + (LABEL + LANE * lanes if lanes else 0)
    right = left + BRIDGE_WIDTH + BETWEEN
    sheet, links = _Sheet(), _Sheet()
    for bridge in drawn.bridges:
        _bridge(sheet, bridge, left)
    below = max(sheet.bottom, _boxes(sheet, links, drawn, left + BRIDGE_WIDTH, right))
    if not drawn.bridges:
        sheet.text(left, MARGIN + 16, NOTHING)
        below = MARGIN + ROW
    _legend(sheet, left, below)
    width, height = right + BOX_WIDTH + MARGIN, below + ROW + MARGIN
    body = "\n".join([*links.parts, *sheet.parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="bridges, ports and attachments">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="page" width="{width:g}" height="{height:g}"/>\n{body}\n</svg>'
    )


def _panel(pf: Pf) -> Bridge:
    """Return a PF in the form of what is drawn as a bridge is."""
    return Bridge(name=pf.name or pf.pci, database=f"PF {pf.pci}", plugs=pf.plugs, wires=())


def _bridge(sheet: _Sheet, bridge: Bridge, x: float) -> None:
    top, rows = sheet.bottom, max(1, len(bridge.plugs))
    sheet.panel(x, top, BRIDGE_WIDTH, HEAD + ROW * rows + 6, "bridge")
    sheet.text(x + 14, top + 24, bridge.name, style="head")
    sheet.text(x + BRIDGE_WIDTH - 14, top + 24, _cut(bridge.database, 34), style="faint", anchor="end")
    for number, plug in enumerate(bridge.plugs):
        y = top + HEAD + ROW * number
        sheet.places[bridge.database, bridge.name, plug.port] = y + ROW / 2
        _plug(sheet, plug, x, y)
    if not bridge.plugs:
        sheet.text(x + 14, top + HEAD + 18, "no ports", style="faint")
    _wires(sheet, bridge, x)
    sheet.bottom = top + HEAD + ROW * rows + 6 + GAP


def _plug(sheet: _Sheet, plug: Plug, x: float, y: float) -> None:
    edge = x + BRIDGE_WIDTH
    sheet.add(f'<path class="line" d="M{x + 1:g} {y:g}H{edge - 1:g}"/>')
    sheet.text(x + 14, y + 19, plug.port, style="mono")
    number = "" if plug.number is None else f"#{plug.number}"
    sheet.text(x + 172, y + 19, number, style="faint", anchor="end")
    told = plug.link or not plug.container or plug.kind in ("gone", "unknown")
    words = [plug.kind] if told else []
    words += [f"VLAN {plug.vlan}"] if plug.vlan else []
    sheet.text(x + 186, y + 19, _cut(", ".join(words), 28), style="faint")
    style = "up" if plug.up else "down"
    sheet.add(f'<circle cx="{edge:g}" cy="{y + ROW / 2:g}" r="5" class="{style}"/>')


def _wires(sheet: _Sheet, bridge: Bridge, x: float) -> None:
    """Draw a bracket per wire, each in a lane of its own, its name beside it."""
    for lane, wire in enumerate(bridge.wires):
        ys = [sheet.places.get((bridge.database, bridge.name, port)) for port in wire.ports]
        found = sorted(y for y in ys if y is not None)
        if not found:
            continue
        style, out = f"w{lane % WIRE_COLOURS}", x - LANE * (lane + 1)
        path = (
            f"M{x:g} {found[0]:g}H{out:g}V{found[-1]:g}H{x:g}"
            if len(found) > 1
            else f"M{x:g} {found[0]:g}H{out:g}"
        )
        sheet.add(f'<path class="wire {style}" d="{path}"/>')
        for y in found:
            sheet.add(f'<circle cx="{x:g}" cy="{y:g}" r="3.5" class="pin {style}"/>')
        name = wire.name.replace("port:", "to ") if len(wire.ports) > 1 else f"{wire.name} (lone)"
        middle = (found[0] + found[-1]) / 2 + 4
        sheet.text(x - LANE * len(bridge.wires) - 8, middle, _cut(name, 20), style=style, anchor="end")


def _boxes(sheet: _Sheet, links: _Sheet, drawn: Drawn, edge: float, x: float) -> float:
    """Draw the containers and the lines to them; return where they end."""
    y: float = MARGIN
    for title, held in _containers(drawn):
        sheet.panel(x, y, BOX_WIDTH, HEAD + ROW * len(held) + 6, "box")
        sheet.text(x + 14, y + 24, _cut(title, CHARACTERS + 6), style="head")
        for number, (bridge, plug) in enumerate(held):
            row = y + HEAD + ROW * number
            sheet.add(f'<path class="line" d="M{x + 1:g} {row:g}H{x + BOX_WIDTH - 1:g}"/>')
            sheet.text(x + 14, row + 19, plug.interface, style="mono")
            sheet.text(
                x + BOX_WIDTH - 14, row + 19, _cut(plug.network, CHARACTERS), style="faint", anchor="end"
            )
            start, end = sheet.places[bridge.database, bridge.name, plug.port], row + ROW / 2
            bend = (edge + x) / 2
            style = "link" if plug.up else "link waiting"
            curve = f"M{edge:g} {start:g}C{bend:g} {start:g} {bend:g} {end:g} {x:g} {end:g}"
            links.add(f'<path class="{style}" d="{curve}"/>')
        y += HEAD + ROW * len(held) + 6 + GAP
    return y


def _containers(drawn: Drawn) -> Iterator[tuple[str, list[tuple[Bridge, Plug]]]]:
    """Yield each container with its ports, in the order of the first of them."""
    found: dict[str, list[tuple[Bridge, Plug]]] = {}
    for bridge in drawn.bridges:
        for plug in bridge.plugs:
            if plug.container:
                found.setdefault(plug.container, []).append((bridge, plug))
    yield from found.items()


def _legend(sheet: _Sheet, x: float, y: float) -> None:
    sheet.add(f'<circle cx="{x + 5:g}" cy="{y + 8:g}" r="5" class="up"/>')
    sheet.text(x + 18, y + 12, "connected", style="faint")
    sheet.add(f'<circle cx="{x + 105:g}" cy="{y + 8:g}" r="5" class="down"/>')
    sheet.text(x + 118, y + 12, "waiting for an application, or down", style="faint")


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"


def _safe(words: str) -> str:
    """Return text for XML, which knows no control characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words))
