"""What a person sees while the benchmark works: one line that moves."""

from __future__ import annotations

import sys


def say(text: str, *, end: bool = False) -> None:
    """Show progress on stderr: a line that moves on a terminal, the last word of it elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}" + "\n" * end)
    elif end:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
