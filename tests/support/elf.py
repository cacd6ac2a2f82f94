"""What an ELF file asks of the system that loads it: libraries, and versions of their symbols.

Reads the dynamic section and .gnu.version_r of 64-bit little-endian files (System V
ABI, "Dynamic Linking"; Linux Standard Base Core, "Symbol Versioning"). Fits what
`readelf --dynamic --version-info` prints, without binutils.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x7fELF\x02\x01"
SHT_DYNAMIC, SHT_GNU_VERNEED = 6, 0x6FFFFFFE
DT_NEEDED = 1
SECTION = struct.Struct("<IIQQQQIIQQ")
DYNAMIC = struct.Struct("<qQ")
VERNEED, VERNAUX = struct.Struct("<HHIII"), struct.Struct("<IHHII")


@dataclass(frozen=True, kw_only=True)
class _Section:
    type: int
    content: bytes
    link: int
    entries: int


def is_elf(path: str) -> bool:
    """Tell whether a file is one that this module can read."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def libraries(path: str) -> set[str]:
    """Return the names of the libraries that a file needs."""
    sections = _sections(path)
    return {
        _text(sections[section.link].content, value)
        for section in sections
        if section.type == SHT_DYNAMIC
        for tag, value in DYNAMIC.iter_unpack(section.content)
        if tag == DT_NEEDED
    }


def symbol_versions(path: str) -> set[str]:
    """Return the versions of symbols that a file needs, as GLIBC_2.17."""
    sections = _sections(path)
    return {
        name
        for section in sections
        if section.type == SHT_GNU_VERNEED
        for name in _versions(section, sections[section.link].content)
    }


def _versions(section: _Section, names: bytes) -> Iterator[str]:
    at = 0
    for _ in range(section.entries):
        _, count, _, auxiliary, following = VERNEED.unpack_from(section.content, at)
        place = at + auxiliary
        for _ in range(count):
            _, _, _, name, next_one = VERNAUX.unpack_from(section.content, place)
            yield _text(names, name)
            place += next_one
        at += following


def _sections(path: str) -> list[_Section]:
    with open(path, "rb") as file:
        data = file.read()
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    found = []
    for number in range(count):
        _, kind, _, _, offset, length, link, info, _, _ = SECTION.unpack_from(data, start + number * size)
        found.append(_Section(type=kind, content=data[offset : offset + length], link=link, entries=info))
    return found


def _text(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode()
