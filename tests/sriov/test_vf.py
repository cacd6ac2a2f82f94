"""A VF in a container: chosen, set up, addressed, checked, and given back.

What the PF has set is read by ip(8), never by the plugin's own code. Each call
takes a second or two in the emulated guest, so one ADD proves several things.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.guest.nic import addresses, await_carrier, link
from tests.support.remains import device_info_file, host_local

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.guest.nic import Pf, Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

    MakeNetns = Callable[[], Netns]

MAC = "02:00:00:00:00:07"


def static(*given: str, **more: object) -> dict[str, Any]:
    return {"type": "static", "addresses": [{"address": address} for address in given], **more}


def conf(plugin: Plugin, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
    return plugin.conf(bridge=None, **keys)


def pings(netns: Netns, address: str) -> bool:
    command = netns.command(["busybox", "ping", "-c", "2", "-W", "3", address])
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_everything_that_the_card_can_is_set_and_comes_back(
    plugin: Plugin, pf: Pf, vf: Vf, netns: Netns
) -> None:
    wanted = conf(
        plugin,
        master=pf.netdev,
        vf=vf.index,
        vlan=100,
        vlanQoS=3,
        vlanProto="802.1Q",
        mac=MAC,
        mtu=1400,
        max_tx_rate=100,
        spoofchk="off",
        trust="on",
        link_state="auto",
        ipam=static("10.9.0.5/24", "fd00:9::5/64", routes=[{"dst": "10.8.0.0/16", "gw": "10.9.0.1"}]),
        runtimeConfig={"CNIDeviceInfoFile": device_info_file(plugin)},
    )
    result = plugin.add(wanted, "one", netns.path).succeeded()
    (interface,) = result["interfaces"]
    assert interface == {
        "name": "net1",
        "mac": MAC,
        "mtu": 1400,
        "sandbox": netns.path,
        "pciID": vf.address,
    }
    assert [ip["interface"] for ip in result["ips"]] == [0, 0]
    told = vf.settings()
    assert told["vlan_list"] == [{"vlan": 100, "qos": 3}]
    assert told["address"] == MAC
    assert told["rate"] == {"max_tx": 100, "min_tx": 0}
    assert (told["spoofchk"], told["trust"]) == (False, True)
    inside = link("net1", netns.name)
    assert (inside["address"], inside["mtu"]) == (MAC, 1400)
    assert "UP" in inside["flags"]
    assert addresses("net1", netns.name) == ["10.9.0.5/24", "fd00:9::5/64"]
    assert "tentative" not in netns.run("ip", "-6", "address", "show", "dev", "net1", "scope", "global")
    assert "via 10.9.0.1 dev net1" in netns.run("ip", "route", "show", "10.8.0.0/16")
    assert '"pci-address":"' + vf.address in read(device_info_file(plugin)).replace(" ", "")
    assert '"pf-pci-address":"' + pf.address in read(device_info_file(plugin)).replace(" ", "")
    assert plugin.check({**wanted, "prevResult": result}, "one", netns.path).returncode == 0
    plugin.delete(wanted, "one", netns.path).succeeded()
    assert netns.links() == []


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_check_compares_each_thing_that_was_asked_for_with_the_device(
    plugin: Plugin, pf: Pf, vf: Vf, netns: Netns
) -> None:
    wanted = conf(plugin, deviceID=vf.address, vlan=7, trust="on", mtu=1400, ipam=static("10.9.0.5/24"))
    result = plugin.add(wanted, "one", netns.path).succeeded()
    subprocess.run(
        ["ip", "link", "set", pf.netdev, "vf", str(vf.index), "vlan", "8", "trust", "off"], check=True
    )
    netns.run("ip", "address", "flush", "dev", "net1")
    netns.run("ip", "link", "set", "net1", "mtu", "1300", "down")
    outcome = plugin.check({**wanted, "prevResult": result}, "one", netns.path)
    assert outcome.code == 104
    for fault in ("vlan is 8 0 802.1q", "trust is off", "MTU 1300", "no address 10.9.0.5/24", "is down"):
        assert fault in outcome.words
    plugin.delete(wanted, "one", netns.path).succeeded()


def test_two_vfs_reach_each_other_on_one_vlan_and_not_on_two(
    plugin: Plugin, pf: Pf, make_netns: MakeNetns
) -> None:
    left, right = make_netns(), make_netns()
    asked = conf(plugin, master=pf.address, vlan=100, ipam=host_local(plugin))
    first = plugin.add(asked, "left", left.path).succeeded()
    plugin.add(asked, "right", right.path).succeeded()
    address = first["ips"][0]["address"].partition("/")[0]
    await_carrier("net1", right.name)
    assert pings(right, address)
    plugin.delete(asked, "right", right.path).succeeded()
    elsewhere = {**asked, "vlan": 101}
    plugin.add(elsewhere, "right", right.path).succeeded()
    await_carrier("net1", right.name)
    assert not pings(right, address)
    plugin.delete(elsewhere, "right", right.path).succeeded()
    plugin.delete(asked, "left", left.path).succeeded()


@pytest.mark.parametrize(
    ("asked", "code"),
    [({"link_state": "enable"}, 2), ({"vlanProto": "802.1ad"}, 2), ({"min_tx_rate": 10}, 103)],
)
def test_an_operation_that_the_driver_lacks_is_told_and_the_vf_is_as_before(
    plugin: Plugin, vf: Vf, netns: Netns, asked: dict[str, object], code: int
) -> None:
    outcome = plugin.add(conf(plugin, deviceID=vf.address, vlan=9, **asked), "one", netns.path)
    assert outcome.code == code, outcome.words
    assert "the driver of enp1s0" in outcome.words
    assert netns.links() == []
    told = vf.settings()
    assert told["vlan_list"] == [{}]


def test_a_vf_that_a_container_has_is_refused_to_another(
    plugin: Plugin, vf: Vf, make_netns: MakeNetns
) -> None:
    one, other = make_netns(), make_netns()
    asked = conf(plugin, deviceID=vf.address)
    plugin.add(asked, "one", one.path).succeeded()
    outcome = plugin.add(asked, "other", other.path)
    assert outcome.code == 103
    assert f"{vf.address} belongs to one (net1 of fast)" in outcome.words
    plugin.delete(asked, "other", other.path).succeeded()
    assert one.links() == ["net1"]
    plugin.delete(asked, "one", one.path).succeeded()


def test_a_vf_whose_container_died_is_the_next_ones_and_a_late_del_does_not_touch_it(
    plugin: Plugin, vf: Vf, make_netns: MakeNetns
) -> None:
    one, other = make_netns(), make_netns()
    mac, name = vf.link["address"], vf.netdev
    asked = conf(plugin, deviceID=vf.address, mac=MAC)
    plugin.add(asked, "one", one.path).succeeded()
    one.close()
    next_one = conf(plugin, deviceID=vf.address, vlan=5)
    result = plugin.add(next_one, "other", other.path).succeeded()
    assert result["interfaces"][0]["mac"] == mac
    plugin.delete(asked, "one", one.path).succeeded()
    assert vf.settings()["vlan_list"] == [{"vlan": 5}]
    assert other.links() == ["net1"]
    plugin.delete(next_one, "other", other.path).succeeded()
    assert vf.netdev == name


def test_gc_brings_a_vf_home_that_the_runtime_does_not_list(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    asked = conf(plugin, deviceID=vf.address, mac=MAC)
    name = vf.netdev
    plugin.add(asked, "one", netns.path).succeeded()
    plugin.gc(conf(plugin, engine="sriov"), []).succeeded()
    assert vf.netdev == name
    assert netns.links() == []


def test_del_brings_a_vf_home_by_its_allocation_where_the_record_is_lost(
    plugin: Plugin, vf: Vf, netns: Netns
) -> None:
    asked = conf(plugin, deviceID=vf.address, mac=MAC)
    name = vf.netdev
    plugin.add(asked, "one", netns.path).succeeded()
    (record,) = os.listdir(f"{plugin.state}/attachments/one")
    os.unlink(f"{plugin.state}/attachments/one/{record}")
    plugin.delete({"cniVersion": "1.0.0", "name": "fast", "type": "userspace"}, "one", netns.path).succeeded()
    assert vf.netdev == name


def test_cni_args_of_hustcats_plugin_choose_and_set_the_vf(
    plugin: Plugin, pf: Pf, vfs: tuple[Vf, ...], netns: Netns
) -> None:
    asked = {**conf(plugin, master=pf.netdev, ipam=static("10.9.0.5/24")), "type": "sriov"}
    arguments = f"IgnoreUnknown=1;VF=2;VLAN=33;MAC={MAC};IP=10.9.0.9/24"
    result = plugin.add(asked, "one", netns.path, args=arguments).succeeded()
    assert result["interfaces"][0]["pciID"] == vfs[2].address
    assert vfs[2].settings()["vlan_list"] == [{"vlan": 33}]
    assert vfs[2].settings()["address"] == MAC
    assert "10.9.0.9/24" in addresses("net1", netns.name)
    plugin.delete(asked, "one", netns.path, args=arguments).succeeded()
