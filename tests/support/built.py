"""The executable as `./dev build` leaves it, and the root that it was built in.

Tests of it carry the mark `built`: `./dev test` builds before it runs them.
`python -m tests.support.built` writes the list of what is inside anew.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from tests.support.need import missing
from tests.support.repository import ROOT

DIST = ROOT / "dist"
FOLDER = DIST / "userspace"
CONTENTS = ROOT / "tools" / "executable" / "contents.txt"
HEAD = """\
# Every file of the executable's directory, `*` for the architecture: what an installation
# puts on a node. `python -m tests.support.built` writes this list after `./dev build`.
"""
NATIVE = re.compile(r"[a-z0-9_]+-linux-gnu")


def folder() -> Path:
    """Return the built directory; without it the test ends here."""
    if not (FOLDER / "VERSION").exists():
        missing("there is no built executable", "./dev build")
    return FOLDER


def archive() -> Path:
    """Return the archive of it."""
    folder()
    (found,) = DIST.glob("userspace-*.tar.gz")
    return found


def files() -> list[Path]:
    """Return every file of it."""
    return sorted(path for path in folder().rglob("*") if not path.is_dir())


def listed() -> list[str]:
    """Return what is inside, as the list has it."""
    return sorted(NATIVE.sub("*", str(path.relative_to(FOLDER))) for path in files())


@cache
def root() -> Path:
    """Return the root of Debian 11 that it was built in; without it the test ends here."""
    folder()
    asked = '. tools/build.sh; echo ".cache/build-$(own_arch)-$(root_key "$(own_arch)")"'
    place = ROOT / shell(asked).stdout.strip()
    if not (place / "etc" / "built-of").exists():
        missing("the executable was not built in a root of Debian 11", "./dev build says why")
    return place


def shell(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of bash in the repository. Raises CalledProcessError."""
    command = ["bash", "-euc", script, "bash", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    CONTENTS.write_text(HEAD + "".join(f"{name}\n" for name in listed()), encoding="utf-8")
