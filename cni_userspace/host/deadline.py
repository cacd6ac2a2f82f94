"""Deadlines: every wait of the plugin ends at one.

Owns nothing but arithmetic on the monotonic clock. A runtime gives a plugin a
minute or two and then kills it, so a wait without an end would leave its work
half made (containernetworking/plugins #561).
"""

from __future__ import annotations

from time import monotonic


class Deadline:
    """A moment on the monotonic clock."""

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float) -> None:
        """End that many seconds from now."""
        self.seconds = seconds
        self._end = monotonic() + seconds

    def within(self, seconds: float) -> Deadline:
        """Return a deadline that ends so many seconds from now, and not after this one."""
        return Deadline(max(0.0, min(seconds, self._end - monotonic())))

    def remaining(self) -> float:
        """Return the seconds that are left; raise TimeoutError when none are."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing within {self.seconds:g} s")
        return left
