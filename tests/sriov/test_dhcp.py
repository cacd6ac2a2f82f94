"""IPAM dhcp with the reference daemon: the lease is got, and given up, through the VF itself.

The server is on the second PF, to which a wire leads from the first.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import dhcp
from tests.support.dhcp import ACK, DISCOVER, OFFER, RELEASE, REQUEST
from tests.support.guest.nic import addresses, await_carrier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest.nic import Pf, Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

MAC = "02:00:00:00:00:07"
ROUTER, LEASED = "10.7.0.1", "10.7.0.20"


@pytest.fixture
def server(plugin: Plugin, other_pf: Pf) -> Iterator[dhcp.Server]:
    """Give a DHCP server on the second PF, which is up."""
    name = other_pf.netdev
    subprocess.run(["ip", "address", "add", f"{ROUTER}/24", "dev", name], check=True)
    other_pf.up()
    with dhcp.Server(plugin.directory, name, MAC, LEASED, ROUTER) as server:
        yield server
    subprocess.run(["ip", "address", "flush", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "down"], check=True)


@pytest.fixture
def daemon(plugin: Plugin) -> Iterator[dhcp.Daemon]:
    """Give the reference plugins' daemon."""
    with dhcp.Daemon(plugin.directory) as daemon:
        yield daemon


def test_the_lease_is_the_vfs_and_is_released_while_the_vf_stands(  # noqa: PLR0913, PLR0917  all of them rigs
    plugin: Plugin, pf: Pf, vf: Vf, netns: Netns, server: dhcp.Server, daemon: dhcp.Daemon
) -> None:
    await_carrier(pf.netdev)
    ipam = {"type": "dhcp", "daemonSocketPath": daemon.socket}
    conf = plugin.conf(bridge=None, deviceID=vf.address, mac=MAC, ipam=ipam)

    result = plugin.add(conf, "one", netns.path).succeeded()

    got = server.messages(last=ACK)
    assert [message.kind for message in got][-4:] == [DISCOVER, OFFER, REQUEST, ACK]
    assert {message.mac for message in got} == {MAC}
    assert got[-1].given == LEASED
    assert [(ip["address"], ip["gateway"]) for ip in result["ips"]] == [(f"{LEASED}/24", ROUTER)]
    assert addresses("net1", netns.name) == [f"{LEASED}/24"]
    assert f"default via {ROUTER} dev net1" in netns.run("ip", "route")
    assert plugin.check({**conf, "prevResult": result}, "one", netns.path).returncode == 0

    plugin.delete(conf, "one", netns.path).succeeded()

    (released,) = (m for m in server.messages(last=RELEASE) if m.kind == RELEASE)
    assert (released.mac, released.client) == (MAC, LEASED)
    assert netns.links() == []
