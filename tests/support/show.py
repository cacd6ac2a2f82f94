"""Words on a screen: headed steps, small tables, JSON that fits.

Owns how the demo looks; knows nothing of what it shows.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 100
INDENT = "    "


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() else text


def say(text: str = "") -> None:
    """Write one line, at once: a person waits for it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def heading(text: str) -> None:
    """Begin a step."""
    say(f"\n{_paint(text, '1')}")


def fact(name: str, value: object) -> None:
    """Write a name and its value."""
    say(f"{INDENT}{name:<14} {value}")


def good(text: str) -> None:
    """Write what went as it should."""
    say(f"{INDENT}{_paint('ok', '32')}  {text}")


def bad(text: str) -> None:
    """Write what did not."""
    say(f"{INDENT}{_paint('no', '31')}  {text}")


def document(arrow: str, value: Any) -> None:  # noqa: ANN401  any JSON value
    """Write JSON behind an arrow: what went in, what came out."""
    lines = _fitted(value, WIDTH - len(INDENT) - len(arrow) - 1).splitlines()
    for number, line in enumerate(lines):
        say(f"{INDENT}{arrow if number == 0 else ' ' * len(arrow)} {line}")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows under their heads; numbers stand to the right, with thousands apart."""
    lines = list(rows)
    numbers = [any(isinstance(line[n], int) for line in lines) for n in range(len(heads))]
    cells = [list(heads), *([f"{v:,}" if isinstance(v, int) else str(v) for v in line] for line in lines)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(heads))]
    for line in cells:
        columns = zip(line, widths, numbers, strict=True)
        padded = [cell.rjust(width) if number else cell.ljust(width) for cell, width, number in columns]
        say((INDENT + "   ".join(padded)).rstrip())


def _fitted(value: Any, width: int) -> str:  # noqa: ANN401  any JSON value
    """Render JSON so that whatever fits into a line stands in one."""
    flat = json.dumps(value)
    if len(flat) <= width or not isinstance(value, (dict, list)) or not value:
        return flat
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_fitted(item, width - len(key) - 7)}" for key, item in value.items()]
    else:
        inner = [_fitted(item, width - 3) for item in value]
    body = ",\n".join(inner).replace("\n", "\n  ")
    return f"{{\n  {body}\n}}" if isinstance(value, dict) else f"[\n  {body}\n]"
