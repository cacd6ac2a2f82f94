"""A whole PF in a container, and home again as it was.

The second PF serves: it has no VFs, and a wire leads from it to the first.
"""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.guest.nic import addresses, link, links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest.nic import Pf
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

SECONDS = 30.0


def conf(plugin: Plugin, pf: Pf, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
    return plugin.conf(bridge=None, master=pf.netdev, pfOnly=True, **keys)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def furnished(other_pf: Pf) -> Iterator[Pf]:
    """Give a PF with everything that a device can have at home."""
    name = other_pf.netdev
    mac = other_pf.link["address"]
    ip("link", "property", "add", "dev", name, "altname", "uplink0")
    ip("link", "set", name, "address", "02:00:00:00:99:01", "mtu", "1600", "up")
    ip("address", "add", "198.51.100.7/24", "dev", name)
    ip("address", "add", "2001:db8::7/64", "dev", name, "nodad")
    yield other_pf
    ip("address", "flush", "dev", name)
    ip("link", "set", name, "down")
    ip("link", "set", name, "address", mac, "mtu", "1500")
    ip("link", "property", "del", "dev", name, "altname", "uplink0")


def shown(pf: Pf) -> tuple[Any, ...]:
    told = pf.link
    return (
        *(told["ifname"], told["address"], told["mtu"], told.get("altnames"), "UP" in told["flags"]),
        sorted(addresses(pf.netdev)),
    )


def test_the_pf_goes_in_with_its_own_mac_and_comes_home_whole(
    plugin: Plugin, furnished: Pf, netns: Netns
) -> None:
    before = shown(furnished)
    ipam = {"type": "static", "addresses": [{"address": "192.168.123.2/24", "gateway": "192.168.123.1"}]}
    asked = conf(plugin, furnished, ipam={**ipam, "routes": [{"dst": "0.0.0.0/0"}]})
    netns.run("ip", "link", "add", "eth0", "type", "dummy")
    netns.run("ip", "link", "set", "eth0", "up")
    netns.run("ip", "route", "add", "default", "dev", "eth0")
    result = plugin.add(asked, "one", netns.path, ifname="net0").succeeded()
    (interface,) = result["interfaces"]
    assert (interface["name"], interface["mac"]) == ("net0", "02:00:00:00:99:01")
    assert interface["pciID"] == furnished.address
    assert addresses("net0", netns.name) == ["192.168.123.2/24"]
    routes = netns.run("ip", "route", "show", "default")
    assert "default dev eth0" in routes
    assert "default via 192.168.123.1 dev net0" in routes
    assert furnished.netdev == ""
    assert plugin.check({**asked, "prevResult": result}, "one", netns.path, ifname="net0").returncode == 0
    plugin.delete(asked, "one", netns.path, ifname="net0").succeeded()
    assert shown(furnished) == before


def test_a_pf_whose_container_died_first_comes_home_whole(
    plugin: Plugin, furnished: Pf, netns: Netns
) -> None:
    before = shown(furnished)
    asked = conf(plugin, furnished)
    plugin.add(asked, "one", netns.path, ifname="net0").succeeded()
    netns.close()
    await_at_home("net0")
    plugin.delete(asked, "one", netns.path, ifname="net0").succeeded()
    assert shown(furnished) == before


def await_at_home(name: str) -> None:
    """Wait until the kernel has brought a device out of its dead namespace, under the name from there."""
    end = time.monotonic() + SECONDS
    while name not in [one["ifname"] for one in links()]:
        assert time.monotonic() < end, links()
        time.sleep(0.05)


def test_a_pf_is_named_by_its_pci_address_too_and_answered_in_the_old_form(
    plugin: Plugin, other_pf: Pf, netns: Netns
) -> None:
    asked = {
        "type": "userspace",
        "master": other_pf.address,
        "pfOnly": True,
        "ipam": {
            "type": "host-local",
            "dataDir": f"{plugin.directory}/ipam",
            "subnet": "192.168.123.0/24",
            "rangeStart": "192.168.123.2",
            "rangeEnd": "192.168.123.4",
            "routes": [{"dst": "0.0.0.0/0"}],
            "gateway": "192.168.123.1",
        },
    }
    result = plugin.add(asked, "one", netns.path, ifname="net0").succeeded()
    assert "interfaces" not in result
    assert result["ip4"]["ip"] == "192.168.123.2/24"
    assert result["ip4"]["gateway"] == "192.168.123.1"
    assert addresses("net0", netns.name) == ["192.168.123.2/24"]
    plugin.delete(asked, "one", netns.path, ifname="net0").succeeded()


def test_a_pf_that_the_node_needs_is_refused_and_not_touched(
    plugin: Plugin, other_pf: Pf, pf: Pf, netns: Netns
) -> None:
    name = other_pf.netdev
    asked = conf(plugin, other_pf)

    def words() -> str:
        outcome = plugin.add(asked, "one", netns.path)
        assert outcome.code == 103, outcome
        return outcome.words

    ip("link", "set", name, "up")
    ip("address", "add", "198.51.100.7/24", "dev", name)
    ip("route", "add", "default", "via", "198.51.100.1")
    assert "default route" in words()
    ip("route", "del", "default")
    with socket.create_server(("198.51.100.7", 0)):
        assert "programs of the node use an address" in words()
    ip("link", "add", "bond7", "type", "bridge")
    ip("link", "set", name, "master", "bond7")
    assert "is a port of bond7" in words()
    ip("link", "del", "bond7")
    ip("link", "add", "link", name, "name", "tag5", "type", "vlan", "id", "5")
    assert "carries tag5" in words()
    ip("link", "del", "tag5")
    assert "has VFs" in plugin.add(conf(plugin, pf), "one", netns.path).words
    ip("address", "flush", "dev", name)
    ip("link", "set", name, "down")
    assert link(name)["ifname"] == name


def test_a_pf_refuses_a_mac_and_a_vlan_before_anything_is_touched(
    plugin: Plugin, other_pf: Pf, netns: Netns
) -> None:
    outcome = plugin.add(conf(plugin, other_pf, mac="02:00:00:00:00:01", vlan=5), "one", netns.path)
    assert outcome.code == 7
    assert "the PF keeps its own MAC" in outcome.words
    assert outcome.words.count("pfOnly") == 2
