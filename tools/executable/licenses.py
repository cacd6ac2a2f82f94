# ruff: noqa: INP001  a script
"""Lay the licences of what is in the executable beside it: whoever hands it on must hand these on.

`python licenses.py LIB OUT`: LIB is the directory of modules and libraries, OUT the
one to make. Owns which those are: a package of which a module is in LIB, a Debian
package of which a library is in LIB or in the program itself, and CPython.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions

WORDS = ("LICEN", "COPYING", "NOTICE")
CPYTHON = "/usr/src/python/LICENSE"
LINKED = ("libffi7",)  # into the program
DOC = "/usr/share/doc"


def main(arguments: list[str]) -> int:
    """Copy them."""
    library, out = arguments
    os.mkdir(out)
    shutil.copy(CPYTHON, f"{out}/python")
    for name in {*_debian(library), *LINKED}:
        shutil.copy(f"{DOC}/{name}/copyright", f"{out}/{name}")
    for found in distributions():
        files = [str(path) for path in found.files or ()]
        if any(os.path.exists(os.path.join(library, path + "c")) for path in files if path.endswith(".py")):
            texts = [path for path in files if os.path.basename(path).upper().startswith(WORDS)]
            for number, path in enumerate(sorted(texts)):
                suffix = f".{number}" if number else ""
                shutil.copy(str(found.locate_file(path)), f"{out}/{found.metadata['Name'].lower()}{suffix}")
    return 0


def _debian(library: str) -> set[str]:
    """Return the packages that the libraries directly in the directory come from."""
    names = [name for name in os.listdir(library) if ".so." in name]
    command = ["dpkg-query", "--search", *(f"*/{name}" for name in names)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return {line.partition(":")[0] for line in told.splitlines()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
