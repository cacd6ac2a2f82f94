"""A container that died with a VF and a PF in it: whoever comes next brings both home.

The kernel returns the devices some time after their namespace has died, under
the names that they had there. Nobody waits for that here: the call comes at once.
The operator's sweep is in test_node.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sriov.steps import netconf
from tests.support.guest.nic import link
from tests.support.remains import remains

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.guest.nic import Pf, Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

    MakeNetns = Callable[[], Netns]


class Both:
    """A VF and a PF that containers get as net1 and net2."""

    def __init__(self, plugin: Plugin, vf: Vf, pf: Pf) -> None:
        """Note what both are like at home."""
        self.plugin = plugin
        self.devices = (vf, pf)
        self.names = (vf.netdev, pf.netdev)
        self.macs = (vf.link["address"], pf.link["address"])
        self.confs: dict[str, dict[str, Any]] = {
            "net1": netconf(plugin, vf),
            "net2": plugin.conf(bridge=None, master=pf.netdev, pfOnly=True, mtu=1400),
        }

    def add(self, netns: Netns) -> None:
        """Give both to a container, named as its namespace."""
        for ifname, conf in self.confs.items():
            self.plugin.add(conf, netns.name, netns.path, ifname=ifname).succeeded()

    def delete(self, netns: Netns) -> None:
        """DEL both."""
        for ifname, conf in self.confs.items():
            self.plugin.delete(conf, netns.name, netns.path, ifname=ifname).succeeded()

    def are_as_before(self) -> bool:
        """Tell whether both are at home, and all is as it was there."""
        vf, _ = self.devices
        told = [link(name) for name in self.names]
        assert tuple(device.netdev for device in self.devices) == self.names
        assert tuple(one["address"] for one in told) == self.macs
        assert [one["mtu"] for one in told] == [1500, 1500]
        assert vf.settings()["vlan_list"] == [{}]
        return remains(self.plugin) == []


def test_del_brings_home_what_a_dead_container_had(
    plugin: Plugin, vf: Vf, other_pf: Pf, netns: Netns
) -> None:
    both = Both(plugin, vf, other_pf)
    both.add(netns)
    netns.close()
    both.delete(netns)
    assert both.are_as_before()


def test_the_next_add_takes_it_a_late_del_leaves_it_and_gc_brings_it_home(
    plugin: Plugin, vf: Vf, other_pf: Pf, make_netns: MakeNetns
) -> None:
    one, other = make_netns(), make_netns()
    both = Both(plugin, vf, other_pf)
    both.add(one)
    one.close()
    both.add(other)
    both.delete(one)
    assert sorted(other.links()) == ["net1", "net2"]
    other.close()
    plugin.gc(both.confs["net1"], []).succeeded()
    assert both.are_as_before()
