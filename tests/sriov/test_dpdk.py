"""A VF for a process, through the plugin: bound at ADD, told, checked, and given back to its own driver."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.support.remains import device_info_file, host_local

if TYPE_CHECKING:
    from tests.support.guest.nic import Pf, Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

MAC = "02:00:00:00:00:07"


def conf(plugin: Plugin, vf: Vf, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
    return plugin.conf(bridge=None, deviceID=vf.address, dpdk=True, **keys)


def test_a_vf_is_bound_set_up_through_its_pf_and_told(plugin: Plugin, pf: Pf, vf: Vf, netns: Netns) -> None:
    file = device_info_file(plugin)
    os.makedirs(os.path.dirname(file))
    with open(file, "w", encoding="ascii") as theirs:
        json.dump(
            {"type": "pci", "version": "1.1.0", "pci": {"pci-address": vf.address, "rack": "7"}}, theirs
        )
    runtime = {"CNIDeviceInfoFile": file}
    asked = conf(
        plugin, vf, vlan=7, trust="on", mac=MAC, mtu=9000, ipam=host_local(plugin), runtimeConfig=runtime
    )
    result = plugin.add(asked, "one", netns.path).succeeded()
    assert vf.driver == "vfio-pci"
    told = vf.settings()
    assert (told["vlan_list"], told["trust"], told["address"]) == ([{"vlan": 7}], True, MAC)
    (interface,) = result["interfaces"]
    assert (interface["mac"], interface["mtu"], interface["pciID"]) == (MAC, 9000, vf.address)
    assert [ip["interface"] for ip in result["ips"]] == [0, 0]
    assert netns.links() == []
    with open(file, encoding="utf-8") as ours:
        info = json.load(ours)["pci"]
    assert {"pci-address": vf.address, "pf-pci-address": pf.address, "rack": "7"}.items() <= info.items()
    assert ("vhost-net" in info) == os.path.exists("/dev/vhost-net")
    assert plugin.check({**asked, "prevResult": result}, "one", netns.path).returncode == 0
    plugin.delete(asked, "one", netns.path).succeeded()
    assert vf.driver == "igbvf"
    with open(file, encoding="utf-8") as theirs:
        assert "pf-pci-address" not in json.load(theirs)["pci"]
    os.unlink(file)


def test_an_add_that_fails_after_the_binding_gives_the_vf_back(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    outcome = plugin.add(conf(plugin, vf, vlan=7, ipam={"type": "nowhere"}), "one", netns.path)
    assert outcome.code == 7
    assert "nowhere is not installed" in outcome.words
    assert vf.driver == "igbvf"
    assert vf.settings()["vlan_list"] == [{}]


def test_dhcp_is_refused_where_there_is_no_interface(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    vf.rebind("vfio-pci")
    asked = plugin.conf(bridge=None, deviceID=vf.address, ipam={"type": "dhcp"})
    outcome = plugin.add(asked, "one", netns.path)
    assert outcome.code == 2
    assert "dhcp needs a network interface" in outcome.words
    vf.rebind("")
