"""Packets between two containers through the ports that the plugin made.

The real switch, the real application (testpmd) in two network namespaces.
100,000 packets received say that both rings, the memory and the path work.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.need import need
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeNetns, MakePlugin
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

PACKETS = 100_000
SECONDS = 60.0
CLIENT = "dpdkvhostuserclient"  # OVS is the socket's client, the application its server
SERVER = "dpdkvhostuser"


class Pair:
    """Two containers on one bridge, attached by the plugin, each with testpmd on its socket."""

    def __init__(self, plugin: Plugin, switch: Switch, netns: list[Netns], kind: str) -> None:
        """Attach both; the applications start with `start`."""
        self.plugin = plugin
        self.switch = switch
        self.kind = kind
        self.netns = netns
        self.conf = plugin.conf(interface_type=kind)
        switch.add_bridge("br0")
        self.results = [plugin.add(self.conf, f"c{n}", ns.path).succeeded() for n, ns in enumerate(netns)]
        self.sender: Testpmd
        self.receiver: Testpmd

    def start(self, apps: ExitStack) -> None:
        """Start the receiver, then the sender."""
        self.receiver = apps.enter_context(self._testpmd(1, "rxonly"))
        self.sender = apps.enter_context(self._testpmd(0, "txonly"))

    def check(self, which: int) -> Any:  # noqa: ANN401  an Outcome
        """CHECK one of them."""
        conf = {**self.conf, "prevResult": self.results[which]}
        return self.plugin.check(conf, f"c{which}", self.netns[which].path)

    def detach(self) -> None:
        """DEL both."""
        for number, netns in enumerate(self.netns):
            self.plugin.delete(self.conf, f"c{number}", netns.path).succeeded()

    def interface(self, which: int) -> dict[str, Any]:
        """Return the sandboxed interface of a result."""
        found: dict[str, Any] = next(i for i in self.results[which]["interfaces"] if i.get("sandbox"))
        return found

    def _testpmd(self, which: int, mode: str) -> Testpmd:
        mine, other = self.interface(which), self.interface(1 - which)
        socket = Vhost(path=mine["socketPath"], server=self.kind == CLIENT, mac=mine["mac"])
        log = os.path.join(self.plugin.directory, f"testpmd-{mode}.log")
        return Testpmd([socket], mode, log, peer=other["mac"], netns=self.netns[which])


@pytest.fixture
def apps() -> Iterator[ExitStack]:
    """Give the place where applications are ended."""
    need("dpdk-testpmd", "stdbuf")
    with ExitStack() as stack:
        yield stack


def test_packets_pass_two_client_ports(
    plugin: Plugin, switch: Switch, make_netns: MakeNetns, apps: ExitStack
) -> None:
    pair = Pair(plugin, switch, [make_netns(), make_netns()], CLIENT)
    pair.start(apps)

    assert pair.receiver.await_received(PACKETS, SECONDS) >= PACKETS

    for which in (0, 1):
        pair.check(which).succeeded()
    sent_to_receiver = [switch.counters(port).sent for port in switch.ports("br0")]
    assert max(count or 0 for count in sent_to_receiver) >= PACKETS
    apps.close()
    pair.detach()
    assert switch.ports() == set()
    assert plugin.files() == []


def test_packets_pass_two_server_ports(
    plugin: Plugin, switch: Switch, make_netns: MakeNetns, apps: ExitStack
) -> None:
    pair = Pair(plugin, switch, [make_netns(), make_netns()], SERVER)
    pair.start(apps)

    assert pair.receiver.await_received(PACKETS, SECONDS) >= PACKETS

    for which in (0, 1):
        pair.check(which).succeeded()
    apps.close()
    pair.detach()
    assert switch.ports() == set()
    assert plugin.files() == []


def test_client_ports_carry_packets_again_after_a_crash_of_vswitchd(
    fresh_switch: Switch, make_plugin: MakePlugin, make_netns: MakeNetns, apps: ExitStack
) -> None:
    pair = Pair(make_plugin(fresh_switch), fresh_switch, [make_netns(), make_netns()], CLIENT)
    pair.start(apps)
    pair.receiver.await_received(PACKETS, SECONDS)

    fresh_switch.kill_vswitchd()
    before = pair.receiver.stats().received
    fresh_switch.restart_vswitchd()

    assert pair.receiver.await_received(before + PACKETS, SECONDS) >= before + PACKETS
    for which in (0, 1):
        pair.check(which).succeeded()


def test_check_says_that_a_server_socket_is_dead_after_a_crash_of_vswitchd(
    fresh_switch: Switch, make_plugin: MakePlugin, make_netns: MakeNetns
) -> None:
    pair = Pair(make_plugin(fresh_switch), fresh_switch, [make_netns(), make_netns()], SERVER)
    pair.check(0).succeeded()

    fresh_switch.kill_vswitchd()
    fresh_switch.restart_vswitchd()

    outcome = pair.check(0)
    assert outcome.returncode
    assert pair.interface(0)["socketPath"] in outcome.words
    assert "is dead" in outcome.words
    pair.detach()
    assert fresh_switch.ports() == set()
