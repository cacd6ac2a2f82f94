"""The tests shared between several guests: whose are which, and what all of them say together.

An emulated processor takes a whole one of the machine's, and a test keeps one
busy: two guests on two processors take half the time.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tests.support.guest import API_TESTS, SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_TESTS = 5  # pytest.ExitCode.NO_TESTS_COLLECTED
WORDS = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "error", "errors")


def ours(paths: Sequence[str]) -> list[bool]:
    """Tell of each test, by its file, whether it is this guest's."""
    index, number = map(int, os.environ.get(SHARE, "0/1").split("/"))
    return [
        (0 if os.path.basename(path) == API_TESTS else n % number) == index for n, path in enumerate(paths)
    ]


def code(codes: Sequence[int]) -> int:
    """Return one exit code: one guest may have got no test, but not all."""
    counting = [code for code in codes if code != NO_TESTS] or [NO_TESTS]
    return max(counting)


def closing(outputs: Sequence[str]) -> str:
    """Return the sum of pytest's closing lines."""
    counts = dict.fromkeys(WORDS, 0)
    longest = 0.0
    for output in outputs:
        line = output.rstrip().rsplit("\n", 1)[-1]
        longest = max([longest, *map(float, re.findall(r" in ([\d.]+)s", line))])
        for number, word in re.findall(r"(\d+) ([a-z]+)", line):
            if word in counts:
                counts[word] += int(number)
    told = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    return f"{told or 'no tests ran'} in {longest:.2f}s, in {len(outputs)} guests"
