"""A node without ovs-ofctl: what needs flows says so before it makes anything, and what has some is owed."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support import flows
from tests.support.flows import fate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Attach
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

FRAME = "dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0800"


@pytest.fixture
def hidden(plugin: Plugin, tmp_path: Path) -> str:
    """Give an executable that runs the plugin where nobody may execute ovs-ofctl: its name is covered."""
    covered = os.path.realpath(shutil.which("ovs-ofctl") or "")
    run = f'mount --bind /dev/null {shlex.quote(covered)}; exec {shlex.quote(plugin.executable)} "$@"'
    place = tmp_path / "userspace"
    place.write_text(
        f'#!/bin/sh\nexec unshare --mount --propagation slave sh -ec {shlex.quote(run)} sh "$@"\n'
    )
    place.chmod(0o755)
    return str(place)


@pytest.mark.parametrize("key", ["antiSpoofing", "segment"])
def test_add_and_status_say_so_and_a_network_without_flows_is_not_concerned(
    plugin: Plugin, switch: Switch, netns: Netns, hidden: str, key: str
) -> None:
    switch.add_bridge("br0")
    conf = plugin.conf(**{key: True if key == "antiSpoofing" else "s"})
    plugin.executable = hidden
    failed = plugin.status(conf)
    assert failed.code == 50
    assert "ovs-ofctl is not on this node" in failed.words
    failed = plugin.add(conf, "c1", netns.path)
    assert failed.returncode
    assert "ovs-ofctl is not on this node" in failed.words
    assert not switch.ports()
    assert not plugin.files()
    plugin.status(plugin.conf()).succeeded()
    plugin.add(plugin.conf(), "c1", netns.path).succeeded()


def test_del_removes_the_port_owes_the_flows_and_a_repeat_with_the_program_finishes(
    attach: Attach, plugin: Plugin, switch: Switch, hidden: str
) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    installed, plugin.executable = plugin.executable, hidden
    failed = b.delete()
    assert failed.code == 11
    assert "ovs-ofctl is not on this node" in failed.words
    assert switch.ports() == {a.port}
    plugin.executable = installed
    b.delete().succeeded()
    assert fate(switch, a.port, FRAME) == "drop"
    a.check().succeeded()
    a.delete().succeeded()
    assert not flows.ours(switch)
