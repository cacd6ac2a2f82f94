"""cnitool, the CNI project's own runtime, on the real plugin and the real switch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import gotools
from tests.support.cnitool import Cnitool, CnitoolError, container_id

if TYPE_CHECKING:
    from tests.conftest import MakeNetns
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
MAC = "02:00:00:00:00:77"


@pytest.fixture
def cnitool(plugin: Plugin, switch: Switch) -> Cnitool:
    """Give cnitool with a network directory and a cache of its own, and a bridge br0."""
    gotools.needed()
    switch.add_bridge("br0")
    return Cnitool(os.path.join(plugin.directory, "cnitool"), plugin.cni_path, plugin.env)


def network(plugin: Plugin, *chained: dict[str, Any], version: str = "1.1.0", **keys: Any) -> dict[str, Any]:  # noqa: ANN401  keys of a netconf
    """Return a list with the plugin first."""
    ours = plugin.conf(cniVersion=None, name=None, **keys)
    return {"cniVersion": version, "name": "fast", "plugins": [ours, *chained]}


def host_local(plugin: Plugin, *subnets: str) -> dict[str, Any]:
    """Return an IPAM configuration whose leases are in the plugin's directory."""
    ranges = [[{"subnet": subnet}] for subnet in subnets]
    return {"type": "host-local", "dataDir": os.path.join(plugin.directory, "ipam"), "ranges": ranges}


def leases(plugin: Plugin) -> list[str]:
    """Return the addresses that host-local holds for the network."""
    names = os.listdir(os.path.join(plugin.directory, "ipam", "fast"))
    return sorted(name for name in names if name != "lock" and not name.startswith("last_reserved"))


def sandboxed(result: dict[str, Any]) -> dict[str, Any]:
    """Return the one interface that is in the container."""
    (interface,) = [i for i in result["interfaces"] if i.get("sandbox")]
    found: dict[str, Any] = interface
    return found


def nothing_is_left(plugin: Plugin, switch: Switch, cnitool: Cnitool) -> None:
    """Hold that neither switch, directories, records nor libcni's cache know anything any more."""
    assert switch.ports() == set()
    assert plugin.files() == []
    assert os.listdir(plugin.shared) == []
    assert cnitool.cached() == []


def test_one_attachment_from_add_to_del(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    cnitool.define(network(plugin, ipam=host_local(plugin, "10.1.0.0/24")))

    cnitool.status("fast")
    result = cnitool.add("fast", netns.path)

    (port,) = switch.ports("br0")
    directory = os.path.join(plugin.shared, container_id(netns.path))
    interface = sandboxed(result)
    assert result["cniVersion"] == "1.1.0"
    assert [i["name"] for i in result["interfaces"]] == [port, "eth0"]
    assert interface["sandbox"] == netns.path
    assert interface["socketPath"] == os.path.join(directory, "eth0")
    assert result["ips"] == [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 1}]
    assert leases(plugin) == ["10.1.0.2"]
    cnitool.check("fast", netns.path)

    cnitool.delete("fast", netns.path)
    cnitool.delete("fast", netns.path)

    nothing_is_left(plugin, switch, cnitool)
    assert leases(plugin) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_libcni_takes_the_result_of_every_version(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns, version: str
) -> None:
    cnitool.define(network(plugin, version=version, ipam=host_local(plugin, "10.1.0.0/24")))

    result = cnitool.add("fast", netns.path)

    assert result["cniVersion"] == version
    if version < "0.3.0":
        assert result["ip4"]["ip"] == "10.1.0.2/24"
    else:
        assert result["ips"][0]["address"] == "10.1.0.2/24"
        assert sandboxed(result)["name"] == "eth0"
        assert ("socketPath" in sandboxed(result)) == (version == "1.1.0")
    cnitool.delete("fast", netns.path)
    nothing_is_left(plugin, switch, cnitool)


