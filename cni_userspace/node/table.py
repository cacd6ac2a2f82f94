"""Tables for people: columns as wide as their widest cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines with aligned columns, two spaces between them; empty cells show as "-"."""
    shown = [tuple(header), *(tuple(str(cell) or "-" for cell in row) for row in rows)]
    widths = [max(len(row[n]) for row in shown) for n in range(len(header))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in shown)
