"""`python -m tests.support.guest.backports DIRECTORY`: this machine's package sources, and the backports.

Writes copies of the machine's own sources there, each Debian suite once more as
its backports, so that nothing needs to name a mirror. The machine's own sources
stay as they are; apt is pointed at the copies. Forms: sources.list(5).
"""

from __future__ import annotations

import glob
import os
import re
import sys

PLACES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")
RELEASE = "/etc/os-release"


def stanzas(text: str, suite: str) -> str:
    """Return those of a .sources file that have the suite, its backports in place of all their suites."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        words = re.search(r"^Suites:(.*)$", stanza, re.MULTILINE)
        if words and suite in words[1].split() and re.search(r"^Components:.*\bmain\b", stanza, re.MULTILINE):
            found.append(re.sub(r"^Suites:.*$", f"Suites: {suite}-backports", stanza, flags=re.MULTILINE))
    return "\n\n".join(found)


def lines(text: str, suite: str) -> str:
    """Return those of a .list file that have the suite, with its backports in its place."""
    form = re.compile(rf"(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+){re.escape(suite)}(\s+(?:.*\s)?main\b.*)")
    found = (form.fullmatch(line.strip()) for line in text.splitlines())
    return "\n".join(f"{match[1]}{suite}-backports{match[2]}" for match in found if match)


def suite() -> str:
    """Return the release's name, "" where it has none."""
    with open(RELEASE, encoding="utf-8") as file:
        told = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.MULTILINE)
    return told[1] if told else ""


def main(directory: str) -> int:
    """Write the sources; return 1 where the machine names no Debian suite."""
    os.makedirs(directory, exist_ok=True)
    added = 0
    for path in (path for place in PLACES for path in sorted(glob.glob(place))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        kind = "sources" if path.endswith(".sources") else "list"
        more = (stanzas if kind == "sources" else lines)(text, suite())
        added += bool(more)
        name = f"{path.strip('/').replace('/', '-').removesuffix('.' + kind)}.{kind}"
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(f"{text.rstrip()}\n\n{more}\n")
    return 0 if added else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