def test_a_single_plugin_configuration_is_taken_too(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    cnitool.define(plugin.conf())

    assert sandboxed(cnitool.add("fast", netns.path))["name"] == "eth0"

    cnitool.delete("fast", netns.path)
    nothing_is_left(plugin, switch, cnitool)


def test_libcni_picks_the_newest_of_several_versions(cnitool: Cnitool, plugin: Plugin, netns: Netns) -> None:
    offered = {"cniVersions": ["0.4.0", "1.0.0", "1.1.0"]}
    cnitool.define({**network(plugin, version="1.0.0"), **offered})

    assert cnitool.add("fast", netns.path)["cniVersion"] == "1.1.0"

    cnitool.delete("fast", netns.path)


def test_a_version_of_the_future_is_refused_by_name(cnitool: Cnitool, plugin: Plugin, netns: Netns) -> None:
    cnitool.define(network(plugin, version="2.0.0"))

    with pytest.raises(CnitoolError, match=r"2\.0\.0"):
        cnitool.add("fast", netns.path)


def test_cap_args_choose_mac_and_addresses(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    ipam = host_local(plugin, "10.1.0.0/24", "fd00:1::/64")
    cnitool.define(network(plugin, ipam=ipam, capabilities={"mac": True, "ips": True}))
    asked = {"mac": MAC, "ips": ["10.1.0.50/24", "fd00:1::50/64"]}

    result = cnitool.add("fast", netns.path, capabilities=asked)

    (port,) = switch.ports("br0")
    assert sandboxed(result)["mac"] == MAC
    assert switch.row("Interface", port)["external_ids"]["attached-mac"] == MAC
    assert [ip["address"] for ip in result["ips"]] == asked["ips"]
    cnitool.check("fast", netns.path, capabilities=asked)
    cnitool.delete("fast", netns.path, capabilities=asked)
    assert leases(plugin) == []


def test_cni_args_choose_the_mac(cnitool: Cnitool, plugin: Plugin, netns: Netns) -> None:
    cnitool.define(network(plugin))

    result = cnitool.add("fast", netns.path, args=f"IgnoreUnknown=true;MAC={MAC}")

    assert sandboxed(result)["mac"] == MAC
    cnitool.delete("fast", netns.path)


def test_one_container_has_several_interfaces_of_one_network(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    cnitool.define(network(plugin))
    for ifname in ("net1", "net10"):
        cnitool.add("fast", netns.path, ifname=ifname)

    cnitool.delete("fast", netns.path, ifname="net1")

    assert len(switch.ports("br0")) == 1
    cnitool.check("fast", netns.path, ifname="net10")
    cnitool.delete("fast", netns.path, ifname="net10")
    nothing_is_left(plugin, switch, cnitool)


def test_the_next_plugin_of_a_chain_gets_our_result(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    cnitool.define(network(plugin, {"type": "portmap"}, ipam=host_local(plugin, "10.1.0.0/24")))

    result = cnitool.add("fast", netns.path)  # portmap without port mappings prints its prevResult

    assert sandboxed(result)["socketPath"].endswith("/eth0")
    cnitool.check("fast", netns.path)
    cnitool.delete("fast", netns.path)
    nothing_is_left(plugin, switch, cnitool)


def test_the_result_of_the_plugin_before_us_is_passed_on(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    ours = network(plugin)
    cnitool.define({**ours, "plugins": [{"type": "loopback"}, *ours["plugins"]]})

    result = cnitool.add("fast", netns.path)

    assert [i["name"] for i in result["interfaces"]] == ["lo", *switch.ports("br0"), "eth0"]
    assert {ip["address"] for ip in result["ips"]} == {"127.0.0.1/8", "::1/128"}
    cnitool.check("fast", netns.path)
    cnitool.delete("fast", netns.path)
    nothing_is_left(plugin, switch, cnitool)


def test_check_says_that_the_port_is_gone(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    cnitool.define(network(plugin))
    cnitool.add("fast", netns.path)
    (port,) = switch.ports("br0")
    switch.vsctl("del-port", port)

    with pytest.raises(CnitoolError, match=port):
        cnitool.check("fast", netns.path)

    cnitool.delete("fast", netns.path)
    nothing_is_left(plugin, switch, cnitool)


def test_status_says_that_the_bridge_is_missing(cnitool: Cnitool, plugin: Plugin) -> None:
    cnitool.define(network(plugin, bridge="br-not-there"))

    with pytest.raises(CnitoolError, match="br-not-there"):
        cnitool.status("fast")


def test_an_add_that_finds_no_address_leaves_nothing(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    cnitool.define(network(plugin, ipam=host_local(plugin, "10.1.0.0/30")))  # room for one
    first, second = make_netns(), make_netns()
    cnitool.add("fast", first.path)
    ports, files = switch.ports(), plugin.files()

    with pytest.raises(CnitoolError, match="no IP addresses available"):
        cnitool.add("fast", second.path)

    assert switch.ports() == ports
    assert plugin.files() == files
    assert leases(plugin) == ["10.1.0.2"]
    cnitool.delete("fast", second.path)  # as a runtime does after a failed ADD
    cnitool.delete("fast", first.path)
    nothing_is_left(plugin, switch, cnitool)


def test_gc_deletes_the_networks_attachments_and_no_others(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    cnitool.define(network(plugin))
    cnitool.define({**network(plugin), "name": "other"})
    mine, foreign = make_netns(), make_netns()
    cnitool.add("fast", mine.path)
    cnitool.add("other", foreign.path)

    # cnitool sends DEL for all that it knows, then a GC without the list of valid attachments.
    with pytest.raises(CnitoolError, match="valid-attachments"):
        cnitool.gc("fast")

    assert len(switch.ports("br0")) == 1
    assert cnitool.cached() == [f"other-{container_id(foreign.path)}-eth0"]
    cnitool.check("other", foreign.path)
    cnitool.delete("other", foreign.path)
    nothing_is_left(plugin, switch, cnitool)


def test_gc_of_a_version_that_has_none_is_only_dels(
    cnitool: Cnitool, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    cnitool.define(network(plugin, version="1.0.0"))
    cnitool.add("fast", netns.path)

    cnitool.gc("fast")

    nothing_is_left(plugin, switch, cnitool)
