"""Configurations that no person would write: one CNI error or a result, and nothing left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import caller

if TYPE_CHECKING:
    from tests.support.node import Node

pytestmark = pytest.mark.runtime

HUGE = "1e999"
DEEP = "[" * 985 + "]" * 985


@pytest.mark.parametrize("value", [HUGE, DEEP], ids=["a number that no double holds", "deep nesting"])
@pytest.mark.parametrize("key", ["vlan", "dns", "args", "runtimeConfig", "prevResult"])
def test_what_could_be_read_and_not_written_again_is_refused_before_anything_is_made(
    node: Node, key: str, value: str
) -> None:
    odd = value if key == "vlan" else f'{{"dns": {{"x": {value}}}}}'
    text = json.dumps(node.plugin.conf())[:-1] + f', "{key}": {odd}}}'
    outcome = caller.call(node.plugin, node.words("ADD"), text.encode())
    assert outcome.code == 6, outcome
    assert "Traceback" not in outcome.stderr
    assert node.left() == []
