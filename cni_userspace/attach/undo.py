"""Undo: what takes an effect back, registered as the effect succeeds.

Owns the order (last in, first out) and that one failing step stops no other.
contextlib.ExitStack does the same, and more; its import costs the ADD path
3 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Undo:
    """The steps that take back what was made so far."""

    def __init__(self) -> None:
        """Start with nothing made."""
        self._steps: list[tuple[str, Callable[[], object]]] = []

    def add(self, what: str, step: Callable[[], object]) -> None:
        """Register the way back of an effect that has just succeeded."""
        self._steps.append((what, step))

    def run(self) -> list[str]:
        """Take everything back, last first; return what would not go, one sentence each."""
        failures = []
        while self._steps:
            what, step = self._steps.pop()
            try:
                step()
            except Exception as error:  # noqa: BLE001  one failing step must not stop the others
                failures.append(f"{what}: {describe(error)}")
        return failures

    def forget(self) -> None:
        """Keep what was made."""
        self._steps.clear()


def describe(error: BaseException) -> str:
    """Return an error in one line: its words and its details."""
    details = getattr(error, "details", "")
    words = str(error) or type(error).__name__
    return f"{words} ({details})" if details else words
