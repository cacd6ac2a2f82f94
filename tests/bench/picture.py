"""The picture: where the time of an ADD goes, a bar for each contestant.

Pure: from phases to SVG. Colours follow the reader's light or dark scheme; a
renderer that knows no such scheme shows the light one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tests.bench.phases import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.phases import Phases

MARGIN, LABEL, CHART, ROW, BAR, LEGEND = 24, 210, 640, 46, 26, 22
NARROW = 3.0  # percent of the chart that a number needs
STYLE = """
  text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2430; }
  .faint { fill: #667085; font-size: 11px; } .in { fill: #ffffff; font-size: 11px; }
  .page { fill: #ffffff; } .line { stroke: #d5dce8; }
  .p0 { fill: #2b6cb0; } .p1 { fill: #6b46c1; } .p2 { fill: #b7791f; }
  .p3 { fill: #98a2b3; } .p4 { fill: #2c7a7b; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ef; } .faint { fill: #98a2b3; } .page { fill: #14171d; }
    .line { stroke: #313a4a; }
  }
"""


def render(found: Mapping[str, Phases]) -> str:
    """Return the bars as one SVG document."""
    longest = max((sum(phases.values()) for phases in found.values()), default=1.0)
    parts, y = [], float(MARGIN)
    for name, phases in found.items():
        parts += _row(name, phases, y, CHART / longest)
        y += ROW
    for number, name in enumerate(NAMES):
        parts.append(f'<rect class="p{number}" x="{MARGIN}" y="{y:g}" width="12" height="12" rx="2"/>')
        parts.append(f'<text x="{MARGIN + 20}" y="{y + 11:g}">{escape(name)}</text>')
        y += LEGEND
    width, height = MARGIN + LABEL + CHART + 70 + MARGIN, y + MARGIN / 2
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="where the time of an ADD goes">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="page" width="{width:g}" height="{height:g}"/>\n{body}\n</svg>\n'
    )


def _row(name: str, phases: Phases, y: float, scale: float) -> list[str]:
    parts = [f'<text x="{MARGIN}" y="{y + 18:g}">{escape(name)}</text>']
    x = float(MARGIN + LABEL)
    for number, phase in enumerate(NAMES):
        width = phases[phase] * scale
        parts.append(f'<rect class="p{number}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{BAR}"/>')
        if width > CHART * NARROW / 100:
            middle = x + width / 2
            number_at = f'x="{middle:.1f}" y="{y + 17:g}" text-anchor="middle"'
            parts.append(f'<text class="in" {number_at}>{phases[phase]:.1f}</text>')
        x += width
    parts.append(f'<text x="{x + 8:.1f}" y="{y + 18:g}">{sum(phases.values()):.1f} ms</text>')
    return parts
