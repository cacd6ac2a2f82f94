"""STATUS: whether an ADD could work now, and why not (code 50)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.remains import host_local

if TYPE_CHECKING:
    from tests.conftest import MakePlugin
    from tests.support.netns import Netns
    from tests.support.node import Node
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime


def test_status_is_silent_where_an_add_works(node: Node) -> None:
    ready = node.plugin.status(node.plugin.conf())
    assert (ready.returncode, ready.stdout, ready.stderr) == (0, "", "")


def test_status_of_a_bridge_that_add_would_make_is_ready(node: Node) -> None:
    node.plugin.status(node.plugin.conf(bridge="auto", createBridge=True)).succeeded()
    assert "auto" not in node.switch.bridges()


def test_status_without_a_database_is_50(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(socket_file="/nowhere/db.sock")
    failed = plugin.status(plugin.conf())
    assert failed.code == 50
    assert "/nowhere/db.sock" in failed.words


def test_status_of_a_switch_whose_dpdk_is_not_initialised_is_50(
    plain_switch: Switch, make_plugin: MakePlugin
) -> None:
    plain_switch.add_bridge("br0")
    plugin = make_plugin(plain_switch)
    failed = plugin.status(plugin.conf())
    assert failed.code == 50
    assert "dpdk-init" in failed.words


def test_add_on_such_a_switch_fails_with_the_same_words_and_leaves_nothing(
    plain_switch: Switch, make_plugin: MakePlugin, netns: Netns
) -> None:
    plain_switch.add_bridge("br0")
    plugin = make_plugin(plain_switch)
    failed = plugin.add(plugin.conf(), "c1", netns.path)
    assert "dpdk-init" in failed.words
    assert plugin.files() == []
    assert plain_switch.ports() == set()


def test_status_of_a_missing_bridge_is_50(node: Node) -> None:
    failed = node.plugin.status(node.plugin.conf(bridge="missing"))
    assert failed.code == 50
    assert "missing" in failed.words


def test_status_of_a_bridge_with_the_kernels_datapath_is_50(node: Node) -> None:
    node.switch.vsctl(
        "--no-wait", "add-br", "kernel", "--", "set", "bridge", "kernel", "datapath_type=system"
    )
    failed = node.plugin.status(node.plugin.conf(bridge="kernel"))
    assert failed.code == 50
    assert "datapath_type=netdev" in failed.words


def test_status_asks_the_ipam_plugin(node: Node, reference_plugins: str) -> None:
    assert reference_plugins
    ready: dict[str, Any] = node.plugin.conf(ipam=host_local(node.plugin))
    node.plugin.status(ready).succeeded()
    failed = node.plugin.status(node.plugin.conf(ipam={"type": "nobody"}))
    assert failed.code == 50
    assert "nobody" in failed.words


def test_status_reports_a_mistake_in_the_configuration(node: Node) -> None:
    failed = node.plugin.status(node.plugin.conf(vlan=5000))
    assert failed.code == 7
    assert "$.vlan" in failed.words
