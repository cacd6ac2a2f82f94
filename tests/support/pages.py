"""The documents as data: pages and their fenced blocks.

Owns the convention by which a page's examples are run (CONTRIBUTING.md tells
it to writers). Reads only; `tests.support.pagerig` runs what is found here.

- `<!-- rig: NAME -->` once in a page: where its `console` blocks run, in order.
- A `console` block runs. `$ ` starts a command, a line that ends in a backslash
  goes on in the next one, everything else is output that must come, `...`
  standing for anything. Without output shown any will do. A command must
  succeed unless the next one is `echo $?`.
- A `json` or `yaml` block that holds a network configuration must hold a valid one.
- A comment in the line above a block says what else it is: `not run: REASON`,
  `file: PATH` (written in the rig, at this point), `node file`, `wrong` (a
  network configuration that must be refused), `part` (no whole one).
- A `text` block is for the eye.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from glob import glob

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md", "install/*.md")
LANGUAGES = ("console", "json", "yaml", "text")
WORDS = ("file", "node file", "not run", "part", "wrong")
FENCE = re.compile(r"^(`{3,})(\w*)\s*$")
COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$")
PROMPT = "$ "
STATUS = "echo $?"


class PageError(Exception):
    """A page does not keep to the convention; the text says where."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block; `line` is its fence's, from 1."""

    page: str
    line: int
    language: str
    text: str
    word: str = ""  # of WORDS
    detail: str = ""  # what stands behind the word

    @property
    def where(self) -> str:
        """The place, as an editor takes it."""
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        """Tell whether the rig has something to do with it."""
        return self.word == "file" or (self.language == "console" and self.word != "not run")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command with the output that its page shows."""

    where: str
    command: str
    shown: tuple[str, ...]
    may_fail: bool


def pages() -> list[str]:
    """Return every page of the project, relative to its root."""
    found = [path for pattern in PAGES for path in glob(pattern, root_dir=ROOT, recursive=True)]
    return sorted(found)


def read(page: str) -> str:
    """Return a page's text."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def rig(page: str) -> str:
    """Return the rig that a page asks for, "" for none."""
    found = re.findall(r"^<!-- rig: (.+?) -->$", read(page), re.MULTILINE)
    if len(found) > 1:
        raise PageError(f"{page}: more than one rig")
    return found[0] if found else ""


def runnable() -> list[str]:
    """Return the pages that hold something to run."""
    return [page for page in pages() if any(block.runs for block in blocks(page))]


def blocks(page: str) -> list[Block]:
    """Return a page's fenced blocks. Raises PageError for an unknown language or comment."""
    found: list[Block] = []
    lines = read(page).splitlines()
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence:
            end = lines.index(fence[1], number + 1)
            comment = COMMENT.match(lines[number - 1]) if number else None
            found.append(_block(page, number + 1, fence[2], lines[number + 1 : end], comment))
            number = end
        number += 1
    return found


def _block(page: str, line: int, language: str, lines: list[str], comment: re.Match[str] | None) -> Block:
    word, _, detail = (comment[1] if comment else "").partition(": ")
    if word == "rig":
        word = detail = ""
    if language not in LANGUAGES:
        raise PageError(f"{page}:{line}: a block's language is one of {', '.join(LANGUAGES)}")
    if word and word not in WORDS:
        raise PageError(f"{page}:{line}: <!-- {word} --> is none of {', '.join(WORDS)}")
    if word in ("file", "not run") and not detail:
        raise PageError(f"{page}:{line}: <!-- {word}: ... --> wants to be told more")
    text = "".join(f"{text}\n" for text in lines)
    return Block(page=page, line=line, language=language, text=text, word=word, detail=detail)


def steps(block: Block) -> list[Step]:
    """Return the commands of a `console` block with the output shown below each."""
    commands: list[tuple[int, list[str], list[str]]] = []
    going_on = False
    for offset, line in enumerate(block.text.splitlines(), block.line + 1):
        if going_on:
            commands[-1][1].append(line)
        elif line.startswith(PROMPT):
            commands.append((offset, [line.removeprefix(PROMPT)], []))
        elif not commands:
            raise PageError(f"{block.page}:{offset}: output above the first command")
        else:
            commands[-1][2].append(line)
            continue
        going_on = line.endswith("\\")
    following = [said for _, said, _ in commands[1:]] + [[""]]
    return [
        Step(
            where=f"{block.page}:{offset}",
            command="\n".join(said),
            shown=tuple(shown),
            may_fail=after[0] == STATUS,
        )
        for (offset, said, shown), after in zip(commands, following, strict=True)
    ]


def matches(shown: tuple[str, ...], output: str) -> bool:
    """Tell whether output is what a page shows; `...` stands for anything, line ends may have spaces."""
    if not shown:
        return True
    wanted = "\n".join(line.rstrip() for line in shown).strip()
    got = "\n".join(line.rstrip() for line in output.splitlines()).strip()
    pattern = ".*?".join(map(re.escape, wanted.split("...")))
    return re.fullmatch(pattern, got, re.DOTALL) is not None
