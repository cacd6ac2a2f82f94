"""The examples of VLAN modes, rates, flows and wiring: each is attached, checked and taken away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import flows
from tests.support.flows import fate, number
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

SINGLE = ("anti-spoofing", "controller", "native-vlan", "ovn", "qinq", "rates")
CHAIN = ("vnf-chain-1-in", "vnf-chain-2-between", "vnf-chain-3-out")
PHYSICAL = ("dpdk0", "dpdk1")
FRAME = "dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0800"


def example(name: str, plugin: Plugin) -> dict[str, Any]:
    """Return an example; only where IPAM keeps its notes is another place."""
    conf: dict[str, Any] = json.loads((ROOT / "netconf-examples" / f"{name}.json").read_text())
    if "ipam" in conf:
        conf["ipam"]["dataDir"] = f"{plugin.directory}/ipam"
    return conf


@pytest.fixture
def prepared(switch: Switch) -> Iterator[Switch]:
    """Give a switch that has what the examples name, and sees two VLAN tags."""
    for bridge in ("br0", "br-int", "br-chain"):
        switch.add_bridge(bridge)
    for port in PHYSICAL:
        switch.add_port("br-chain", port, path=f"{switch.directory}/{port}")
    switch.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
    yield switch
    switch.vsctl("--no-wait", "remove", "Open_vSwitch", ".", "other_config", "vlan-limit")


@pytest.mark.parametrize("name", SINGLE)
def test_an_example_is_attached_checked_and_taken_away(
    plugin: Plugin, prepared: Switch, netns: Netns, name: str
) -> None:
    conf = example(name, plugin)
    result = plugin.add(conf, "c1", netns.path).succeeded()
    plugin.check({**conf, "prevResult": result}, "c1", netns.path).succeeded()
    plugin.delete(conf, "c1", netns.path).succeeded()
    assert prepared.ports() == set(PHYSICAL)
    assert not prepared.rows("QoS")
    assert not flows.ours(prepared, conf["bridge"])


def test_the_chain_of_the_examples_passes_both_functions_in_order(
    plugin: Plugin, prepared: Switch, netns: Netns
) -> None:
    first_in, between, last_out = (example(name, plugin) for name in CHAIN)
    ports = []
    plan = [
        ("vnf1", "in", first_in),
        ("vnf1", "out", between),
        ("vnf2", "in", between),
        ("vnf2", "out", last_out),
    ]
    for container, ifname, conf in plan:
        result = plugin.add(conf, container, netns.path, ifname=f"{container}{ifname}").succeeded()
        ports.append(result["interfaces"][0]["name"])
    hops = [("dpdk0", ports[0]), (ports[1], ports[2]), (ports[3], "dpdk1")]
    for here, there in hops:
        assert fate(prepared, here, FRAME, "br-chain") == number(prepared, there)
        assert fate(prepared, there, FRAME, "br-chain") == number(prepared, here)
    for container, ifname, conf in plan:
        plugin.delete(conf, container, netns.path, ifname=f"{container}{ifname}").succeeded()
    assert not flows.ours(prepared, "br-chain")
    assert prepared.ports() == set(PHYSICAL)
