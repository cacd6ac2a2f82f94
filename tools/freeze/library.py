# ruff: noqa: INP001  a script
"""Make lib/, what the frozen executable does not hold: from what PyInstaller collected.

`python library.py COLLECTED LIB`: COLLECTED is PyInstaller's one-dir output, LIB
the directory to make. Owns the form: each module as a .pyc file that is believed
without a look at a source (PEP 552, unchecked), where an ordinary import finds
it; data and extension modules as they were collected. PyInstaller decides what
is in it, by build.spec; the plugin's own package is frozen, but for its data.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from typing import TYPE_CHECKING

import freeze
from PyInstaller.archive.readers import CArchiveReader
from PyInstaller.loader.pyimod01_archive import PYZ_ITEM_NSPKG, PYZ_ITEM_PKG

if TYPE_CHECKING:
    from types import CodeType

PACKAGE = "cni_userspace"
FROZEN = {PACKAGE, *freeze.STDLIB, *freeze.BOOTSTRAP}
INTERNAL = "_internal"
BASE = "base_library.zip"
HEADER = MAGIC_NUMBER + b"\x01\0\0\0" + bytes(8)  # PEP 552: by hash, unchecked


def main(arguments: list[str]) -> int:
    """Make the directory."""
    collected, library = arguments
    internal = os.path.join(collected, INTERNAL)
    os.mkdir(library)
    _files(internal, library)
    with zipfile.ZipFile(os.path.join(internal, BASE)) as base:
        for name in base.namelist():
            if name.endswith(".pyc") and _wanted(_module_of(name)):
                _write(os.path.join(library, name), base.read(name)[len(HEADER) :])
    program = CArchiveReader(os.path.join(collected, "userspace"))
    for name, (*_, kind) in program.toc.items():
        if kind == "m" and not name.startswith("pyi"):  # struct: PyInstaller's own start needs it early
            _write(os.path.join(library, f"{name}.pyc"), program.extract(name))
    archive = program.open_embedded_archive("PYZ.pyz")
    for name, (kind, _, _) in archive.toc.items():
        if kind == PYZ_ITEM_NSPKG or not _wanted(name):
            continue
        code: CodeType = archive.extract(name)
        path = name.replace(".", "/") + ("/__init__.pyc" if kind == PYZ_ITEM_PKG else ".pyc")
        _write(os.path.join(library, path), dumps(code))
    return 0


def _files(internal: str, library: str) -> None:
    """Copy data, extension modules and the libraries that these need."""
    for folder, _, files in os.walk(internal):
        below = os.path.relpath(folder, internal)
        if below.startswith("python3") and os.path.basename(below) == "lib-dynload":
            below = "lib-dynload"
        for file in files:
            if file == BASE or file.startswith("libpython"):
                continue
            target = os.path.join(library, below, file)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(os.path.join(folder, file), target)


def _module_of(path: str) -> str:
    return path.removesuffix(".pyc").removesuffix("/__init__").replace("/", ".")


def _wanted(name: str) -> bool:
    return name not in FROZEN and not name.startswith(f"{PACKAGE}.")


def _write(path: str, code: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(HEADER + code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
