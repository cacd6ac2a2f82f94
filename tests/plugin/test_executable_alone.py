"""A call of the built executable needs that one file: what lies in lib/ is for people's commands."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import built
from tests.support.need import find, need

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.node import Node

pytestmark = pytest.mark.built


def opened(node: Node, verb: str, trace: Path) -> list[str]:
    """Run a successful call under strace; return the lines that name lib/."""
    need("strace")
    executable = built.folder() / "userspace"
    call = {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": "alone",
        "CNI_NETNS": node.netns.path,
        "CNI_IFNAME": "net1",
        "CNI_PATH": node.plugin.cni_path,
    }
    subprocess.run(
        [str(find("strace")), "-f", "-e", "trace=%file", "-o", str(trace), str(executable)],
        input=json.dumps(node.plugin.conf()),
        env={**node.plugin.env, **call},
        text=True,
        check=True,
        capture_output=True,
    )
    below = f"{executable.parent}/lib/"
    return [line for line in trace.read_text().splitlines() if below in line and "ENOENT" not in line]


def test_add_and_del_read_nothing_beside_the_executable(node: Node, tmp_path: Path) -> None:
    assert {verb: opened(node, verb, tmp_path / verb) for verb in ("ADD", "DEL")} == {"ADD": [], "DEL": []}
