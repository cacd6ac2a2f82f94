"""The documents keep to their convention, and their examples to the plugin's own verdicts.

Links, and the names of commands, are test_docs' matter; that the commands work
is tests/system/test_documented_commands'.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

import cni_userspace
from cni_userspace.cni.nodefile import DEFAULT_PATH, NodeFile
from cni_userspace.node import validate
from cni_userspace.schema import mistakes, node_file
from tests.support import errorpage, pages
from tests.support.pages import Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Blocks of commands that no test runs, each with its reason in the page. One more is a decision.
NOT_RUN = {
    "README.md": 2,
    "CONTRIBUTING.md": 4,
    "docs/explanation/performance.md": 3,
    "docs/how-to/chain-network-functions.md": 2,
    "docs/how-to/node-executable.md": 2,
    "docs/tutorial/first-attachment.md": 1,
    "install/README.md": 3,
}
BLOCKS = [block for page in pages.pages() for block in pages.blocks(page)]
JSON = [block for block in BLOCKS if block.language == "json"]
YAML = [block for block in BLOCKS if block.language == "yaml"]
CONSOLE = [block for block in BLOCKS if block.language == "console"]
RIGS = re.compile(r"machine|online|guest|switch( of \w+:\w+| hiding /\S+| with room)?")


def where(block: Block) -> str:
    return block.where


def networks(found: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  any JSON value
    """Yield what a JSON example holds of network configurations: one, a list, Multus' delegates."""
    if not isinstance(found, dict):
        return
    if found.get("type") in validate.PLUGINS or "plugins" in found:
        yield found
    for delegate in found.get("delegates", ()):
        yield from networks(delegate)


@pytest.mark.parametrize("page", pages.pages())
def test_a_page_with_commands_says_where_they_run(page: str) -> None:
    runs = any(block.runs for block in pages.blocks(page))
    assert bool(RIGS.fullmatch(pages.rig(page))) == runs


@pytest.mark.parametrize("block", CONSOLE, ids=where)
def test_a_block_of_commands_can_be_taken_apart(block: Block) -> None:
    assert pages.steps(block)


def test_the_commands_that_no_test_runs_are_counted() -> None:
    found = [block.page for block in CONSOLE if block.word == "not run"]
    assert {page: found.count(page) for page in found} == NOT_RUN


@pytest.mark.parametrize("block", JSON, ids=where)
def test_an_example_of_a_network_is_judged_as_the_page_says(block: Block, tmp_path: Path) -> None:
    if block.detail == DEFAULT_PATH or block.word == "node file":
        assert mistakes(json.loads(block.text), node_file()) == []
        return
    for network in networks(json.loads(block.text)):
        network.pop("configuration_path", None)  # that file is in the page's rig alone
        wrong = mistakes_in(json.dumps(network), tmp_path / "network.json")
        assert bool(wrong) == (block.word == "wrong"), wrong


def mistakes_in(text: str, file: Path) -> list[str]:
    file.write_text(text)
    verdicts = validate.judge_file(str(file), NodeFile())
    return [mistake for verdict in verdicts for mistake in verdict.mistakes if verdict.network]


@pytest.mark.parametrize("block", YAML, ids=where)
def test_a_network_among_objects_of_kubernetes_is_a_valid_one(block: Block, tmp_path: Path) -> None:
    assert mistakes_in(block.text, tmp_path / "objects.yaml") == []


def test_every_page_can_be_found() -> None:
    indexes = ("docs/README.md", "docs/decisions/README.md")
    linked = {
        os.path.normpath(os.path.join(os.path.dirname(index), link))
        for index in indexes
        for link in re.findall(r"\(([^)#]+\.md)", pages.read(index))
    }
    assert {page for page in pages.pages() if page.startswith("docs/")} - linked - set(indexes) == set()


def test_the_page_of_errors_says_what_errors_say() -> None:
    assert pages.read("docs/reference/errors.md") == errorpage.render()


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^## \[(\S+)\]", pages.read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] in ("Unreleased", cni_userspace.__version__)
    assert cni_userspace.__version__ in versions
