"""What ./dev build makes: what is inside, what it asks of a node, and that it is always the same."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support import built, elf
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.built

MOST_BYTES = 25_000_000
GLIBC = (2, 31)  # Debian 11, Ubuntu 20.04; RHEL 9 has 2.34
# what glibc itself brings, whatever the distribution
SYSTEM = re.compile(r"(ld-linux-[a-z0-9-]+|lib(c|dl|m|pthread|rt|util))\.so\.\d+")
ELSEWHERE = "/tmp/elsewhere/and deeper"  # noqa: S108  in the build root, which is nobody else's
BUILD_AGAIN = f"""
. tools/build.sh
enter_root "$1" bash -euc '
    rm -rf /tmp/elsewhere && mkdir -p "{ELSEWHERE}/out"
    cp -r /project/{{build.spec,pyproject.toml,LICENSE,install,tools,cni_userspace}} "{ELSEWHERE}"
    cd "{ELSEWHERE}"
    bash tools/executable/executable.sh /venv/bin/python "$PWD" "$PWD/out" "$1" >&2
    cat out/*.sha256
    rm -rf /tmp/elsewhere
' bash "$2"
"""


def version(symbol: str) -> tuple[int, ...]:
    """Return the numbers of a symbol version of glibc."""
    return tuple(int(part) for part in symbol.removeprefix("GLIBC_").split("."))


def test_it_holds_what_is_listed() -> None:
    built.root()  # another Python has other files
    text = built.CONTENTS.read_text(encoding="utf-8")
    assert built.listed() == [line for line in text.splitlines() if not line.startswith("#")]


def test_it_takes_less_than_25_mb() -> None:
    assert sum(path.stat().st_size for path in built.files()) < MOST_BYTES


def test_no_file_needs_a_symbol_above_glibc_2_31() -> None:
    built.root()
    needed = {
        str(path): {v for v in elf.symbol_versions(str(path)) if v.startswith("GLIBC_")}
        for path in built.files()
        if elf.is_elf(str(path))
    }
    assert needed
    too_new = {path: {v for v in versions if version(v) > GLIBC} for path, versions in needed.items()}
    assert not {path: found for path, found in too_new.items() if found}


def test_every_library_that_it_needs_is_inside_or_glibc() -> None:
    inside = {path.name for path in built.files()}
    needed = {name for path in built.files() if elf.is_elf(str(path)) for name in elf.libraries(str(path))}
    assert not {name for name in needed if name not in inside and not SYSTEM.fullmatch(name)}


def test_it_tells_what_it_is_made_of() -> None:
    built.root()
    text = (built.folder() / "BUILT-OF").read_text(encoding="utf-8")
    assert re.search(r"^python3\.11 3\.11\.\S+ ", text, re.MULTILINE)
    assert re.search(r"^libssl1\.1 \S+$", text, re.MULTILINE)
    assert re.search(r"^jsonschema \S+$", text, re.MULTILINE)
    assert re.search(r"^needs glibc 2\.\d+$", text, re.MULTILINE)


def test_the_archive_holds_the_directory(tmp_path: Path) -> None:
    with tarfile.open(built.archive()) as archive:
        archive.extractall(tmp_path, filter="data")
    (place,) = tmp_path.iterdir()
    assert place.name == built.archive().name.removesuffix(".tar.gz")
    done = subprocess.run(["diff", "-r", place, built.FOLDER], check=False, capture_output=True, text=True)
    assert not done.stdout + done.stderr


def test_the_checksum_beside_the_archive_is_its_own() -> None:
    digest, _, name = (built.DIST / f"{built.archive().name}.sha256").read_text().strip().partition("  ")
    assert name == built.archive().name
    assert digest == hashlib.sha256(built.archive().read_bytes()).hexdigest()


def test_the_same_source_in_another_place_gives_the_same_archive() -> None:
    """Later, too: the day of the build is not in it, nor a random order, nor a path."""
    arch = built.archive().name.removesuffix(".tar.gz").rpartition("-")[2]
    again = built.shell(BUILD_AGAIN, str(built.root()), arch).stdout
    assert again == (built.DIST / f"{built.archive().name}.sha256").read_text()


def test_no_path_of_the_builder_is_inside() -> None:
    marks = [str(ROOT).encode(), b"/project/", b"/venv/"]
    found = {(str(path), mark) for path in built.files() for mark in marks if mark in path.read_bytes()}
    assert not found
