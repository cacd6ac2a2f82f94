"""Versions are replaced while a runtime calls: no call fails, each is served by one whole version."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.built
SWAPS = 8
CALLERS = 3


def test_no_add_and_no_del_fails_while_versions_are_swapped(
    tmp_path: Path, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    installation = Installation(tmp_path)
    installation.install("a")
    plugin.executable = installation.plugin
    switch.add_bridge("br0")
    conf = plugin.conf(socket_file=switch.remote)
    over = threading.Event()
    failures: list[object] = []
    calls: list[str] = []

    def attach_and_detach(container: str) -> None:
        while not over.is_set():
            for call in (
                plugin.version(),
                plugin.add(conf, container, netns.path),
                plugin.delete(conf, container),
            ):
                calls.append(container)
                if call.returncode:
                    failures.append(call)

    callers = [threading.Thread(target=attach_and_detach, args=(f"caller{n}",)) for n in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        for swap in range(SWAPS):
            installation.install("ba"[swap % 2])
    finally:
        over.set()
        for caller in callers:
            caller.join()
    assert failures == []
    assert len(calls) > SWAPS
    assert installation.versions() <= {installation.version("a"), installation.version("b")}
    assert switch.ports("br0") == set()
