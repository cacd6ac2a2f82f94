"""The file that `logFile` names: what the plugin did, for whoever looks afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import Node

pytestmark = pytest.mark.runtime


def test_the_log_file_says_how_each_call_went(node: Node, tmp_path: Path) -> None:
    log = tmp_path / "log"
    keys = {"logFile": str(log), "logLevel": "info"}
    node.add(**keys).succeeded()
    assert node.add(**keys).code == 103
    node.delete(**keys).succeeded()
    added, refused, deleted = log.read_text().splitlines()
    assert " info " in added
    assert added.endswith("done command=ADD")
    assert " error " in refused
    assert "the attachment exists already command=ADD code=103" in refused
    assert deleted.endswith("done command=DEL")
