"""The documentation leads where it says: links, anchors, commands, JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.repository import ROOT, files, shown

if TYPE_CHECKING:
    from pathlib import Path

PAGES = files("*.md")
README_LINES = 200
FENCE = re.compile(r"^ *```(\w*)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$")
OUTWARD = ("http://", "https://", "mailto:")
SHELL = ("console", "sh", "bash", "shell")


class Block(NamedTuple):
    """A fenced block: its language, its first line's number, its lines."""

    language: str
    line: int
    lines: list[str]


def split(path: Path) -> tuple[list[str], list[Block]]:
    """Return a page's prose lines and its fenced blocks."""
    prose: list[str] = []
    blocks: list[Block] = []
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if fence and not inside:
            blocks.append(Block(fence[1], number, []))
        elif not fence and inside:
            blocks[-1].lines.append(line)
        elif not fence:
            prose.append(line)
        inside = inside != bool(fence)
    assert not inside, f"{shown(path)}: a fence stays open"
    return prose, blocks


def anchors(path: Path) -> set[str]:
    """Return the anchors that a forge makes of a page's headings."""
    found: set[str] = set()
    for line in split(path)[0]:
        heading = HEADING.match(line)
        if heading:
            words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])).lower()
            anchor = words.replace(" ", "-")
            count = sum(1 for a in found if a == anchor or re.fullmatch(re.escape(anchor) + r"-\d+", a))
            found.add(f"{anchor}-{count}" if count else anchor)
    return found


def commands(path: Path) -> list[str]:
    """Return the command lines of a page's shell blocks; in a console block those after a prompt."""
    found = []
    for block in split(path)[1]:
        if block.language == "console":
            found += [line[2:] for line in block.lines if line.startswith(("$ ", "# "))]
        elif block.language in SHELL:
            found += block.lines
    return found


@pytest.fixture(scope="module")
def dev_words() -> str:
    """Give what ./dev says of itself."""
    return subprocess.run([str(ROOT / "dev"), "help"], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def userspace_commands() -> set[str]:
    """Give the operator's commands."""
    done = subprocess.run(
        [sys.executable, "-m", "cni_userspace", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return set(re.findall(r"^    ([a-z]+)", done.stdout, re.MULTILINE))


def test_the_readme_is_short_and_says_something() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 20 < len(lines) < README_LINES


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in LINK.findall("\n".join(split(path)[0])):
        if target.startswith(OUTWARD):
            continue
        name, _, anchor = target.partition("#")
        page = (path.parent / name).resolve() if name else path
        if not page.exists() or (anchor and anchor not in anchors(page)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_json_is_json(path: Path) -> None:
    for block in split(path)[1]:
        if block.language == "json":
            try:
                json.loads("\n".join(block.lines))
            except ValueError as error:
                pytest.fail(f"{shown(path)}:{block.line}: {error}")


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_commands_of_dev_exist(path: Path, dev_words: str) -> None:
    told = {word for line in commands(path) for word in re.findall(r"\./dev ([a-z0-9]+)", line)}
    assert all(f"./dev {word} " in dev_words for word in told), told


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_commands_of_userspace_exist(path: Path, userspace_commands: set[str]) -> None:
    lines = commands(path)
    told = {w for line in lines for w in re.findall(r"(?:^|[|;&(] *|sudo )userspace ([a-z]+)", line)}
    assert told <= userspace_commands


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_files_of_this_repository_that_commands_name_exist(path: Path) -> None:
    named = re.compile(r"(?:^|[\s=\"'])((?:netconf-examples|install|tests|docs|tools)/[\w./-]+)")
    told = {name for line in commands(path) for name in named.findall(line)}
    assert not {name for name in told if not (ROOT / name.rstrip("/.")).exists()}
